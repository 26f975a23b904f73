"""``workshop seats``: one line for each seat, by which its learner enters it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rich.table import Table

from underlay.cli.console import err, out, people, print_document
from underlay.cli.tables import table
from underlay.cli.workshop_actions.amiss import NOBODY, say_amiss
from underlay.cli.workshop_actions.asked import Asked
from underlay.errors import BadInput
from underlay.workshop.seat import TRAINER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from underlay.report.documents.workshop import Entries, Entry
    from underlay.workshop.record import Workshop


def run(asked: Asked) -> None:
    """Print how each seat is entered, after keys or a password have been changed as ``asked``.

    A server that has ended is started again where it listened.

    Raises BadInput where no such workshop or seat is there, or a key can't be used.
    """
    from underlay.workshop import sign_in
    from underlay.workshop.record import VARIABLE, running_workshop

    workshop = running_workshop(asked.course)
    if asked.keys is not None:
        for number, many in sign_in.take_keys(
            workshop.folder, asked.keys, workshop.numbers
        ).items():
            keys = "1 key opens" if many == 1 else f"{many} keys open"
            people(asked.as_json).print(f"{keys} {sign_in.user(number)}")
    if asked.new_password is not None:
        if asked.new_password not in workshop.numbers:
            raise BadInput(
                f"there is no seat {asked.new_password} in {workshop.name},"
                f" expected one of 0 to {workshop.seats}"
            )
        sign_in.change_password(workshop.folder, asked.new_password)
    if asked.skip is not None:
        workshop.let_skip(asked.skip == "yes")
    if workshop.whole and sign_in.find(workshop.folder) is None:
        # `down` knows by it what is the workshop's.
        os.environ[VARIABLE] = workshop.token
        if sign_in.start_again(workshop.folder, workshop.numbers) is not None:
            err.print("the ssh server had ended, and runs again")
    if not workshop.whole:
        say_amiss(workshop)
    told = _document(workshop)
    if asked.as_json:
        print_document("workshop", told)
    else:
        _show(told)


def _document(workshop: Workshop) -> Entries:
    from underlay.workshop import sign_in

    server = sign_in.find(workshop.folder)
    return {
        "workshop": workshop.name,
        "listening": server is not None,
        "address": server.address if server else None,
        "port": server.port if server else None,
        "fingerprint": sign_in.fingerprint(),
        "may_skip": workshop.may_skip,
        "entries": [
            {
                "seat": sign_in.user(number),
                "command": server.entry(number) if server else "",
                "password": sign_in.password(workshop.folder, number),
                "keys": len(sign_in.keys(workshop.folder, number)),
            }
            for number in workshop.numbers
        ],
    }


def doors(entries: Iterable[Entry]) -> Table:
    """Return a table of how seats are entered."""
    shown = table("seat", "enter by", "password", "keys")
    for one in entries:
        trainer = " (yours)" if one["seat"].endswith(f"seat-{TRAINER:02d}") else ""
        keys = str(one["keys"] or "-")
        shown.add_row(f"{one['seat']}{trainer}", one["command"] or "-", one["password"], keys)
    return shown


def _show(told: Entries) -> None:
    out.print(doors(told["entries"]))
    if not told["listening"]:
        err.print(f"\n{NOBODY}")
        err.print(f"hint: underlay workshop down {told['workshop']}  and  up  begin anew")
        return
    out.print(f"\nthe host's key: {told['fingerprint']}")
    if not told["may_skip"]:
        out.print("nobody but you may skip: --skip yes  lets them")
