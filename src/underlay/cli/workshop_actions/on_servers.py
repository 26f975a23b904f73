"""``workshop up`` and ``down`` with ``--inventory``: seats on several machines, by Ansible."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from underlay.cli.console import err, out, print_document, progress
from underlay.errors import EXIT_INFRASTRUCTURE

if TYPE_CHECKING:
    from underlay.cli.workshop_actions.asked import Asked
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
        doors = {} if failed else servers.entries(asked.inventory, name, running.step)
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
