"""Containers that the user's own files start, and the networks that these make."""

from __future__ import annotations

from collections.abc import Callable

from . import containers, docker, own, podman
from .commands import Failed

# In this order: a script may use a network of a body of Docker's API, and a Compose file either.
PROGRAMS = ("docker", *own.SCRIPTS, "compose", "quadlet")


def is_one(specified: dict) -> bool:
    """Whether a container is started by a file of the user's own."""
    return bool(specified["container"].get("started_by"))


def with_whole_files(
    stale: list[str], known: dict[str, dict], wanted: dict[str, dict]
) -> list[str]:
    """Return ``stale`` and all ``known`` containers of the own files that start one of them.

    A file starts all of its containers or none; the same goes for one that is to be made first.
    """
    again = {known[name]["container"].get("started_by") for name in stale}
    again |= {s["container"].get("started_by") for n, s in wanted.items() if n not in known}
    again -= {None, ""}
    return [
        name
        for name, specified in known.items()
        if name in stale or specified["container"].get("started_by") in again
    ]


def start(
    node: dict, starting: dict[str, dict], notes: list[str], to_run: dict[str, list[str]]
) -> dict[str, str]:
    """Have the programs act on the own files that ``starting`` containers need.

    A file that only makes a network of theirs is acted on as well, and so are the scripts
    ``to_run``, by their paths, that make interfaces. What of a file was put aside is
    added to ``notes``. Returns what failed by the container's name; a container that isn't named
    runs as planned.
    """
    needed: dict[str, list[str]] = {path: [] for path in to_run}
    makes = own.made_by_scripts(node)
    for name, specified in starting.items():
        for path in _needs(specified):
            needed.setdefault(path, []).append(name)
    files = [file for program in PROGRAMS for file in own.of_node(node, program)]
    failed: dict[str, str] = {}
    quadlets = any(file["program"] == "quadlet" and file["path"] in needed for file in files)
    again = [f for f in files if f["path"] in needed or (quadlets and f["program"] == "quadlet")]
    # What was noted of a file that is acted on anew is noted anew.
    known = tuple(f"{file['source']}: " for file in again)
    notes[:] = [note for note in notes if not note.startswith(known)]
    if quadlets:
        from . import quadlet

        failed |= _guarded(list(starting), lambda: quadlet.begin(node, starting, notes))
    for file in files:
        names = [name for name in needed.get(file["path"], []) if name not in failed]
        mine = {
            name: starting[name]
            for name in names
            if starting[name]["container"].get("started_by") == file["path"]
        }
        if names or file["path"] in to_run:
            from . import script

            # ip would refuse to make what is there.
            script.remove_links(makes.get(file["path"], []))
            failed |= _guarded(
                names or [file["source"]], lambda file=file, mine=mine: _act(file, mine, notes)
            )
    for name, specified in starting.items():
        if is_one(specified) and name not in failed:
            failed |= _guarded([name], lambda one=specified: containers.prove(one))
    return failed


def _needs(specified: dict) -> list[str]:
    """Return the paths of the own files that a container needs, networks' first."""
    paths = [network.get("own_file", "") for network in specified["networks"].values()]
    return [path for path in [*paths, specified["container"].get("started_by", "")] if path]


def _act(file: dict, mine: dict[str, dict], notes: list[str]) -> None:
    """Have the file's program act on it; note where the containers ``mine`` are."""
    if file["program"] == "compose":
        from . import compose

        found = compose.start(file, mine, notes)
    elif file["program"] == "docker":
        docker.make(file["text"])
        found = {}
    elif file["program"] in own.SCRIPTS:
        from . import script

        found = script.run_script(file, mine, notes)
        script.names(found, mine)
    else:
        from . import quadlet

        process = quadlet.start(file).get("pid")
        found = dict.fromkeys(mine, "") if process else {}
        for name in found:
            podman.note(name, process)
    lost = [name for name in mine if name not in found]
    if lost:
        raise Failed(f"{file['source']} has started no container {', '.join(lost)}")


def _guarded(names: list[str], act: Callable[[], None]) -> dict[str, str]:
    """Call ``act``; return its failure for each of ``names``, nothing where it did well."""
    try:
        act()
    except (Failed, OSError, ValueError, KeyError) as error:
        return dict.fromkeys(names, str(error))
    return {}


def stop(node: dict, stopping: dict[str, dict]) -> None:
    """Put aside what the own files of containers that are to be stopped have left.

    ``node`` is the document that they were started from.
    """
    paths = {path for specified in stopping.values() for path in _needs(specified)}
    files = [file for file in own.of_node(node, "quadlet") if file["path"] in paths]
    for file in sorted(files, key=lambda file: file["path"].endswith(".network")):
        from . import quadlet

        quadlet.stop(file["path"])


def forget_networks(stopped: dict[str, dict]) -> None:
    """Remove the networks of runtimes that the own files of ``stopped`` containers had made."""
    runtimes = {
        network["runtime"]
        for specified in stopped.values()
        for network in specified["networks"].values()
        if network.get("own_file")
    }
    if "docker" in runtimes:
        docker.forget_unused()
    if "podman" in runtimes:
        podman.forget_unused()
