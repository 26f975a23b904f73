"""The restricted shell of a seat: it reads lines, and does the words of ``workshop/words.py``.

``python -m underlay.cli.seat_shell WORKSHOP NUMBER [--line LINE]``. The workshop's ssh server
starts it on a terminal of its own for each session, or for one line; `workshop try` has it in the
user's. Each word runs as another process, so that Ctrl-C ends the word and not the shell.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import termios
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from underlay.cli.error_lines import error_lines
from underlay.cli.wrapping import columns, wrapped
from underlay.errors import (
    EXIT_OK,
    BadInput,
    UnderlayError,
)
from underlay.storage import paths
from underlay.storage.seated import SEAT
from underlay.workshop import sign_in, words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from underlay.workshop.seat import Seat

# A shell's exit codes from here on say that a signal ended something.
SIGNALLED = 128
HUNG_UP = SIGNALLED + signal.SIGHUP
# Nothing that could be stopped could be continued: there is no job control here.
NEVER = (signal.SIGTSTP, signal.SIGQUIT, signal.SIGTTIN, signal.SIGTTOU)
# Keys of GNU readline by which it would look at this machine: users' names, its own file.
WITHOUT_KEYS = (r"\e&", r"\C-x\C-r", r"\e~", r"\e/", r"\e$", r"\e@", r"\e!")


# Columns that `help` takes where no terminal says how many there are.
WIDEST = 100


class HangUp(Exception):
    """The terminal is gone, or the workshop ends."""


class SeatShell:
    """The shell of the seat ``number``, whose state is in ``home``.

    ``own`` does the words about the exercise: the command line that they are added to, or what they
    are handed to. With ``once`` the shell is there for one line.
    """

    def __init__(
        self,
        number: int,
        home: Path,
        own: Sequence[str] | Callable[[list[str]], int],
        *,
        once: bool = False,
    ) -> None:
        self._number, self._home, self._own = number, home, own
        # Where one line is asked for, the client's standard input is for what that runs.
        self._once = once
        self._is_terminal = sys.stdin.isatty()
        self._running: subprocess.Popen[bytes] | None = None
        self._hung_up = False
        self._places: words.Places | None = None

    def loop(self) -> int:
        """Read lines and do them until somebody leaves; return the exit code."""
        code = EXIT_OK
        try:
            self._take_signals()
            self._do(["story"])
            self._prepare_keys()
            while (line := self._read()) is not None:
                code = self.do(line) if line.strip() else code
                if code < 0:
                    return EXIT_OK
        except HangUp:
            return HUNG_UP
        return code

    def once(self, line: str) -> int:
        """Do one line for a client that asked for no more; return its exit code."""
        try:
            self._take_signals()
            return max(EXIT_OK, self.do(line))
        except HangUp:
            return HUNG_UP

    def _take_signals(self) -> None:
        for number in NEVER:
            signal.signal(number, signal.SIG_IGN)
        for number in (signal.SIGHUP, signal.SIGTERM):
            signal.signal(number, self._hang_up)

    def do(self, line: str) -> int:
        """Do one line and return its exit code; -1 says that somebody wants to leave."""
        try:
            typed = words.split(line)
            if not typed:
                return EXIT_OK
            word = words.word_of(typed)
            words.refuse_operators(line, word)
            if word.name in ("exit", "help"):
                words.alone(typed)
            if word.name == "exit":
                return -1
            if word.name == "help":
                _say(help_text(columns(sys.stdout) or WIDEST))
                return EXIT_OK
            return self._do(typed)
        except UnderlayError as error:
            lines = error_lines(f"error: {error.message}", error.detail, error.hint)
            _say(wrapped("\n".join(lines), columns(sys.stdout)))
            return error.exit_code

    def _do(self, typed: list[str]) -> int:
        """Run what the words in ``typed`` are."""
        if typed[0] not in words.OF_THE_LAB:
            return self._do_own(typed)
        if typed[0] == "explain":
            # Whether it is allowed is the exercise's to say.
            code = self._do_own(typed)
            if code != EXIT_OK:
                return code
        code = EXIT_OK
        lines = words.command_lines(typed, self._where())
        output = -1
        for at, line in enumerate(lines):
            given, output = output, _memory() if at + 1 < len(lines) else -1
            code = self._run(_underlay(line), given=given, output=output)
            if given >= 0:
                os.close(given)
            if code != EXIT_OK or output < 0:
                break
            os.lseek(output, 0, os.SEEK_SET)
        if output >= 0:
            os.close(output)
        return code

    def _do_own(self, typed: list[str]) -> int:
        return self._own(typed) if callable(self._own) else self._run([*self._own, *typed])

    def _run(self, command: list[str], *, given: int = -1, output: int = -1) -> int:
        """Run ``command`` on this terminal, with which it does as it likes until it ends."""
        own = None if self._is_terminal or self._once else subprocess.DEVNULL
        with _same_terminal(), _interrupts_left_to_others():
            self._running = subprocess.Popen(
                command,
                stdin=given if given >= 0 else own,
                stdout=output if output >= 0 else None,
                cwd="/",
                env=os.environ | {paths.HOME: str(self._home), SEAT: "1"},
            )
            try:
                code = self._running.wait()
            finally:
                self._running = None
        if self._hung_up:
            raise HangUp
        code = code if code >= 0 else SIGNALLED - code
        if code >= SIGNALLED and self._is_terminal:
            # The ^C that somebody typed stands in the line that the next prompt would be in.
            _say("")
        return code

    def _read(self) -> str | None:
        """Return the next line; None at the end of what is typed."""
        while True:
            try:
                if not self._is_terminal:
                    line = sys.stdin.readline()
                    return line.rstrip("\r\n") if line else None
                return input(f"{sign_in.user(self._number)}> ")
            except KeyboardInterrupt:
                # What is half typed is given up, as in any shell.
                _say("")
            except EOFError:
                _say("")
                return None
            except UnicodeDecodeError:
                _say("that is not UTF-8")

    def _where(self) -> words.Places:
        """Return the names of the lab that is up in this seat; raise BadInput where none is."""
        before = os.environ.get(paths.HOME)
        os.environ[paths.HOME] = str(self._home)
        try:
            return _places()
        finally:
            _restore(paths.HOME, before)

    def _prepare_keys(self) -> None:
        """Have Tab complete words and names, and no key look at this machine."""
        if not self._is_terminal:
            return
        try:
            import readline
        except ImportError:
            return
        readline.set_completer(self._complete)
        readline.set_completer_delims(" \t")
        if "libedit" not in (readline.__doc__ or ""):
            readline.parse_and_bind("tab: complete")
            for keys in WITHOUT_KEYS:
                readline.parse_and_bind(f'"{keys}": ""')
        else:
            readline.parse_and_bind("bind ^I rl_complete")

    def _complete(self, _: str, state: int) -> str | None:
        import readline

        if state == 0:
            with suppress(UnderlayError):
                self._places = self._where()
        line = readline.get_line_buffer()[: readline.get_endidx()]
        typed = [*line[: readline.get_begidx()].split(), line[readline.get_begidx() :]]
        found = words.completions(typed, self._places or words.Places())
        return f"{found[state]} " if state < len(found) else None

    def _hang_up(self, *_: Any) -> None:
        """End at the prompt at once; what runs was told, too, and is waited for."""
        self._hung_up = True
        if self._running is None:
            raise HangUp


def play(seat: Seat) -> int:
    """Have the shell of ``seat`` in this terminal until somebody leaves; return the exit code."""
    from underlay.cli.seat_words import run_word

    return SeatShell(seat.number, seat.home, lambda typed: run_word(lambda: seat, typed)).loop()


def help_text(width: int = WIDEST) -> str:
    """Return what `help` shows: each word, and what it does, in ``width`` columns."""
    usages = max(len(word.usage) for word in words.WORDS.values() if len(word.usage) < LONG)
    lines = []
    for word in words.WORDS.values():
        if len(word.usage) < LONG:
            lines.append(f"  {word.usage:<{usages}}  {word.text}")
        else:
            lines += [f"  {word.usage}", f"  {'':<{usages}}  {word.text}"]
    return wrapped("\n".join((*lines, "", *NOTES)), width)


# Columns of a word's use beyond which what it does stands in a line of its own.
LONG = 30
NOTES = (
    "A stage is done when it is mended, as check shows, or when its question is answered, by"
    " answer. Its header says which. The question at the end of a story is to think about.",
    "",
    "A line is words, quoted as in a shell; | > $ and * mean nothing here. On a node they do:",
    "  exec core-01 -- sh -c 'ip address | grep eth1'",
    "Ctrl-C ends the word that runs, Ctrl-D leaves. Your seat's lab stays as it is; one of"
    " `workshop try` ends.",
)


def _underlay(arguments: list[str]) -> list[str]:
    return [sys.executable, "-P", "-m", "underlay", *arguments]


def _memory() -> int:
    """Return a file that lies in memory alone."""
    return os.memfd_create("frames", os.MFD_CLOEXEC)


def _places() -> words.Places:
    from underlay.cli.which_lab import running_labs, running_state

    if not running_labs():
        raise BadInput("no lab is up in your seat", hint="next  begins the exercise")
    return words.places_of(running_state(None).plan())


def _restore(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


@contextmanager
def _same_terminal() -> Iterator[None]:
    """Have the terminal afterwards as it was before, whatever a program has left it as."""
    before = None
    with suppress(termios.error, OSError, ValueError):
        before = termios.tcgetattr(sys.stdin.fileno())
    try:
        yield
    finally:
        if before is not None:
            with suppress(termios.error, OSError, ValueError):
                termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, before)


@contextmanager
def _interrupts_left_to_others() -> Iterator[None]:
    """Leave Ctrl-C to what runs; a handler, unlike ignoring it, isn't handed down."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _say(text: str) -> None:
    """Print on the terminal, which may be gone."""
    with suppress(OSError):
        print(text, flush=True)


def main(arguments: list[str]) -> int:
    """Run the shell of a seat, one line of it, or one of the exercise's words; return the code.

    ``arguments`` are the workshop's folder and the seat's number, and then nothing, ``--line`` and
    a line, or ``--word`` and the words of one.
    """
    workshop, number, *rest = arguments
    own = [sys.executable, "-P", "-m", "underlay.cli.seat_shell", workshop, number, "--word"]
    if rest[:1] == ["--word"]:
        from underlay.cli.seat_words import run_word

        return run_word(lambda: _seat(Path(workshop), int(number), rest[1]), rest[1:])
    _enter_groups(Path(workshop), int(number))
    home = Path(workshop) / "seats" / f"{int(number):02d}" / "home"
    shell = SeatShell(int(number), home, own, once=bool(rest))
    return shell.once(rest[1]) if rest else shell.loop()


def _seat(workshop: Path, number: int, word: str) -> Seat:
    """Return the seat that ``word`` is for; raise BadInput where the trainer doesn't let it be."""
    from underlay.workshop.record import read_workshop
    from underlay.workshop.seat import TRAINER

    room = read_workshop(workshop)
    if word == "skip" and number != TRAINER and not room.may_skip:
        raise BadInput("the trainer wants nothing skipped here", hint="hint  helps")
    return room.seat(number)


def _enter_groups(workshop: Path, number: int) -> None:
    """Let what this shell starts count as its seat's: ``reset`` boots the seat's nodes anew."""
    from underlay.workshop import limits
    from underlay.workshop.record import read_workshop

    with suppress(UnderlayError, OSError):
        limits.enter(read_workshop(workshop).groups_of(number))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
