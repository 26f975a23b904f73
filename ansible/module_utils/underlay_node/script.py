"""Shell scripts of the user's own: a shell of the node runs them, never the host's.

``docker`` and ``podman`` are this program while they run. What makes a network goes to the real
one word for word. Of what starts a container only that goes on which is about its network; a
stand-in runs it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

from . import docker, own, podman, routes, stand_in
from .commands import DEADLINE, Failed, run, write

FOLDER = "/run/underlay/script"
PLANNED = f"{FOLDER}/planned.json"
STARTED = f"{FOLDER}/started"
ASIDE = f"{FOLDER}/aside"
# s; timeout(1) ends a script with all that it has started, but for containers. It says so by 124.
LIMIT, GRACE, LATE = 180, 30, 124
RUNNABLE = 0o755
# What fetches something, or would end the node or take its network: said, and not done.
OUTSIDE = (
    "apk", "apt", "apt-get", "cloud-init", "curl", "dnf", "docker-compose", "git", "netplan", "npm",
    "pacman", "pip", "pip3", "podman-compose", "poweroff", "reboot", "shutdown", "snap", "wget",
    "yum", "zypper",
)  # fmt: skip
REAL = {"docker": "/usr/bin/docker", "podman": "/usr/bin/podman"}
UNSHARE = ["unshare", "--mount"]
# In a mount namespace of its own each engine's name, with its folder or without, is ours.
SHELL = """\
export PATH=/run/underlay/script/outside:$PATH
for engine in docker podman; do
    [ -e /usr/bin/$engine ] || continue
    mount --bind /usr/bin/$engine /run/underlay/script/real-$engine &&
    mount --bind /run/underlay/script/$engine /usr/bin/$engine || exit 125
done
cd "$1" && shift && exec "$@"
"""
OURS = """\
#!/bin/sh
exec python3 -I -S /opt/underlay/node --engine {engine} "$@"
"""
ASIDE_FROM = """\
#!/bin/sh
echo "${{0##*/}} $*: nothing is fetched on a node" >> {aside}
"""
# Options of `run` that take no value; after any other one comes its value.
PLAIN = frozenset(
    (
        "-d", "--detach", "-i", "--interactive", "-t", "--tty", "-it", "-ti", "-dit", "-itd",
        "-di", "-dt", "-td", "--rm", "--init", "--privileged", "-P", "--publish-all",
        "--read-only", "--no-healthcheck", "--oom-kill-disable", "--sig-proxy", "--quiet", "-q",
        "--disable-content-trust", "--replace", "--tls-verify", "--no-hosts", "--no-hostname",
        "--env-host", "--rmi", "--http-proxy", "--passwd", "--read-only-tmpfs",
        "--unsetenv-all", "--help",
    )
)  # fmt: skip
# Those among them that make no difference to a container that is left alone.
HARMLESS = frozenset(
    ("-d", "--detach", "-i", "--interactive", "-t", "--tty", "-it", "-ti", "-dit", "-itd", "-di",
     "-dt", "-td", "--quiet", "-q", "--init", "--help")
)  # fmt: skip
# Those that are about the container's network or name, and go on as they are written.
KEPT = frozenset(
    (
        "--network", "--net", "--ip", "--ip6", "--mac-address", "--name", "--hostname", "-h",
        "--network-alias", "--net-alias", "--link-local-ip", "--sysctl", "--label", "-l", "--dns",
        "--dns-search", "--dns-option",
    )
)  # fmt: skip


def run_script(file: dict, specified: dict[str, dict], notes: list[str]) -> dict[str, str]:
    """Run the script; return what it has started for ``specified`` containers, by name.

    What of its commands was put aside is added to ``notes``. Raises Failed with its last words,
    and the user's file and line where these tell it.
    """
    os.makedirs(FOLDER, exist_ok=True)
    for engine in REAL:
        write(f"{FOLDER}/{engine}", OURS.format(engine=engine))
        os.chmod(f"{FOLDER}/{engine}", RUNNABLE)
        write(f"{FOLDER}/real-{engine}", "")
    for program in OUTSIDE:
        write(f"{FOLDER}/outside/{program}", ASIDE_FROM.format(aside=ASIDE))
        os.chmod(f"{FOLDER}/outside/{program}", RUNNABLE)
    write(PLANNED, json.dumps(specified))
    write(STARTED, "")
    write(ASIDE, "")
    head = file["text"].splitlines()[:1]
    shell = ["/bin/bash"] if head and "bash" in head[0] else ["/bin/sh"]
    folder = os.path.dirname(file["path"])
    words = ["timeout", "--kill-after=5", str(LIMIT), *UNSHARE]
    words += ["sh", "-c", SHELL, "sh", folder, *shell]
    podman.settle()
    try:
        done = subprocess.run(
            [*words, file["path"]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=LIMIT + GRACE, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{file['source']}: has not ended after {LIMIT} s") from error
    if done.returncode == LATE:
        raise Failed(f"{file['source']}: has not ended after {LIMIT} s")
    if done.returncode:
        said = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        words_of_it = said[-1] if said else "it says nothing"
        where = own.where(file, words_of_it)
        raise Failed(f"{where}: exit {done.returncode}: {words_of_it}")
    with open(ASIDE, encoding="utf-8") as noted:
        notes += [f"{file['source']}: {line.strip()}" for line in noted]
    with open(STARTED, encoding="utf-8") as noted:
        return dict(line.rstrip("\n").split("\t") for line in noted)


def remove_links(names: list[str]) -> None:
    """Remove the interfaces that a script is to make, as far as they are there."""
    for name in names:
        if os.path.exists(f"/sys/class/net/{name}"):
            run(["ip", "link", "delete", name], check=False)


def engine(called: list[str]) -> int:
    """Do what a script asks of an engine: ``called`` are its name and the command line behind it.

    Returns the exit code, where the real one doesn't take this process's place.
    """
    name, *asked = called
    real = f"{FOLDER}/real-{name}"
    verb = asked[1:] if asked[:1] == ["container"] else asked
    if verb[:1] in (["compose"], ["kube"], ["play"]):
        _note(f"{name} {' '.join(asked)}: what its file starts is started by that file itself")
        return 0
    if verb[:1] and verb[0] in ("pull", "build", "push", "login", "logout"):
        words = f"{name} {verb[0]}: nothing is fetched on a node: stand-ins have the images' names"
        _note(words)
        return 0
    if verb[:1] not in (["run"], ["create"]):
        os.execv(real, [name, *asked])
    kept, image, away = taken_apart(verb[1:])
    if not image:
        os.execv(real, [name, *asked])
    with open(PLANNED, encoding="utf-8") as file:
        specified = json.load(file)
    planned = _planned(specified, kept.get("--name", [""])[-1])
    if (stand_in.for_docker if name == "docker" else stand_in.for_podman)([image]):
        _note(f"a stand-in runs as {planned or 'a container'}, for its image {image}")
    if away:
        _note(f"of {planned or 'a container'} put aside: {', '.join(sorted({*away}))}")
    options = [word for key, values in kept.items() for v in values for word in (key, v)]
    options += endpoint(name, specified[planned], kept) if planned else []
    detached = ["--detach"] if verb[0] == "run" else []
    usual = ["--pull=never", *(podman_usual() if name == "podman" else []), *noted(name, planned)]
    done = subprocess.run(
        [real, verb[0], *detached, *usual, *options, stand_in.usable(image)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    sys.stdout.write(done.stdout)
    lines = done.stdout.split()
    if planned and lines and not done.returncode:
        with open(STARTED, "a", encoding="utf-8") as file:
            file.write(f"{planned}\t{lines[-1]}\n")
    return done.returncode


def _note(words: str) -> None:
    with open(ASIDE, "a", encoding="utf-8") as noted:
        noted.write(f"{words}\n")


def taken_apart(words: list[str]) -> tuple[dict[str, list[str]], str, list[str]]:
    """Return the options of ``run`` that are about the network, the image, and other options.

    What follows the image is the user's command, which a stand-in has no use for.
    """
    kept: dict[str, list[str]] = {}
    away: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            return kept, word, away
        key, equals, value = word.partition("=")
        if key in PLAIN or (equals and key not in KEPT):
            away += [] if key in HARMLESS else [key]
            continue
        if not equals and not key.startswith("--") and len(key) > 2:
            # A short option with its value behind it at once, such as -p80:80.
            if key[:2] in KEPT:
                kept.setdefault(key[:2], []).append(key[2:])
            else:
                away.append(key[:2])
            continue
        said = value if equals else (rest.pop(0) if rest else "")
        if key in KEPT:
            kept.setdefault("--network" if key == "--net" else key, []).append(said)
        else:
            away.append(key)
    return kept, "", away


def _planned(specified: dict[str, dict], name: str) -> str:
    """Return the plan's name of a container that the script calls ``name``, or not at all."""
    with open(STARTED, encoding="utf-8") as noted:
        started = {line.partition("\t")[0] for line in noted}
    for one in specified:
        stem = re.sub(r"-([0-9]+[a-z]*|[a-z])$", "", one)
        unnamed = not name and one.startswith("line-")
        if one not in started and (unnamed or (name and name in (one, stem))):
            return one
    return ""


def endpoint(engine: str, specified: dict, kept: dict[str, list[str]]) -> list[str]:
    """Return the options that give a container in one network what the script leaves open."""
    told = kept.get("--network", [])
    attachments = specified["container"]["attachments"]
    if len(told) != 1 or len(attachments) != 1:
        return []
    known = {word.partition("=")[0] for word in re.split("[:,]", told[0])}
    attachment = attachments[0]
    network = specified["networks"][attachment["network"]]
    words: list[str] = []
    for address in [] if podman.leased(network) else routes.given(attachment, network):
        option = "--ip6" if ":" in address else "--ip"
        if option not in kept and option.lstrip("-") not in known:
            words += [option, address.partition("/")[0]]
    mac = "" if network["mode"] == "passthru" else routes.given_mac(attachment, network)
    if mac and "--mac-address" not in kept and not known & {"mac", "mac-address"}:
        words += ["--mac-address", mac]
    return words


def noted(engine: str, planned: str) -> list[str]:
    """Return the option by which podman notes a planned container's process at each start."""
    return [f"--pidfile={podman.pid_file(planned)}"] if engine == "podman" and planned else []


def podman_usual() -> list[str]:
    """Return what podman's containers on a node have: see podman.RUN."""
    return [word for word in podman.RUN if word.startswith(("--cgroups", "--log-driver"))]


def names(found: dict[str, str], specified: dict[str, dict]) -> None:
    """Call what the script has started as the plan does, and note podman's processes."""
    for name, identity in found.items():
        if specified[name]["container"]["runtime"] == "docker":
            docker.remember(name, {}, docker.call(identity, name))
        else:
            words = [*podman.PODMAN, "inspect", "--format", "{{.State.Pid}}", identity]
            podman.note(name, int(podman.run(words)))
