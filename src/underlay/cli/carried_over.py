"""What people are told of hosts' files as a lab has them: assumed, and not carried over."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from underlay.cli.console import err

if TYPE_CHECKING:
    from underlay.fleet.carried import Carried
    from underlay.lint import Loaded


def kinds(head: str, said: Iterable[tuple[object, str]]) -> Iterator[str]:
    """Yield a line for each kind of what is said: the first of it, and how many there are."""
    found: dict[object, list[str]] = {}
    for kind, text in said:
        found.setdefault(kind, []).append(text)
    for alike in found.values():
        times = f", {len(alike)} times, the first" if len(alike) > 1 else ""
        yield f"{head}{times}: {alike[0]}"


def remarks(carried: Carried) -> Iterator[str]:
    """Yield what a fleet's lab has that no file says, and what files say that it hasn't.

    That are things which may bear on who reaches whom; ``import -v`` tells of all others.
    """
    weighty = [one for one in carried.assumptions if one.weighty]
    yield from kinds("assumed", ((one.shape, f"{one.key}: {one.text}") for one in weighty))
    left = [one for one in carried.left_out if one.matters]
    yield from kinds("left out", ((one.why, str(one)) for one in left))


def tell_silenced(loaded: Loaded) -> None:
    """Say on stderr which errors a comment silences: somebody's word that it is to be so."""
    for one in loaded.silenced:
        found = one.finding
        err.print(f"silenced: {found.spot}: {found.id}: {found.message} ({one.reason})")


def tell_remarks(loaded: Loaded, named: str) -> None:
    """Say on stderr how much a fleet's lab has beyond its files, and hasn't of them, if anything.

    ``named`` is the lab as typed. What is counted are lines of hosts' files that may bear on who
    reaches whom; `lint` names them.
    """
    tell_silenced(loaded)
    carried = loaded.carried
    left = sum(one.matters for one in carried.left_out)
    assumed = sum(one.weighty for one in carried.assumptions)
    told = [f"left out of the fleet and may matter: {left}"] if left else []
    told += [f"assumed: {assumed}"] if assumed else []
    if told:
        err.print(f"{', '.join(told)}; underlay lint {shlex.quote(named)} says what")
