"""``workshop`` with ``--inventory``: seats on several machines, by Ansible.

What servers say of their seats is one document here, in which a seat is called server/seat.
"""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from underlay.cli.console import err, out, print_document, progress
from underlay.cli.workshop_actions.amiss import NOBODY
from underlay.errors import EXIT_BAD_INPUT, EXIT_INFRASTRUCTURE, BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from underlay.cli.workshop_actions.asked import Asked
    from underlay.cli.workshop_actions.watch import Look
    from underlay.report.documents.workshop import (
        AskedServer,
        EntriesOnServers,
        Entry,
        EntryServer,
        GradedSeat,
        GradesOnServers,
        WatchedOnServers,
        WatchedServer,
    )
    from underlay.workshop.servers import Answer


def run_up(asked: Asked, course: str, seats: int) -> None:
    """Spread ``seats`` over the servers, and print how each is entered.

    Exits with 3 where a server fails; then none has a seat.
    """
    from underlay.workshop import servers

    assert asked.inventory is not None
    began = time.monotonic()
    with progress(f"bringing {seats} seats up") as running:
        answers = servers.up(
            asked.inventory,
            course,
            seats,
            running.step,
            listen=asked.listen or "",
            port=asked.port,
        )
        name = Path(course).name
        failed = any(answer.code for answer in answers.values())
        doors = {} if failed else servers.told(asked.inventory, "seats", name, running.step)
    _tell(asked, name, answers, doors, time.monotonic() - began)


def run_down(asked: Asked) -> None:
    """End a workshop on all servers; exits with 3 where one fails."""
    from underlay.workshop import servers

    assert asked.inventory is not None
    name = Path(asked.needed_course("down")).name
    began = time.monotonic()
    with progress(f"ending the workshop {name}") as running:
        answers = servers.down(asked.inventory, name, running.step)
    _tell(asked, name, answers, {}, time.monotonic() - began)


def run_seats(asked: Asked) -> None:
    """Print how each seat is entered; exits with 3 where a server doesn't answer."""
    from underlay.cli.workshop_actions.seats import doors

    for option, given in (("--keys", asked.keys), ("--new-password", asked.new_password)):
        if given is not None:
            raise BadInput(
                f"{option} is for the seats of one machine, and --inventory names several",
                hint=f"there: underlay workshop seats {option} …",
            )
    skip = () if asked.skip is None else ("--skip", asked.skip)
    name, answers = _asked_of_all(asked, "seats", *skip)
    rows: list[EntryServer] = [
        {
            **_server(answer),
            "listening": bool(answer.document.get("listening")),
            "fingerprint": str(answer.document.get("fingerprint", "")),
            "may_skip": bool(answer.document.get("may_skip")),
        }
        for answer in answers
    ]
    entries: list[Entry] = _seats(answers, "entries")
    if asked.as_json:
        document: EntriesOnServers = {"workshop": name, "servers": rows, "entries": entries}
        print_document("workshop", document)
    else:
        out.print(doors(entries))
        for row in rows:
            if row["ok"]:
                out.print(f"{row['server']}: the host's key: {row['fingerprint']}")
    for row in rows:
        if row["ok"] and not row["listening"]:
            err.print(f"{row['server']}: {NOBODY}", style="red")
    _end(answers)


def run_watch(asked: Asked) -> None:
    """Show where all seats are; exits with 3 where a server doesn't answer."""
    from underlay.cli.workshop_actions import watch

    watch.refuse(asked)
    if asked.serve or watch.stays(asked):
        name = Path(asked.needed_course("watch")).name
        watch.show(asked, name, _looks(asked))
        return
    name, answers = _asked_of_all(asked, "watch")
    if not asked.as_json:
        watch.show_once(_look(name, answers))
        _end(answers)
        return
    rows: list[WatchedServer] = [
        {
            **_server(answer),
            "at": str(answer.document.get("at", "")),
            "listening": bool(answer.document.get("listening")),
        }
        for answer in answers
    ]
    document: WatchedOnServers = {
        "workshop": name,
        "title": _title(answers),
        "servers": rows,
        "seats": _seats(answers, "seats"),
    }
    print_document("workshop", document)
    for sentence in _amiss(name, answers):
        err.print(sentence, style="red")
    _end(answers)


def _looks(asked: Asked) -> Iterator[Look]:
    """Ask all servers whenever somebody wants a look, until the workshop is down on each."""
    while True:
        name, answers = _asked_of_all(asked, "watch", quiet=True)
        if all(answer.code == EXIT_BAD_INPUT for answer in answers):
            break
        yield _look(name, answers)
    err.print(f"the workshop {name} is down")


def _look(name: str, answers: Sequence[Answer]) -> Look:
    at = [datetime.fromisoformat(answer.document["at"]) for answer in answers if not answer.code]
    now = max(at).timestamp() if at else time.time()
    return _title(answers), _seats(answers, "seats"), now, _amiss(name, answers)


def run_grade(asked: Asked) -> None:
    """Print what each seat has done; exits with 3 where a server doesn't answer."""
    from underlay.cli.workshop_actions.grade import refuse, show

    refuse(asked)
    name, answers = _asked_of_all(asked, "grade")
    grades: list[GradedSeat] = _seats(answers, "grades")
    if asked.as_json:
        document: GradesOnServers = {
            "workshop": name,
            "title": _title(answers),
            "servers": [_server(answer) for answer in answers],
            "grades": grades,
        }
        print_document("workshop", document)
    else:
        show(asked, grades)
    _end(answers)


def _asked_of_all(
    asked: Asked, action: str, *options: str, quiet: bool = False
) -> tuple[str, list[Answer]]:
    """Return the workshop's name, and what each server says about it, by their names."""
    from underlay.workshop import servers

    assert asked.inventory is not None
    name = Path(asked.needed_course(action)).name
    if quiet:
        answers = servers.told(asked.inventory, action, name, lambda _: None, *options)
    else:
        with progress(f"asking for {name}") as running:
            answers = servers.told(asked.inventory, action, name, running.step, *options)
    return name, [answers[server] for server in sorted(answers)]


def _server(answer: Answer) -> AskedServer:
    return {"server": answer.server, "ok": answer.code == 0, "error": answer.error}


def _title(answers: Sequence[Answer]) -> str:
    """Return the course's title, of whichever server has said it."""
    return next((str(each.document["title"]) for each in answers if not each.code), "")


def _seats(answers: Sequence[Answer], key: str) -> list[Any]:
    """Return the rows that servers have below ``key``, each with its seat as server/seat."""
    return [
        {**row, "seat": f"{answer.server}/{row['seat']}"}
        for answer in answers
        if not answer.code
        for row in answer.document[key]
    ]


def _amiss(name: str, answers: Sequence[Answer]) -> list[str]:
    """Return a sentence for each server that doesn't answer, or where nobody can come in."""
    found = []
    for answer in answers:
        if answer.code:
            found.append(f"{answer.server}: {answer.error}; its seats aren't shown")
        elif not answer.document["listening"]:
            again = f"`underlay workshop seats {name} -i …` starts it again"
            found.append(f"{answer.server}: {NOBODY}; {again}")
    return found


def _end(answers: Sequence[Answer]) -> None:
    """Say which servers didn't answer; exit with 3 if there are any."""
    failed = [answer for answer in answers if answer.code]
    for answer in failed:
        err.print(f"{answer.server}: {answer.error}", style="red")
    if failed:
        raise typer.Exit(EXIT_INFRASTRUCTURE)


def _tell(
    asked: Asked,
    name: str,
    answers: dict[str, Answer],
    doors: dict[str, Answer],
    seconds: float,
) -> None:
    rows = [_row(answer, doors.get(server)) for server, answer in sorted(answers.items())]
    if asked.as_json:
        print_document("workshop", {"course": name, "servers": rows, "seconds": round(seconds, 3)})
    else:
        _show(name, rows, seconds)
    if any(not row["ok"] for row in rows):
        raise typer.Exit(EXIT_INFRASTRUCTURE)


def _row(answer: Answer, door: Answer | None) -> dict[str, Any]:
    entries = door.document.get("entries", []) if door else []
    return {
        "server": answer.server,
        "ok": answer.code == 0,
        "error": answer.error,
        "entries": [
            {"seat": each["seat"], "command": each["command"], "password": each["password"]}
            for each in entries
        ],
    }


def _show(name: str, rows: list[dict[str, Any]], seconds: float) -> None:
    good = sum(row["ok"] for row in rows)
    out.print(f"{name}: {good} of {len(rows)} servers, {seconds:.1f} s")
    for row in rows:
        if not row["ok"]:
            err.print(f"  {row['server']}: {row['error']}", style="red", markup=False)
        for entry in row["entries"]:
            out.print(
                f"  {row['server']}  {entry['seat']}  {entry['command']}  {entry['password']}",
                markup=False,
                soft_wrap=True,
            )
