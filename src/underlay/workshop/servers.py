"""Seats on several machines: Ansible reaches each, spreads the seats, and brings the answers back.

Each server does by itself what `workshop up` does on one machine, with seats of its own, of which
00 is the trainer's. How a machine is reached, and how many at once, is Ansible's business: its
inventory, its connections and its forks.
"""

from __future__ import annotations

import json
import os
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from underlay.cluster.interrupts import interrupts_wait
from underlay.cluster.inventory import variables_of
from underlay.cluster.process import tail
from underlay.errors import BadInput, Infrastructure
from underlay.storage import paths, temporary

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Tell = Callable[[str], None]

PLAYBOOK = "workshop.yml"
TASK = "Do what was asked"
# Twenty seats of full nodes take some minutes on one machine.
DEADLINE = 3600.0
AT_MOST = "seats_at_most"
# Where a server keeps a course of the trainer's own: counted from where Ansible comes in.
COURSES = "./.cache/underlay/courses"


@dataclass(frozen=True)
class Answer:
    """What a server said: its exit code and its document, or why there is none."""

    server: str
    code: int
    document: dict[str, Any]

    @property
    def error(self) -> str:
        """Why it failed; empty where it didn't."""
        return str(self.document.get("error", "")) if self.code else ""


def servers_of(inventory: Path) -> dict[str, int | None]:
    """Return the servers of ``inventory``, each with how many seats it takes at most.

    Raises BadInput where Ansible can't read it, or it names none.
    """
    found = variables_of(inventory, what="server")
    return {name: _at_most(inventory, name, each) for name, each in found.items()}


def _at_most(inventory: Path, name: str, variables: Mapping[str, Any]) -> int | None:
    value = variables.get(AT_MOST)
    if value is None or (isinstance(value, int) and value > 0):
        return value
    raise BadInput(f"{inventory}: {AT_MOST} of {name} is {value!r}, expected a number above 0")


def spread(servers: Mapping[str, int | None], seats: int) -> dict[str, int]:
    """Return how many of ``seats`` each server gets: as evenly as those at most allow.

    A server that gets none is left out. Raises BadInput where there are more seats than room.
    """
    given = dict.fromkeys(servers, 0)
    for number in range(seats):
        room = [s for s, most in servers.items() if most is None or given[s] < most]
        if not room:
            raise BadInput(
                f"the servers take {number} seats at most, not {seats}",
                hint=f"--seats {number}, or a larger {AT_MOST}, or more servers",
            )
        given[min(room, key=lambda server: given[server])] += 1
    return {server: count for server, count in given.items() if count}


def up(
    inventory: Path,
    course: str,
    seats: int,
    tell: Tell,
    *,
    listen: str = "",
    port: int | None = None,
) -> dict[str, Answer]:
    """Have the servers of ``inventory`` bring ``seats`` up; return what each said.

    ``course`` is a shipped one's name, or the folder of one, which is put there. Where any server
    fails, or this is interrupted, all of them end what they have begun. Raises BadInput where
    there are more seats than room.
    """
    from underlay.workshop.reading import find_course, load_course, shipped

    folder = load_course(find_course(course)).folder.resolve()
    own = folder.parent != shipped().resolve()
    there = f"{COURSES}/{folder.name}" if own else folder.name
    options = ["--listen", listen] if listen else []
    options += ["--port", str(port)] if port is not None else []
    words = {
        server: ["up", there, "--seats", str(count), *options, "--json"]
        for server, count in spread(servers_of(inventory), seats).items()
    }
    try:
        answers = ask(inventory, words, tell, course=folder if own else None, there=there)
    except BaseException:
        ask(inventory, _down(words, folder.name), tell)
        raise
    if any(answer.code for answer in answers.values()):
        ask(inventory, _down(words, folder.name), tell)
    return answers


def down(inventory: Path, name: str, tell: Tell) -> dict[str, Answer]:
    """Have the servers of ``inventory`` end the workshop called ``name``; return what each said."""
    return ask(inventory, _down(servers_of(inventory), name), tell)


def told(inventory: Path, action: str, name: str, tell: Tell, *options: str) -> dict[str, Answer]:
    """Ask the servers of ``inventory`` what ``action`` says of the workshop ``name`` there.

    A server that doesn't answer is among them, with why.
    """
    words = {server: [action, name, *options, "--json"] for server in servers_of(inventory)}
    return ask(inventory, words, tell)


def _down(servers: Mapping[str, object], name: str) -> dict[str, list[str]]:
    return {server: ["down", name, "--json"] for server in servers}


def ask(
    inventory: Path,
    words: Mapping[str, list[str]],
    tell: Tell,
    *,
    course: Path | None = None,
    there: str = "",
) -> dict[str, Answer]:
    """Run `underlay workshop` with each server's ``words`` there; return what each said.

    With ``course`` that folder is put ``there`` before.
    """
    import ansible_runner

    tell(f"asking {len(words)} seat servers by Ansible")
    variables: dict[str, Any] = {"words": dict(words)}
    with temporary.folder("servers") as work:
        if course is not None:
            variables |= {"course": str(_packed(course, work)), "course_there": there}
        (work / "runner").mkdir()
        with interrupts_wait() as noted:
            done = ansible_runner.run(
                private_data_dir=str(work / "runner"),
                playbook=str(paths.root() / "ansible" / PLAYBOOK),
                inventory=str(inventory.resolve()),
                extravars=variables,
                envvars=_environment(work),
                settings={"job_timeout": DEADLINE},
                quiet=True,
                cancel_callback=noted,
            )
        events = list(done.events)
        said = done.stdout.read()
    answers = {}
    for event in events:
        data = event.get("event_data", {})
        server, result = data.get("host"), data.get("res", {})
        if event["event"] == "runner_on_ok" and data.get("task") == TASK and "rc" in result:
            answers[server] = _answer(server, result)
        elif event["event"] in ("runner_on_failed", "runner_on_unreachable"):
            message = str(result.get("msg", "")).strip() or "Ansible could not do it"
            answers[server] = Answer(server, 3, {"error": message})
    if not answers:
        raise Infrastructure(
            f"Ansible brought no answer of {', '.join(sorted(words))}", detail=tail(said)
        )
    nothing = {"error": "Ansible brought no answer"}
    return {server: answers.get(server) or Answer(server, 3, nothing) for server in words}


def _packed(course: Path, folder: Path) -> Path:
    """Return an archive of ``course`` in ``folder``: files, which belong to whoever unpacks it."""

    def anybodys(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        if entry.isdir():
            entry.mode = 0o700
        return entry

    archive = folder / "course.tar"
    with tarfile.open(archive, "w", dereference=True) as tar:
        tar.add(course, arcname=".", filter=anybodys)
    return archive


def _answer(server: str, result: Mapping[str, Any]) -> Answer:
    try:
        document = json.loads(result["stdout"])
    except (ValueError, TypeError):
        document = {"error": tail(f"{result.get('stderr') or result.get('msg', '')}", 3)}
    return Answer(server, int(result["rc"]), document)


def _environment(work: Path) -> dict[str, str]:
    from underlay.render import environment

    programs = paths.root() / "ansible" / "bin"
    ours = environment(work)
    # That folder is this machine's; a server's user has one.
    del ours["ANSIBLE_REMOTE_TEMP"]
    return {
        **ours,
        # Without a connection that outlives the command: Ansible would keep one for a minute.
        "ANSIBLE_SSH_ARGS": "-o Compression=no",
        "UNDERLAY_PYTHON": sys.executable,
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}",
    }
