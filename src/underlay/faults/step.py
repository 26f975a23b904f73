"""One thing to do to a lab, a script as root at one place; and one thing that was seen there."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """A shell script to run as root in a target, with its arguments."""

    target: str
    script: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Proof:
    """What was seen: a command, where it was run, and the lines of it that matter."""

    node: str
    command: str
    lines: tuple[str, ...]
