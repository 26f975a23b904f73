"""The full proof in shares: which tests each of them runs, and how long that should take.

What belongs together stays together: the tests of one lab that is up, and those of a file that
run every day. Slow tests are handed out one by one. The split follows from the tests' names
and from recorded durations alone, so that it is the same on every machine.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from underlay.errors import BadInput

LAYERS = ("unit", "golden", "cluster")
# A share is meant to end within an hour; that much is planned of it at most.
MINUTES = 60.0
FULL = 0.9 * MINUTES * 60
# What shares one boot is cut where it is longer, and booted again: seconds.
LONGEST_UNIT = 900.0
# So many processes share the tests without nodes, on the machine that this is planned for.
PROCESSES = 2
# Seconds that tests take whom nobody has timed yet, or that were too quick to be noted.
UNTIMED = {"unit": 0.05, "golden": 0.1, "cluster": 1.0}
UNTIMED_SLOW = {"unit": 2.0, "golden": 2.0, "cluster": 20.0}
# More shares than this are a mistake.
MOST = 99


@dataclass(frozen=True)
class SuiteTest:
    """A test by its name, in pytest's words its node id, with what it is not to be cut from.

    ``slow`` are those that run in the full proof alone.
    """

    name: str
    unit: str
    slow: bool

    @property
    def layer(self) -> str:
        """The layer that the test is in."""
        return self.name.split("/")[1]


@dataclass(frozen=True)
class Unit:
    """Tests that stay together, and how long they should take."""

    name: str
    tests: tuple[SuiteTest, ...]
    seconds: float


@dataclass(frozen=True)
class Share:
    """One share of the full proof, the ``number``-th of ``of``."""

    number: int
    of: int
    units: tuple[Unit, ...]

    @property
    def seconds(self) -> float:
        """How long it should take."""
        return sum(unit.seconds for unit in self.units)

    @property
    def minutes(self) -> int:
        """The same in minutes, rounded."""
        return round(self.seconds / 60)

    def names(self, layer: str) -> list[str]:
        """Return the names of its tests in ``layer``."""
        return [test.name for unit in self.units for test in unit.tests if test.layer == layer]

    @property
    def count(self) -> int:
        """How many tests it has."""
        return sum(len(unit.tests) for unit in self.units)


def parse_part(
    text: str, *, what: str = "part", example: str = "underlay test --all --part 1/4"
) -> tuple[int, int]:
    """Return K and N from ``K/N``; raise BadInput, which says ``what`` it is, for anything else."""
    found = re.fullmatch(r"([0-9]{1,4})/([0-9]{1,4})", text)
    number, of = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= number <= of <= MOST:
        raise BadInput(
            f"there is no {what} {text!r}",
            hint=f"K/N with 1 ≤ K ≤ N ≤ {MOST}: {example}",
        )
    return number, of


def units(tests: Sequence[SuiteTest], known: Mapping[str, float]) -> list[Unit]:
    """Return what ``tests`` are handed out in; ``known`` are seconds by test.

    What shares a boot and is longer than ``LONGEST_UNIT`` is cut, in the order of the tests.
    """
    by_name: dict[str, list[SuiteTest]] = {}
    for test in tests:
        by_name.setdefault(test.unit, []).append(test)
    found = []
    for name, together in by_name.items():
        pieces: list[list[SuiteTest]] = [[]]
        spent = 0.0
        for test in together:
            takes = seconds(test, known)
            if pieces[-1] and spent + takes > LONGEST_UNIT:
                pieces.append([])
                spent = 0.0
            pieces[-1].append(test)
            spent += takes
        for number, piece in enumerate(pieces, 1):
            whole = name if len(pieces) == 1 else f"{name}, {number} of {len(pieces)}"
            found.append(Unit(whole, tuple(piece), sum(seconds(test, known) for test in piece)))
    return found


def seconds(test: SuiteTest, known: Mapping[str, float]) -> float:
    """Return how long ``test`` should keep a machine busy."""
    untimed = UNTIMED_SLOW if test.slow else UNTIMED
    takes = known.get(test.name, untimed[test.layer])
    return takes if test.layer == "cluster" else takes / PROCESSES


def split(found: Iterable[Unit], of: int) -> list[Share]:
    """Return ``found`` in ``of`` shares: the longest first, each to who has least so far."""
    shares: list[list[Unit]] = [[] for _ in range(of)]
    spent = [0.0] * of
    for unit in sorted(found, key=lambda unit: (-unit.seconds, unit.name)):
        least = min(range(of), key=lambda place: (spent[place], place))
        shares[least].append(unit)
        spent[least] += unit.seconds
    return [Share(place + 1, of, tuple(share)) for place, share in enumerate(shares)]


def enough(found: Sequence[Unit]) -> int | None:
    """Return the least number of shares that each stay within an hour; None where none does."""
    for of in range(1, MOST + 1):
        if max(share.seconds for share in split(found, of)) <= FULL:
            return of
    return None


def digest(tests: Iterable[SuiteTest]) -> str:
    """Return what tells whether two shares were cut from the same tests."""
    names = "\n".join(sorted(test.name for test in tests))
    return hashlib.sha256(names.encode()).hexdigest()[:16]
