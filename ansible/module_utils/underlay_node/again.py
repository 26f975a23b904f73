"""What happens to containers in production, done to this node's: made anew, restarted, rebooted.

    recreate  all containers are removed and made anew, one after the other, as the plan orders them
    restart   what starts containers is restarted: Docker, and the units of podman's
    leave     the node ends itself, as it does before it is booted again
    back      the node was booted again: who would start its containers does so

Nothing is put right that isn't about containers. What a file leaves open, an address or a MAC
address, is left to the runtime, which may give another one than the plan has.
"""

from __future__ import annotations

import json
import os
import subprocess
import time

from . import (
    carried,
    cni,
    containers,
    docker,
    files,
    filters,
    own,
    podman,
    program,
    quadlet,
    remember,
)
from .commands import Failed, run, write

# On the disk: what the program remembers is on a file system that a reboot empties.
HELD = "/var/lib/underlay/applied.json"
# s until Docker has started what it starts by itself.
PATIENCE = 60.0
POLICY = {"RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0}}
SYSTEMD = "/run/systemd/system"
NO_DAEMON = {
    "cni": "libcni has no daemon: containers go on as they are",
    "iproute2": "there is no daemon for what ip has made: containers go on as they are",
}
# All file systems are written out and made read only, as at the end of a shutdown: a container's
# process may keep the root busy, and the nodes' image has no journal that would mend it.
POWER_OFF = (
    "sleep 0.3; sync; echo s > /proc/sysrq-trigger; sleep 0.5; echo u > /proc/sysrq-trigger;"
    ' sleep 1; exec python3 -I -S -c "import ctypes; ctypes.CDLL(None).reboot(0x4321FEDC)"'
)


def act(word: str, task: dict) -> dict:
    """Do what ``word`` says; return what was done in words and what failed, and the seconds.

    ``task`` names under ``fixed`` the addresses and MAC addresses that the lab fixes.
    """
    report = program.Report()
    try:
        record = _back_on_disk() if word == "back" else remember.recall()
        if not record.node:
            raise Failed("the node program has not run")
        {"recreate": recreate, "restart": restart, "leave": leave, "back": back}[word](
            record, report, set(task.get("fixed", ()))
        )
        record.write()
    except (Failed, OSError, ValueError) as error:
        report.failed.append(str(error))
    report.lap(word)
    return report.document()


def recreate(record: remember.Record, report: program.Report, fixed: set[str]) -> None:
    """Remove all containers, and make them anew."""
    wanted = containers.wanted(record.node)
    program.stop([name for name in wanted if name in record.containers], record, report)
    _start(list(wanted), record, report, fixed)
    report.changes.append(f"{len(wanted)} containers removed and made anew")
    report.failed += program.set_filters(record.node, _filters(record), record)


def restart(record: remember.Record, report: program.Report, fixed: set[str]) -> None:
    """Restart what starts the node's containers, and say what can't be said to it."""
    wanted = containers.wanted(record.node)
    runtimes = {specified["container"]["runtime"] for specified in wanted.values()}
    report.changes += [words for kind, words in NO_DAEMON.items() if kind in runtimes]
    if "docker" in runtimes:
        _have_docker_start_them(wanted)
        run(["systemctl", "restart", "docker.service"], deadline=2 * PATIENCE)
        report.changes.append("systemctl restart docker.service")
        _wait_for_docker()
    if "podman" in runtimes:
        podman.settle()
        units = _units(record.node)
        for unit in units:
            run(["systemctl", "restart", unit], check=False, deadline=quadlet.DEADLINE)
        if units:
            report.changes.append(f"systemctl restart {' '.join(units)}")
        rest = _ours(wanted, "podman")
        if rest:
            words = [*podman.PODMAN, "restart", "--time=0", *rest]
            run(words, check=False, deadline=quadlet.DEADLINE)
            report.changes.append(f"podman restart {' '.join(rest)}: no unit starts them")
    _afterwards(wanted, ("docker", "podman"), report)
    report.failed += program.set_filters(record.node, _filters(record), record)


def leave(record: remember.Record, report: program.Report, fixed: set[str]) -> None:
    """Have the node end itself, with all that is needed to know it again on its disk."""
    wanted = containers.wanted(record.node)
    write(HELD, json.dumps(_document(record)))
    if any(one["container"]["runtime"] == "docker" for one in wanted.values()):
        _have_docker_start_them(wanted)
        # As Debian's package has it; the image starts Docker when it is first asked, for speed.
        run(["systemctl", "enable", "--quiet", "docker.service"])
    # Who started them wouldn't be waited for: systemd gives each unit a minute and a half.
    for name in _ours(wanted, "cni"):
        cni.holder().end(name)
    for name in _ours(wanted, "podman"):
        podman.settle()
        run([*podman.PODMAN, "stop", "--time=0", name], check=False)
    if os.path.isdir(SYSTEMD) and os.path.exists(docker.SOCKET):
        run(["systemctl", "stop", "docker.socket", "docker.service"], check=False)
    nothing = subprocess.DEVNULL
    subprocess.Popen(
        ["sh", "-c", POWER_OFF],
        stdin=nothing,
        stdout=nothing,
        stderr=nothing,
        start_new_session=True,
    )
    report.changes.append("the node ends itself")


def back(record: remember.Record, report: program.Report, fixed: set[str]) -> None:
    """Have those containers started again that something starts after a boot.

    Docker starts its own by their restart policy, and units those of Quadlets. Containers of CNI
    and of ip have an orchestrator or a script that makes them anew; this program is it here, and
    for podman's without a unit as well. Interfaces, routes and filters of the node itself are
    left as the boot has left them.
    """
    wanted = containers.wanted(record.node)
    anew = [
        name
        for name, one in wanted.items()
        if one["container"]["runtime"] in containers.NAMED and not carried.is_one(one)
    ]
    for name in anew:
        record.containers.pop(name, None)
    runtimes = {specified["container"]["runtime"] for specified in wanted.values()}
    if "docker" in runtimes:
        _wait_for_docker()
        report.changes.append("Docker starts what its restart policies say")
    if rest := _ours(wanted, "podman"):
        podman.prepare([n for name in rest for n in wanted[name]["networks"].values()])
        for name in rest:
            run([*podman.PODMAN, "start", name], check=False, deadline=quadlet.DEADLINE)
        report.changes.append(f"podman start {' '.join(rest)}: no unit starts them")
    _start(anew, record, report, fixed)
    if anew:
        report.changes.append(f"{len(anew)} containers made anew by who had made them")
    _afterwards(wanted, ("docker", "podman"), report)


def left_open(specified: dict, fixed: set[str]) -> dict:
    """Return what a container is made from without what nobody has fixed of it.

    An address is left open where the runtime hands out any, a MAC address where it may be
    another one: an address made of it must not change, nor one that others let in by it.
    """
    kind = specified["container"]["runtime"]
    attachments = []
    for attachment in specified["container"]["attachments"]:
        network = specified["networks"][attachment["network"]]
        given = {
            attachment[key].partition("/")[0]
            for key in ("address", "address6")
            if attachment.get(key)
        }
        hands_out = kind in ("cni", "docker", "podman") and network.get("ipam") in (None, "")
        free = hands_out and not given & fixed and not attachment.get("more")
        depends = network.get("slaac") or network["mode"] in ("source", "passthru")
        leased = network.get("ipam") == "dhcp"
        open_mac = not depends and not leased and attachment["mac"] not in fixed
        attachments.append({**attachment, "open_address": free, "open_mac": open_mac})
    return {**specified, "container": {**specified["container"], "attachments": attachments}}


def _start(
    names: list[str], record: remember.Record, report: program.Report, fixed: set[str]
) -> None:
    """Start containers one after the other, and remember them as the plan has them."""
    wanted = containers.wanted(record.node)
    opened = {name: left_open(wanted[name], fixed) for name in names}
    program.start(names, record.node, opened, record, report, {}, together=False)
    for name in names:
        if name in record.containers:
            record.containers[name] = wanted[name]


def _have_docker_start_them(wanted: dict[str, dict]) -> None:
    """Give the lab's own containers a restart policy; a user's file says its own."""
    for name in _ours(wanted, "docker"):
        docker.ask("POST", f"/containers/{name}/update", body=POLICY)


def _wait_for_docker() -> None:
    """Return when all containers run that have a restart policy, or when their time is over."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            known = docker.ask("GET", "/containers/json?all=1") or ()
            waiting = [entry for entry in known if entry["State"] != "running"]
            if not any(_restarts(entry["Id"]) for entry in waiting):
                return
        except Failed:
            pass
        time.sleep(0.2)


def _restarts(identity: str) -> bool:
    said = docker.ask("GET", f"/containers/{identity}/json", missing=True) or {}
    policy = ((said.get("HostConfig") or {}).get("RestartPolicy") or {}).get("Name")
    # One that failed to start isn't tried again: its network wasn't there.
    failed = bool((said.get("State") or {}).get("Error"))
    return policy in ("always", "unless-stopped") and not failed


def _afterwards(wanted: dict[str, dict], runtimes: tuple[str, ...], report: program.Report) -> None:
    """Say of running containers of the lab's own what can't be said to their runtimes."""
    for kind in runtimes:
        for name in _ours(wanted, kind):
            try:
                if containers.inside(wanted[name]["container"]):
                    module = containers.RUNTIMES[kind]
                    module.afterwards(wanted[name]["container"], wanted[name]["networks"])
                else:
                    report.failed.append(f"{name}: doesn't run")
            except Failed as error:
                report.failed.append(f"{name}: {error}")


def _ours(wanted: dict[str, dict], runtime: str) -> list[str]:
    """Return the containers of a runtime that no file of a user's own starts."""
    return [
        name
        for name, one in wanted.items()
        if one["container"]["runtime"] == runtime and not carried.is_one(one)
    ]


def _units(node: dict) -> list[str]:
    """Return the services that podman's generator made of the node's Quadlets of containers."""
    return [
        quadlet.unit(file["path"])
        for file in own.of_node(node, "quadlet")
        if file["path"].endswith(".container")
    ]


def _filters(record: remember.Record) -> dict[str, str]:
    """Return the packet filters that the node's files say."""
    return filters.wanted(record.node, None)


def _document(record: remember.Record) -> dict:
    held = {"node": record.node, "containers": record.containers, "failed": record.failed}
    return {**held, "filters": {}, "notes": record.notes}


def _back_on_disk() -> remember.Record:
    """Return what was known before the boot; a lean node knows itself by then, made anew."""
    if not files.read(remember.RECORD):
        write(remember.RECORD, files.read(HELD) or "")
    return remember.recall()
