"""Running commands as a user does: the real ones, each with a deadline, keeping all they say."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Seconds that an interrupted command gets to clean up.
GRACE = 60.0
PAST_DEADLINE = -1
# What would turn a command under test to another lab or another checkout.
NOT_PASSED_ON = ("UNDERLAY_", "VAGRANT_", "PYTHONPATH")


@dataclass(frozen=True)
class Done:
    """What a command did. As text: the command, its exit code and both its streams."""

    arguments: tuple[str, ...]
    code: int
    out: str
    err: str

    def __str__(self) -> str:
        code = "past its deadline" if self.code == PAST_DEADLINE else f"exit {self.code}"
        return f"{' '.join(self.arguments)}: {code}\n{self.out}\n{self.err}".rstrip()

    def variables(self) -> dict[str, str]:
        """Return the environment variables of the document that ``env --json`` prints."""
        found: dict[str, str] = self.document()["variables"]
        return found

    def document(self) -> Any:
        """Return standard output as the one JSON document that it must be."""
        try:
            return json.loads(self.out)
        except ValueError as error:
            raise AssertionError(f"not one JSON document ({error}): {self}") from None


def run(
    arguments: list[str],
    *,
    folder: Path,
    deadline: float,
    text: str = "",
    environment: Mapping[str, str] | None = None,
) -> Done:
    """Run ``arguments`` in ``folder`` with ``text`` on standard input; return what it did.

    Past ``deadline`` seconds the command is interrupted, and then killed.
    """
    with (
        # Files, not pipes: what a command leaves running must not keep a test waiting.
        tempfile.TemporaryFile("w+") as given,
        tempfile.TemporaryFile("w+", errors="replace") as out,
        tempfile.TemporaryFile("w+", errors="replace") as err,
    ):
        given.write(text)
        given.seek(0)
        process = subprocess.Popen(
            arguments,
            cwd=folder,
            stdin=given,
            stdout=out,
            stderr=err,
            start_new_session=True,
            env=clean_environment() | dict(environment or {}),
        )
        code = _wait(process, deadline)
        for stream in (out, err):
            stream.seek(0)
        return Done(tuple(arguments), code, out.read(), err.read())


def clean_environment() -> dict[str, str]:
    """Return this process's environment without what would lead a command astray."""
    return {name: value for name, value in os.environ.items() if not name.startswith(NOT_PASSED_ON)}


def interrupt(process: subprocess.Popen[Any], patience: float = GRACE) -> int:
    """Do to ``process`` and its group what Ctrl-C does; return its exit code.

    A process that doesn't end within ``patience`` seconds is killed: PAST_DEADLINE.
    """
    os.killpg(process.pid, signal.SIGINT)
    try:
        return process.wait(timeout=patience)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=GRACE)
        return PAST_DEADLINE


def _wait(process: subprocess.Popen[Any], deadline: float) -> int:
    try:
        return process.wait(timeout=deadline)
    except subprocess.TimeoutExpired:
        interrupt(process)
        return PAST_DEADLINE
    except BaseException:
        interrupt(process)
        raise
