"""What can go wrong, and whose fault it is.

    UnderlayError
    ├── BadInput          exit 2   the user's file or argument cannot be used
    └── Infrastructure    exit 3   this machine, a node or a tool did not do its part

Exceptions carry facts and never print or exit: only ``cli/`` does. A ``Spot`` says where in a
file the fault is.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable
from dataclasses import dataclass

# What ends a command early: Ctrl-C, a terminated process, a closed terminal. All are one.
INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

EXIT_OK = 0
EXIT_DIFFERS = 1
EXIT_BAD_INPUT = 2
EXIT_INFRASTRUCTURE = 3
EXIT_NOT_RUN = 125
EXIT_INTERRUPTED = 130

# How like two words must be, as difflib counts it, for one to be a slip of the other.
LIKENESS = 0.6
# Names in one line of a hint; more than these are counted.
LISTED = 10


class UnderlayError(Exception):
    """Base of everything that is reported without a traceback.

    ``message`` states the fact, ``hint`` the command or change to try next,
    ``detail`` holds the last lines of whatever failed (console, stderr).
    """

    exit_code = EXIT_INFRASTRUCTURE

    def __init__(self, message: str, *, hint: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail


class BadInput(UnderlayError):
    """The user's lab file, argument or option cannot be used; nothing was changed."""

    exit_code = EXIT_BAD_INPUT


class Infrastructure(UnderlayError):
    """The machine, a node or a tool failed; the lab file is not to blame."""

    exit_code = EXIT_INFRASTRUCTURE


class Interrupted(KeyboardInterrupt):
    """An interrupt that has left something: ``message`` says what, ``hint`` how to remove it."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True)
class Spot:
    """A place in a file. ``line`` and ``column`` count from 1; a line of 0 is the whole file."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        """Return the place as compilers print it, ``file:line:column``."""
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


def nearest(word: object, choices: Iterable[str], *, likeness: float = LIKENESS) -> str:
    """Return the one of ``choices`` that ``word`` was probably meant to be, or nothing.

    ``likeness`` is how much of both has to be the same, of 1.

    Large letters and underscores count as small ones and hyphens. A name with other numbers is
    another thing, however like it looks: core-20 isn't meant to be core-02, nor eth9 eth1.
    """
    import difflib  # not needed where nobody errs

    written = _plain(word)
    numbers = _numbers(written)
    plain = {_plain(choice): choice for choice in choices}
    able = [one for one in plain if not numbers or not _numbers(one) or _numbers(one) == numbers]
    near = difflib.get_close_matches(written, able, n=1, cutoff=likeness)
    return plain[near[0]] if near else ""


def _plain(word: object) -> str:
    return str(word).lower().replace("_", "-")


def _numbers(word: str) -> list[int]:
    return [int(digits) for digits in re.findall("[0-9]+", word)]


def did_you_mean(choice: str) -> str:
    """Return the hint that names ``choice``, nothing for nothing."""
    return f"did you mean {choice}?" if choice else ""


def count(number: int, noun: str) -> str:
    """Return a number with its noun, as people write them."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listed(names: Iterable[str], *, more: str = "") -> str:
    """Return ``names`` as one line that can be read: of many the first, and how many follow.

    ``more`` is the command that shows them all.
    """
    every = list(names)
    if len(every) <= LISTED + 1:
        return ", ".join(every)
    rest = f"{', '.join(every[:LISTED])} and {len(every) - LISTED} more"
    return f"{rest}: {more}" if more else rest


def reason(error: OSError) -> str:
    """Return why the system refused, in its own words; Python's where it gave none."""
    return error.strerror or str(error) or type(error).__name__
