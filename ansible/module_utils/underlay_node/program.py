"""From what the node is to what its node.json says, in the fewest steps.

``converge`` is all of it. node.json holds the plan's own objects:

    lab         the lab's name
    node        this node: nics, vlans, links, routes …
    networks    every network of the lab
    containers  this node's containers
    files       the paths of what was sent to the node
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterable

from . import (
    addressing,
    carried,
    cni,
    containers,
    docker,
    files,
    filters,
    leases,
    links,
    namespaces,
    networkd,
    own,
    podman,
    programs,
    remember,
)
from .commands import Failed, batch, run
from .ready import statement

WORKERS = 4


class Report:
    """What was done, or would be: changes in words, failures in the runtimes' words, seconds."""

    def __init__(self) -> None:
        self.changes: list[str] = []
        self.failed: list[str] = []
        self.seconds: dict[str, float] = {}
        self.planned = 0
        # How many of each kind of thing were compared with what is there, and not only with
        # what this program remembers.
        self.looked: dict[str, int] = {}
        # What the node says of itself afterwards; nothing where it was only looked at.
        self.said: dict = {}
        self._since = time.monotonic()

    def lap(self, phase: str) -> None:
        """Note that ``phase`` has ended."""
        now = time.monotonic()
        self.seconds[phase] = round(now - self._since, 3)
        self._since = now

    def document(self) -> dict:
        """Return the report as the program prints it."""
        return {
            **self.said,
            "changed": bool(self.changes),
            "changes": self.changes,
            "containers": self.planned,
            "failed": self.failed,
            "looked_at": self.looked,
            "seconds": self.seconds,
        }


def converge(sent: dict[str, str] | None = None, *, check: bool = False) -> Report:
    """Make the node what was ``sent`` (path → content, node.json among them) says.

    With nothing sent, what its files say already. With ``check`` nothing is touched.
    A failure is in the report, not raised: the other containers start all the same.
    """
    report = Report()
    record = remember.recall()
    try:
        text = files.read(files.NODE) if sent is None else sent.get(files.NODE)
        if not text:
            raise Failed(f"there is no {files.NODE}")
        node = json.loads(text)
        changed, gone = files.differing(sent or {}, record.node.get("files", []) if sent else [])
        report.changes += [f"{path}: written" for path in changed]
        report.changes += [f"{path}: removed" for path in gone]
        report.looked["files"] = len(sent or {})
        packets = filters.wanted(node, sent)
        _converge(
            node, packets, record, report, check, lambda: files.install(sent or {}, changed, gone)
        )
    except (Failed, OSError, ValueError) as error:
        report.failed.append(str(error))
    if not check:
        # A run that is cut short leaves what the one before it has left there; but the
        # containers that it didn't get to are not in the record either.
        record.failed = list(report.failed)
        with contextlib.suppress(OSError):
            record.write()
        report.said = statement()
        report.failed = report.said["failed"]
    return report


def _converge(
    node: dict,
    packets: dict[str, str],
    record: remember.Record,
    report: Report,
    check: bool,
    install: Callable[[], None],
) -> None:
    if not check:
        _have_user_data_acted_on(node, record)
    wanted = containers.wanted(node)
    changed, gone = own.differing(node, record.node)
    report.changes += [
        f"{file['path']}: written, {file['source']} word for word" for file in changed
    ]
    report.changes += [f"{path}: removed" for path in gone]
    units = own.units(node)
    if not check and units:
        _have_units_acted_on(node, units, changed, record)
    to_run = own.to_run(node, record.node)
    later = {name for names in to_run.values() for name in names}
    before = links.Links(record.node.get("node", {}))
    after = links.Links(node["node"], later)
    after.theirs = networkd.governed(units) if units else set()
    work = links.compare(after, before, another_lab=record.node.get("lab") != node["lab"])
    known = record.containers
    stale = containers.stale(known, wanted, work.renewed)
    stale = containers.with_numbered(stale, known, wanted)
    stale = carried.with_whole_files(stale, known, wanted)
    missing = [name for name in wanted if name not in known or name in stale]
    nat = addressing.Translation(after, before)
    obsolete = _obsolete(record.node, node)
    report.planned = len(wanted)
    report.changes += [f"container {name}: removed" for name in stale if name not in wanted]
    report.changes += [f"network {name}: removed from Docker" for name in obsolete]
    report.changes += work.words + nat.words()
    report.changes += [f"container {name}: started" for name in missing]
    report.changes += _filters(node, packets, record, {*wanted} - {*missing})
    report.looked |= {
        "interfaces": len(after.addresses()),
        "routes": len(after.routes),
        "containers": len(known),
        "filters": len(filters.names(packets)),
    }
    report.lap("compare")
    if check:
        return
    stop(stale, record, report)
    for name in obsolete:
        docker.forget(name)
    install()
    own.install(changed, gone)
    report.lap("remove")
    moved = bool(record.node) and any(
        getattr(before, part) != getattr(after, part) for part in ("nics", "vlans", "routes")
    )
    # From here on it is this lab's node, however far it gets.
    record.node = node
    record.write()
    if moved and not units:
        networkd.let_go()
    if not units:
        networkd.keep_masters(after.ports)
    for lines in work.batches:
        batch(lines)
    for name, address in work.leases.items():
        leases.ask(name, address)
    if lines := links.also(node):
        batch(lines)
    if work.bridge:
        run(["bridge", "-batch", "-"], "\n".join(work.bridge) + "\n")
    nat.apply()
    report.lap("links")
    start(missing, node, wanted, record, report, to_run)
    record.write()
    report.lap("containers")
    report.failed += set_filters(node, packets, record)
    record.write()
    report.lap("filters")


def _have_user_data_acted_on(node: dict, record: remember.Record) -> None:
    """Have cloud-init act on the user's own user-data, where that is not the one it was before."""
    fresh = own.of_node(node, "user-data")
    if fresh and fresh != own.of_node(record.node, "user-data"):
        from . import user_data

        own.install(fresh, [])
        known = tuple(f"{file['source']}: " for file in fresh)
        record.notes = [note for note in record.notes if not note.startswith(known)]
        for file in fresh:
            user_data.act_on(file, record.notes)


def _have_units_acted_on(
    node: dict, units: list[dict], changed: list[dict], record: remember.Record
) -> None:
    """Have networkd act on the user's own units, where that hasn't been done.

    NICs get the names first that these know them by.
    """
    fresh = [file for file in changed if file["program"] in own.UNITS]
    if not fresh and record.node:
        return
    for lines in links.renaming(links.Links(node["node"])):
        batch(lines)
    if lines := links.also(node):
        batch(lines)
    own.install(fresh, [])
    planned = links.Links(node["node"]).addresses()
    networkd.act_on(units, node["node"]["management"]["interface"], planned)


def _filters(
    node: dict, packets: dict[str, str], record: remember.Record, kept: set[str]
) -> list[str]:
    """Return in words which packet filters change; only containers that are ``kept`` have any."""
    said = filters.bridges(packets, record.filters)
    for name in filters.names(packets, record.filters):
        if name not in kept and name != node["node"]["name"]:
            said += [f"filter of {name}: set"] if name in filters.names(packets) else []
            continue
        enter = _inside(node, name, record)
        changes = filters.changed(name, enter, packets, record.filters)
        said += [f"filter of {name}: {'set' if text else 'removed'}" for text in changes.values()]
    return list(dict.fromkeys(said))


def set_filters(node: dict, packets: dict[str, str], record: remember.Record) -> list[str]:
    """Put every packet filter into force; return what failed, in words."""
    failed = []
    try:
        filters.set_bridges(packets, record.filters)
    except Failed as error:
        failed.append(f"{node['node']['name']}: {error}")
    for name in filters.names(packets, record.filters):
        if name != node["node"]["name"] and name not in record.containers:
            filters.forget(name, record.filters)
            continue
        try:
            enter = _inside(node, name, record)
            changes = filters.changed(name, enter, packets, record.filters)
            filters.apply(changes, enter, record.filters)
        except Failed as error:
            failed.append(f"{name}: {error}")
    return failed


def _inside(node: dict, name: str, record: remember.Record) -> list[str]:
    """Return the words that run a command in the namespace called ``name``; none for the node's.

    Raises Failed for a container that has ended: its filter would be the node's.
    """
    if name == node["node"]["name"]:
        return []
    enter = containers.inside(record.containers[name]["container"])
    if not enter:
        raise Failed("the container doesn't run")
    return enter


def _obsolete(before: dict, after: dict) -> list[str]:
    """Return Docker's networks that are gone or have changed."""
    wanted = [network for network in after["networks"] if network["runtime"] == "docker"]
    return [
        network["name"]
        for network in before.get("networks", [])
        if network["runtime"] == "docker" and not network.get("made_by") and network not in wanted
    ]


def stop(names: list[str], record: remember.Record, report: Report) -> None:
    """End the containers called ``names``, and take them out of the ``record``."""
    stopping = {name: record.containers[name] for name in names}
    carried.stop(record.node, stopping)

    def end(name: str) -> None:
        containers.stop(record.containers[name])
        del record.containers[name]
        filters.forget(name, record.filters)

    several = [name for name in names if containers.together(record.containers[name])]
    failed = containers.stop_all([record.containers[name] for name in several])
    for name in several:
        if name not in failed:
            del record.containers[name]
            filters.forget(name, record.filters)
    report.failed += [f"{name}: {words}" for name, words in sorted(failed.items())]
    report.failed += at_once(end, [name for name in names if name not in several])
    carried.forget_networks(stopping)


def start(
    names: list[str],
    node: dict,
    wanted: dict[str, dict],
    record: remember.Record,
    report: Report,
    to_run: dict[str, list[str]],
    *,
    together: bool = True,
) -> None:
    """Start the containers called ``names`` as ``wanted``, and write them down in the ``record``.

    Some at a time, or, where they aren't to start ``together``, one after the other.
    """
    starting = {name: wanted[name] for name in names}
    undone = carried.start(node, starting, record.notes, to_run)
    report.failed += _together(undone)
    if own.made_by_scripts(node):
        whole = links.Links(node["node"])
        whole.theirs = {name for names in own.made_by_scripts(node).values() for name in names}
        whole.theirs |= networkd.governed(units) if (units := own.units(node)) else set()
        for lines in links.compare(whole, whole).batches:
            batch(lines)
    names = [name for name in names if name not in undone]
    theirs = [name for name in names if carried.is_one(wanted[name])]
    record.containers |= {name: wanted[name] for name in theirs}
    names = [name for name in names if name not in theirs]
    runtimes = {name: wanted[name]["container"]["runtime"] for name in names}
    namespaces.make([name for name in names if runtimes[name] in containers.NAMED])
    if "docker" in runtimes.values():
        used = {
            n
            for name in names
            for n, network in wanted[name]["networks"].items()
            if runtimes[name] == "docker" and not network.get("own_file")
        }
        docker.prepare(sorted(used))
    programs.prepare([wanted[name]["container"] for name in names])
    cni.prepare([n for name in names for n in wanted[name]["networks"].values()])
    if "podman" in runtimes.values():
        podman.prepare([n for name in names for n in wanted[name]["networks"].values()])

    def run_one(name: str) -> None:
        containers.start(wanted[name])
        record.containers[name] = wanted[name]

    in_order = {name for name in names if not together or containers.numbered(wanted[name])}
    failed = containers.create([wanted[name] for name in names], in_order)
    report.failed += [f"{name}: {words}" for name, words in sorted(failed.items())]
    made = [name for name in names if name not in failed]
    report.failed += at_once(run_one, [name for name in made if name in in_order], workers=1)
    report.failed += at_once(run_one, [name for name in made if name not in in_order])


def _together(failed: dict[str, str]) -> list[str]:
    """Return what failed by container in words, each once for all that it kept from starting."""
    names: dict[str, list[str]] = {}
    for name, words in failed.items():
        names.setdefault(words, []).append(name)
    return [f"{', '.join(of)}: {words}" for words, of in names.items()]


def at_once(
    function: Callable[[str], None], names: Iterable[str], workers: int = WORKERS
) -> list[str]:
    """Call ``function`` for all ``names``, some at a time; return what failed, in words.

    By one worker that is in their order.
    """
    waiting = list(names)[::-1]
    failed: list[str] = []

    def work() -> None:
        while True:
            try:
                name = waiting.pop()
            except IndexError:
                return
            try:
                function(name)
            except (Failed, OSError, ValueError, KeyError) as error:
                failed.append(f"{name}: {error}")

    threads = [threading.Thread(target=work) for _ in range(min(workers, len(waiting)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(failed)
