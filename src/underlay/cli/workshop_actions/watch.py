"""``workshop watch``: where all seats are, on one screen or as a page."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from underlay.cli.console import err, out, print_document
from underlay.cli.workshop_actions.amiss import amiss, say_amiss
from underlay.cli.workshop_actions.asked import Asked
from underlay.errors import BadInput, Infrastructure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from underlay.report.documents.workshop import WatchedSeat, WatchedSeats
    from underlay.workshop.record import Workshop

    # The course's title, where all seats are, when, and what is amiss.
    Look = tuple[str, Sequence[WatchedSeat], float, Sequence[str]]

# Seconds between two looks at the journals, of which each costs next to nothing.
INTERVAL = 2.0


def run(asked: Asked) -> None:
    """Show all seats until Ctrl-C; once, where it isn't a terminal, and as one document for JSON.

    Raises BadInput where no such workshop is up.
    """
    from underlay.workshop.record import running_workshop

    refuse(asked)
    workshop = running_workshop(asked.course)
    if asked.serve or stays(asked):
        show(asked, workshop.name, _looks(workshop))
        return
    say_amiss(workshop)
    now = time.time()
    if asked.as_json:
        print_document("workshop", _document(workshop, now))
    else:
        show_once(_look(workshop, now))


def refuse(asked: Asked) -> None:
    """Raise BadInput where two things are asked for at once, or one that needs another."""
    if asked.port is not None and not asked.serve:
        raise BadInput("--port needs --serve: nothing listens otherwise")
    if asked.serve and asked.as_json:
        raise BadInput("--serve shows a page, and --json prints one document")


def stays(asked: Asked) -> bool:
    """Whether the seats are shown again and again, on this terminal."""
    return out.is_terminal and not out.is_dumb_terminal and not asked.as_json


def show_once(look: Look) -> None:
    """Print where all seats are."""
    from underlay.cli.seats_screen import screen

    title, seats, now, wrong = look
    out.print(screen(title, seats, now, wrong=wrong))


def show(asked: Asked, name: str, looks: Iterable[Look]) -> None:
    """Show each of ``looks`` at the workshop called ``name`` in place of the one before."""
    if asked.serve:
        _serve(name, looks, asked.port or 0)
    else:
        _stay(looks)


def _document(workshop: Workshop, now: float) -> WatchedSeats:
    from underlay.cli.workshop_actions.told import utc
    from underlay.workshop import sign_in

    title, seats, _, _ = _look(workshop, now)
    return {
        "workshop": workshop.name,
        "title": title,
        "at": utc(now),
        "listening": sign_in.find(workshop.folder) is not None,
        "seats": list(seats),
    }


def _stay(looks: Iterable[Look]) -> None:
    """Draw the screen again and again in its place."""
    from rich.live import Live

    from underlay.cli.seats_screen import screen

    with Live(console=out, auto_refresh=False, screen=True) as live:
        for title, seats, now, wrong in looks:
            live.update(screen(title, seats, now, live=True, wrong=wrong), refresh=True)
            time.sleep(INTERVAL)


def _serve(name: str, looks: Iterable[Look], port: int) -> None:
    """Serve the page until Ctrl-C, or until the workshop ends."""
    from underlay.cli.seats_screen import cells, sign, sum_of
    from underlay.cli.served.board import Board
    from underlay.cli.served.server import served
    from underlay.report.seats_page.page import seats_page

    board = Board()
    ended = "The command has ended: this is how it was then."

    def put(look: Look) -> None:
        _, seats, now, wrong = look
        shown = [{"sign": sign(one), "cells": cells(one, now)} for one in seats]
        board.put(seats=shown, sum=sum_of(seats), wrong="; ".join(wrong))

    # Whoever follows the address at once finds something there.
    following = iter(looks)
    first = next(following, None)
    if first is None:
        return
    put(first)
    page = seats_page(first[0], name)
    with served(board, lambda: page, port) as address:
        out.print(f"{name} is at {address} · Ctrl-C ends it")
        out.file.flush()
        try:
            for look in following:
                put(look)
                time.sleep(INTERVAL)
            ended = "The workshop is down: this is how it was before."
        finally:
            board.put(ended=ended)
            # Whoever looks at the page hears of it before nobody answers any more.
            time.sleep(INTERVAL)


def _looks(workshop: Workshop) -> Iterator[Look]:
    """Yield a look at ``workshop`` whenever somebody asks for one, until it is down."""
    while (known := _as_it_is(workshop)) is not None:
        yield _look(known, time.time())
    err.print(f"the workshop {workshop.name} is down")


def _look(workshop: Workshop, now: float) -> Look:
    """Return the course's title, where all seats are, when, and what is amiss."""
    from underlay.cli.workshop_actions.told import standing_document
    from underlay.workshop.standing import standing

    seats = workshop.all_seats()
    where = [standing_document(standing(seat, now)) for seat in seats]
    return seats[0].course.title, where, now, amiss(workshop)


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
