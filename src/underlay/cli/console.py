"""How verbs talk: ``out`` for people on stdout, ``err`` on stderr, JSON, and progress.

Markup is off: a lab's own words may hold brackets. Style with ``style=`` or
``rich.text.Text``. There is colour only on a terminal, and none where NO_COLOR is set.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from rich.console import Console

from underlay.storage.seated import in_seat

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.status import Status

# Columns where no terminal says how wide it is: tables in a pipe must not be cut at 80.
PIPE_WIDTH = 160

# Below this many seconds a step isn't worth a line once it is over.
WORTH_SAYING = 2.0


class _Told(Console):
    """A console whose reader may go away: rich would exit with 1 then, which says "differs"."""

    def on_broken_pipe(self) -> None:
        """Raise BrokenPipeError, as ``print`` does: the command line's frame knows what to do."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def _console(stream: IO[str], *, stderr: bool) -> Console:
    terminal = stream.isatty()
    return _Told(
        stderr=stderr,
        highlight=False,
        markup=False,
        emoji=False,
        # A terminal breaks a long line where it ends. Whoever copies such a line has it whole; a
        # learner in a seat reads it, and has it broken between words.
        soft_wrap=not (terminal and in_seat()),
        # Not None where it isn't a terminal: FORCE_COLOR must not colour a pipe.
        force_terminal=None if terminal else False,
        width=None if terminal or "COLUMNS" in os.environ else PIPE_WIDTH,
    )


out = _console(sys.stdout, stderr=False)
err = _console(sys.stderr, stderr=True)


def people(as_json: bool) -> Console:
    """Return the console for text meant for people: stderr where JSON has stdout to itself."""
    return err if as_json else out


def print_json(document: object, *, indent: int | None = 2) -> None:
    """Print ``document`` (what json.dumps takes) on stdout; without ``indent`` in one line."""
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        # The name of a file that isn't UTF-8: JSON has only this way to write it.
        text = json.dumps(document, indent=indent)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def print_document(verb: str, document: Mapping[str, Any]) -> None:
    """Print what ``--json`` asked ``verb`` for, with what it is and its version first.

    Each verb's document has a schema (``underlay schema VERB``).
    """
    from underlay.report.documents.kinds import stamped

    print_json(stamped(verb, document))


def print_document_line(kind: str, document: Mapping[str, Any]) -> None:
    """Print one document of several, each in a line of its own, stamped as ``print_document``'s."""
    from underlay.report.documents.kinds import stamped

    print_json(stamped(kind, document), indent=None)


class Progress:
    """What a running piece of work says about itself; made by ``progress``."""

    def __init__(self, status: Status | None) -> None:
        self._status = status
        self._shown = ""
        self._since = time.monotonic()

    def step(self, text: str) -> None:
        """Say that ``text`` is what happens now (in few words, without a full stop)."""
        if text == self._shown:
            return
        self.close()
        self._shown, self._since = text, time.monotonic()
        if self._status is None:
            err.print(f"{text} …")
        else:
            self._status.update(f"{text} …")

    def among(self, text: str) -> None:
        """Say that ``text`` happens now as well, beside other things that go on meanwhile."""
        self.close()
        if self._status is None:
            err.print(f"{text} …")
        else:
            self._status.update(f"{text} …")

    def note(self, text: str) -> None:
        """Print ``text`` as a line of its own, above the spinner where there is one."""
        err.print(text)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Leave the terminal alone within the block: somebody is asked for something."""
        self.close()
        if self._status is not None:
            self._status.stop()
        try:
            yield
        finally:
            if self._status is not None:
                self._status.start()

    def close(self) -> None:
        """Leave a line about the step just done where it took long and only a spinner showed it."""
        seconds = time.monotonic() - self._since
        if self._shown and self._status is not None and seconds >= WORTH_SAYING:
            err.print(f"{self._shown}: {seconds:.1f} s", style="dim")
        self._shown = ""


@contextmanager
def progress(text: str) -> Iterator[Progress]:
    """Show on stderr that ``text`` is under way, for anything that takes over two seconds.

    A spinner on a terminal, one plain line per step otherwise. The value's
    ``step`` changes the text, ``note`` prints a line beside it.
    """
    if not err.is_terminal:
        running = Progress(None)
        running.step(text)
        yield running
        return
    with err.status(f"{text} …") as status:
        running = Progress(status)
        running.step(text)
        yield running
        running.close()
