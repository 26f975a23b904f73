"""``workshop watch``: where all seats are, on one screen or as a page."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from underlay.cli.console import err, out, print_document
from underlay.cli.workshop_actions.amiss import amiss, say_amiss
from underlay.cli.workshop_actions.asked import Asked
from underlay.errors import BadInput, Infrastructure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from underlay.workshop.record import Workshop
    from underlay.workshop.standing import Standing

    # The course's title, where all seats are, when, and what is amiss.
    Look = tuple[str, list[Standing], float, list[str]]

# Seconds between two looks at the journals, of which each costs next to nothing.
INTERVAL = 2.0


def run(asked: Asked) -> None:
    """Show all seats until Ctrl-C; once, where it isn't a terminal, and as one document for JSON.

    Raises BadInput where no such workshop is up.
    """
    from underlay.workshop.record import running_workshop
    from underlay.workshop.standing import standings

    if asked.port is not None and not asked.serve:
        raise BadInput("--port needs --serve: nothing listens otherwise")
    if asked.serve and asked.as_json:
        raise BadInput("--serve shows a page, and --json prints one document")
    workshop = running_workshop(asked.course)
    if asked.serve:
        _serve(workshop, asked.port or 0)
        return
    now = time.time()
    if asked.as_json or not out.is_terminal or out.is_dumb_terminal:
        say_amiss(workshop)
    if asked.as_json:
        print_document("workshop", _document(workshop, standings(workshop, now), now))
        return
    if out.is_terminal and not out.is_dumb_terminal:
        _stay(workshop)
        return
    from underlay.cli.seats_screen import screen

    table = screen(workshop.course().title, standings(workshop, now), now, wrong=amiss(workshop))
    out.print(table)


def _document(workshop: Workshop, seats: Sequence[Standing], now: float) -> dict[str, Any]:
    from underlay.cli.workshop_actions.told import standing_document, utc
    from underlay.workshop import sign_in

    return {
        "workshop": workshop.name,
        "title": workshop.course().title,
        "at": utc(now),
        "listening": sign_in.find(workshop.folder) is not None,
        "seats": [standing_document(one) for one in seats],
    }


def _stay(workshop: Workshop) -> None:
    """Draw the screen again and again in its place."""
    from rich.live import Live

    from underlay.cli.seats_screen import screen

    with Live(console=out, auto_refresh=False, screen=True) as live:
        for title, seats, now, wrong in _looks(workshop):
            live.update(screen(title, seats, now, live=True, wrong=wrong), refresh=True)
            time.sleep(INTERVAL)


def _serve(workshop: Workshop, port: int) -> None:
    """Serve the page until Ctrl-C, or until the workshop ends."""
    from underlay.cli.seats_screen import cells, sign, sum_of
    from underlay.cli.served.board import Board
    from underlay.cli.served.server import served
    from underlay.report.seats_page.page import seats_page
    from underlay.workshop.standing import standings

    board = Board()
    page = seats_page(workshop.course().title, workshop.name)
    ended = "The command has ended: this is how it was then."

    def put(look: Look) -> None:
        _, seats, now, wrong = look
        shown = [{"sign": sign(one), "cells": cells(one, now)} for one in seats]
        board.put(seats=shown, sum=sum_of(seats), wrong="; ".join(wrong))

    # Whoever follows the address at once finds something there.
    put((workshop.course().title, standings(workshop, now := time.time()), now, amiss(workshop)))
    with served(board, lambda: page, port) as address:
        out.print(f"{workshop.name} is at {address} · Ctrl-C ends it")
        out.file.flush()
        try:
            for look in _looks(workshop):
                put(look)
                time.sleep(INTERVAL)
            ended = "The workshop is down: this is how it was before."
        finally:
            board.put(ended=ended)
            # Whoever looks at the page hears of it before nobody answers any more.
            time.sleep(INTERVAL)


def _looks(workshop: Workshop) -> Iterator[Look]:
    """Yield the course's title, where all seats are, when, and what is amiss, until it is down."""
    from underlay.workshop.standing import standing

    seats = workshop.all_seats()
    while (known := _as_it_is(workshop)) is not None:
        now = time.time()
        yield seats[0].course.title, [standing(seat, now) for seat in seats], now, amiss(known)
    err.print(f"the workshop {workshop.name} is down")


def _as_it_is(workshop: Workshop) -> Workshop | None:
    """Return what is recorded of ``workshop`` now; None where it is down, whatever came after."""
    from underlay.workshop.record import FILE, read_workshop

    try:
        known = read_workshop(workshop.folder)
    except Infrastructure:
        if (workshop.folder / FILE).exists():
            raise
        return None
    return known if known.token == workshop.token else None
