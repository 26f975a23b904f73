"""What ends a command early: Ctrl-C, a terminated process, a closed terminal. All are one.

A terminal may be closed while a command works. The command goes on, to clean up.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from underlay.errors import INTERRUPTS, Infrastructure, Interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator

AGAIN = 0.05  # s until an interrupt that went astray comes back


def treat_as_interrupt() -> None:
    """Have ``INTERRUPTS`` raise KeyboardInterrupt, and see to it that none is lost.

    A terminated `up` has the same cleaning to do as an interrupted one. What the launcher held
    back comes now, so this may raise KeyboardInterrupt.
    """
    for number in INTERRUPTS:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _interrupt)
    ignored = sys.unraisablehook

    def hook(lost: Any) -> None:
        if lost.exc_type is KeyboardInterrupt:
            _come_back()
        else:
            ignored(lost)

    sys.unraisablehook = hook
    signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTS)


def reset_exit() -> None:
    """Have the process end with its exit code, although it was interrupted.

    CPython ends by SIGINT instead where a text that it ran was interrupted last, such as the one
    by which dataclasses make a method (pythonrun.c, run_eval_code_obj): until it runs another.
    """
    exec("")  # noqa: S102


def _interrupt(number: int, frame: object) -> None:
    if number == signal.SIGHUP:
        # A shell passes it on, and the kernel sends another when the shell ends: neither may
        # disturb the cleaning up, nor the programs that are started for it.
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _come_back() -> None:
    """Interrupt again, as what is raised in a finalizer or a weak reference's callback is lost."""
    import threading

    # To that very thread: it may be asleep, and only a signal of its own wakes it up.
    main = threading.main_thread().ident or 0
    again = threading.Timer(AGAIN, signal.pthread_kill, (main, signal.SIGINT))
    again.daemon = True
    again.start()


class Limit:
    """How long something may take; ``passed`` says that it took longer."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self.passed = False

    def interrupt(self, number: int, frame: object) -> None:
        """End what is under way as Ctrl-C does, for it has the same cleaning to do."""
        self.passed = True
        raise Interrupted(self.message, hint=self.hint)

    @property
    def message(self) -> str:
        """What is said of it."""
        return f"not done within {self.seconds:g} s"

    hint = "give it longer: --timeout SECONDS"


@contextmanager
def within(seconds: float | None) -> Iterator[Limit]:
    """Have the body interrupted after ``seconds``, once; never where that is None.

    Raises Infrastructure where it ended by that. A body that ends an interrupt itself asks the
    limit whether it has passed.
    """
    limit = Limit(seconds)
    if seconds is None:
        yield limit
        return
    before = signal.signal(signal.SIGALRM, limit.interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield limit
    except KeyboardInterrupt as error:
        if limit.passed:
            raise Infrastructure(limit.message, hint=limit.hint) from error
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def survive_closed_terminal() -> None:
    """Have standard output and error drop what they can't show, once their terminal is closed.

    Every write to a terminal that hung up fails with EIO (tty_io.c, hung_up_tty_write). Raised
    in the midst of cleaning up, that would leave half of it undone. Files and pipes stay as
    they are: there an error is one.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and stream.isatty():
            setattr(sys, name, TerminalStream(stream))


class TerminalStream:
    """The text ``stream`` of a terminal, which becomes /dev/null when that is closed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        """Return what the stream itself has."""
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write ``text``, or drop it; return its length."""
        try:
            self._stream.write(text)
        except OSError as error:
            self._let_go(error)
        return len(text)

    def flush(self) -> None:
        """Write what has been held back, or drop it."""
        try:
            self._stream.flush()
        except OSError as error:
            self._let_go(error)

    def _let_go(self, error: OSError) -> None:
        if error.errno != errno.EIO:
            raise error
        nothing = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(nothing, self._stream.fileno())
        os.close(nothing)
