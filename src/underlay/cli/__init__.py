"""The command line: finds the verb, runs it, and turns whatever happens into an exit code.

Each verb is a module in ``verbs/``, of its own name and with a function ``command``. Only
the verb asked for is imported: ``--version``, ``--help`` and a mistyped verb import none, and
none of pydantic, typer and rich.
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from itertools import pairwise
from typing import Literal

from underlay.cli.error_lines import error_lines
from underlay.cli.interrupt import reset_exit, survive_closed_terminal, treat_as_interrupt
from underlay.cli.overview import is_verb, summaries, verb_lines
from underlay.cli.streams import repair
from underlay.cli.wrapping import columns, wrapped
from underlay.errors import (
    EXIT_INFRASTRUCTURE,
    EXIT_INTERRUPTED,
    EXIT_OK,
    BadInput,
    Interrupted,
    UnderlayError,
    did_you_mean,
    nearest,
    reason,
)
from underlay.storage.seated import in_seat

# State is in a checkout's own folder, or in the user's own; either follows its variable.
ELSEWHERE = (
    "where that can't be written: UNDERLAY_HOME names another folder for the state of labs, and"
    " XDG_CACHE_HOME one for images and other caches"
)
# What a file system refuses with, and what helps.
REFUSALS = {
    errno.ENOSPC: "make room there; `underlay doctor` says how much is needed",
    errno.EDQUOT: "make room there, or have the quota raised",
    errno.EROFS: ELSEWHERE,
    errno.EACCES: ELSEWHERE,
    errno.EFBIG: "`ulimit -f unlimited`, or a file system that takes larger files",
    errno.EIO: "the disk fails: `dmesg` says more",
    errno.ENOMEM: "end other programs; `underlay doctor` says how much memory is needed",
}

# What a failure is on stdout, for programs that read it there; on stderr it is text for people.
Told = Literal["text", "json", "nagios"]
# The verbs that a monitoring system may ask, with --format.
PROBES = ("check", "report")

# What a shell reports for a command that SIGPIPE ended, as in `underlay status | head -1`.
EXIT_READER_GONE = 141


def main(argv: list[str]) -> int:
    """Run the command line ``argv`` (without the program's name); return the exit code.

    Failures are printed to stderr. On stdout they are one JSON document where ``--json`` was
    asked for, and a plugin's line with ``--format nagios``, which has exit codes of its own.
    Nothing is raised.
    """
    repair()
    completing = os.environ.get("_UNDERLAY_COMPLETE", "")
    told = "text" if completing else _told(_options(argv))
    try:
        treat_as_interrupt()
        survive_closed_terminal()
        code = _complete(completing, argv) if completing else _dispatch(argv)
        sys.stdout.flush()
        return code
    except UnderlayError as error:
        return _fail(error.exit_code, error.message, error.hint, error.detail, told)
    except Interrupted as interrupt:
        reset_exit()
        return _fail(EXIT_INTERRUPTED, interrupt.message, interrupt.hint, "", told)
    except KeyboardInterrupt:
        reset_exit()
        return _fail(EXIT_INTERRUPTED, "interrupted", "", "", told)
    except Exception as error:  # noqa: BLE001 -- no traceback ever reaches a user
        if isinstance(error, BrokenPipeError) and (unread := _unread()):
            return _stop_writing(unread)
        if isinstance(error, OSError) and error.errno in REFUSALS:
            return _refused(error, told)
        return _unexpected(error, told)


def _dispatch(argv: list[str]) -> int:
    if not argv or argv[0] in ("--help", "-h", "help"):
        # `help` is what people type first; it is no verb and isn't listed.
        if len(argv) > 1 and argv[0] == "help":
            return _dispatch([argv[1], "--help"])
        print(_overview())
        return EXIT_OK
    if argv[0] == "--version":
        return _show_version(argv[1:])
    if not is_verb(argv[0]):
        raise BadInput(f"there is no verb {argv[0]!r}", hint=_nearest_verb(argv[0]))
    from underlay.cli.frame import run_verb

    return run_verb(argv[0], argv[1:])


def _complete(shell: str, typed: list[str]) -> int:
    """Answer a script of `underlay completion`, which asks what may stand at the cursor."""
    from underlay.cli.words import answer

    answer(shell, typed)
    return EXIT_OK


def _show_version(options: list[str]) -> int:
    if set(options) - {"--json"}:
        raise BadInput(f"--version takes no {options[0]!r}", hint="underlay --version [--json]")
    from underlay.cli.version import show

    show(as_json=bool(options))
    return EXIT_OK


def _overview() -> str:
    lines = ["Usage: underlay VERB [OPTIONS]", "", (sys.modules["underlay"].__doc__ or "").strip()]
    lines += verb_lines()
    lines += [
        "",
        "Options:",
        "  --version  Print the versions of Underlay and of what it stands on; with --json too.",
        "  --help     Print this text; `underlay VERB --help` explains a verb, with examples.",
        "",
        "Example:",
        "  underlay demo",
        "  underlay exec core-01 -- ip -brief address",
        "  underlay down",
    ]
    return "\n".join(lines)


def _nearest_verb(word: str) -> str:
    verb = nearest(word, summaries())
    return did_you_mean(f"`underlay {verb}`") if verb else "`underlay --help` lists the verbs"


def _options(argv: list[str]) -> list[str]:
    """Return the part of ``argv`` that is Underlay's own: what stands before ``--``."""
    return argv[: argv.index("--")] if "--" in argv else argv


def _told(options: list[str]) -> Told:
    """Return how a failure is told on stdout, as far as the words of the command line say it."""
    asked = "--format=nagios" in options or ("--format", "nagios") in pairwise(options)
    if asked and options[0] in PROBES:
        # A monitoring system takes the exit code for a verdict, whatever else is asked for.
        return "nagios"
    return "json" if "--json" in options else "text"


def _fail(code: int, message: str, hint: str, detail: str, told: Told) -> int:
    head = message if code == EXIT_INTERRUPTED else f"error: {message}"
    try:
        if told == "nagios":
            from underlay.report.nagios import nagios_failure

            line, code = nagios_failure(message)
            print(line, flush=True)
        if told == "json":
            import json

            from underlay.report.documents.kinds import stamped

            document = stamped("error", {"error": message, "hint": hint})
            print(json.dumps(document, indent=2), flush=True)
        lines = "\n".join(error_lines(head, detail, hint))
        if in_seat():
            lines = wrapped(lines, columns(sys.stderr))
        print(lines, file=sys.stderr)
    except BrokenPipeError:
        _stop_writing(_unread())
    return code


def _unexpected(error: Exception, told: Told) -> int:
    """Report a defect of Underlay itself: a line for the user, a traceback for who mends it."""
    from underlay.cli.crash import write_crash

    if os.environ.get("UNDERLAY_DEBUG") == "1":
        import traceback

        traceback.print_exception(error)
    path = write_crash(error)
    message = f"this is a defect of Underlay ({type(error).__name__}); its traceback is in {path}"
    return _fail(EXIT_INFRASTRUCTURE, message, "", "", told)


def _refused(error: OSError, told: Told) -> int:
    """Report that a file system doesn't take what is written: it is full, read-only or broken."""
    if error.filename is None and error.errno in (errno.ENOSPC, errno.EFBIG):
        # It was stdout that filled up; nothing more can be said there.
        _stop_writing([sys.stdout.fileno()])
        told = "text"
    message = f"{reason(error)}: {error.filename or 'stdout'}"
    return _fail(EXIT_INFRASTRUCTURE, message, REFUSALS[error.errno or 0], "", told)


def _unread() -> list[int]:
    """Return which of stdout and stderr, by their numbers, are pipes that nobody reads any more.

    It may also be a child's stdin that closed.
    """
    import select

    poll = select.poll()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            poll.register(stream.fileno(), 0)
    return [number for number, event in poll.poll(0) if event & select.POLLERR]


def _stop_writing(numbers: list[int]) -> int:
    """Point streams at nothing, or Python would complain when it flushes them at exit."""
    for number in numbers:
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    return EXIT_READER_GONE
