"""The command line: finds the verb, runs it, and turns whatever happens into an exit code.

Each verb is a module of its own name with a function ``command``. Only the verb
asked for is imported: ``--version``, ``--help`` and a mistyped verb need none of
pydantic, typer and rich.
"""

from __future__ import annotations

import errno
import os
import sys

from underlay.cli.interrupt import reset_exit, treat_as_interrupt
from underlay.cli.terminal import outlive
from underlay.errors import (
    EXIT_INFRASTRUCTURE,
    EXIT_INTERRUPTED,
    EXIT_OK,
    BadInput,
    Interrupted,
    UnderlayError,
)

# What a file system refuses with, and what helps.
REFUSALS = {
    errno.ENOSPC: "make room there; `underlay doctor` says how much is needed",
    errno.EDQUOT: "make room there, or have the quota raised",
    errno.EROFS: "set XDG_CACHE_HOME and XDG_STATE_HOME to folders that can be written",
    errno.EACCES: "set XDG_CACHE_HOME and XDG_STATE_HOME to folders that can be written",
    errno.EIO: "the disk fails: `dmesg` says more",
    errno.ENOMEM: "end other programs; `underlay doctor` says how much memory is needed",
}

# What a shell reports for a command that SIGPIPE ended, as in `underlay status | head -1`.
EXIT_READER_GONE = 141

# The summaries repeat the first lines of the verbs' docstrings, which a test compares:
# importing every verb to list them would cost half a second.
VERBS: dict[str, dict[str, str]] = {
    "Labs": {
        "demo": "Start the default lab, measure its matrix and leave it running.",
        "up": "Start a lab: its nodes, its networks and its containers.",
        "check": "Measure who reaches whom in a lab and compare it with the prediction.",
        "switch": "Turn a running lab into another one without a reboot.",
        "converge": "Make a running lab what its lab file says now, by one Ansible task.",
        "explain": "Say why cells of a running lab differ from the prediction.",
        "down": "Stop a lab and leave nothing of it behind.",
    },
    "Running labs": {
        "status": "Show a running lab: its nodes, containers and switch.",
        "ssh": "Open a shell on a node, or run a command there as the lab's user.",
        "exec": "Run a command as root in a node, a container or the switch.",
        "capture": "Capture frames in a running lab into a pcap file.",
        "trace": "Send one packet and show where it was seen, hop by hop, there and back.",
        "env": "Print the variables for using Vagrant by hand on a lab.",
    },
    "Faults": {
        "faults": "List the faults that Underlay knows, by the stage at which they show.",
        "break": "Bring a fault about in a running lab, to see what it looks like.",
        "mend": "Undo all that `break` has done to a running lab, and measure it.",
    },
    "Files": {
        "render": "Write every file of a lab's nodes without starting any.",
        "lint": "Find a lab's mistakes before any node starts, or those of real hosts.",
        "image": "Build the nodes' image, show what is cached, or carry it to another machine.",
        "schema": "Print the JSON Schema of lab files, for editors.",
    },
    "This machine": {
        "doctor": "Check that this machine can run labs, or an image what labs need of it.",
        "bench": "Measure how fast Underlay is on this machine, or how fast packets are.",
        "soak": "End commands at random moments, and prove that nothing is left behind.",
        "test": "Run Underlay's own tests, layer by layer.",
        "completion": "Print the script with which a shell completes Underlay's commands.",
    },
}


def main(argv: list[str]) -> int:
    """Run the command line ``argv`` (without the program's name); return the exit code.

    Failures are printed to stderr, and as one JSON document to stdout where
    ``--json`` was asked for. Nothing is raised.
    """
    completing = os.environ.get("_UNDERLAY_COMPLETE", "")
    as_json = not completing and "--json" in _options(argv)
    try:
        treat_as_interrupt()
        outlive()
        code = _complete(completing, argv) if completing else _dispatch(argv)
        sys.stdout.flush()
        return code
    except UnderlayError as error:
        return _fail(error.exit_code, error.message, error.hint, error.detail, as_json)
    except Interrupted as interrupt:
        reset_exit()
        return _fail(EXIT_INTERRUPTED, interrupt.message, interrupt.hint, "", as_json)
    except KeyboardInterrupt:
        reset_exit()
        return _fail(EXIT_INTERRUPTED, "interrupted", "", "", as_json)
    except Exception as error:  # noqa: BLE001 -- no traceback ever reaches a user
        if isinstance(error, BrokenPipeError) and _reader_is_gone():
            return _stop_writing()
        if isinstance(error, OSError) and error.errno in REFUSALS:
            return _refused(error, as_json)
        return _unexpected(error, as_json)


def summaries() -> dict[str, str]:
    """Return every verb with its one-line summary, in the order of ``--help``."""
    return {name: line for group in VERBS.values() for name, line in group.items()}


def _dispatch(argv: list[str]) -> int:
    if not argv or argv[0] in ("--help", "-h", "help"):
        # `help` is what people type first; it is no verb and isn't listed.
        if len(argv) > 1 and argv[0] == "help":
            return _dispatch([argv[1], "--help"])
        print(_overview())
        return EXIT_OK
    if argv[0] == "--version":
        return _show_version(argv[1:])
    if argv[0] not in summaries():
        raise BadInput(f"there is no verb {argv[0]!r}", hint=_nearest(argv[0]))
    from underlay.cli.frame import run_verb

    return run_verb(argv[0], argv[1:])


def _complete(shell: str, typed: list[str]) -> int:
    """Answer a script of `underlay completion`, which asks what may stand at the cursor."""
    from underlay.cli.words import answer

    answer(shell, typed, summaries())
    return EXIT_OK


def _show_version(options: list[str]) -> int:
    if set(options) - {"--json"}:
        raise BadInput(f"--version takes no {options[0]!r}", hint="underlay --version [--json]")
    from underlay.cli.version import show

    show(as_json=bool(options))
    return EXIT_OK


def _overview() -> str:
    lines = ["Usage: underlay VERB [OPTIONS]", "", (sys.modules["underlay"].__doc__ or "").strip()]
    for group, entries in VERBS.items():
        lines += ["", f"{group}:"]
        lines += [f"  {name:<10} {summary}" for name, summary in entries.items()]
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


def _nearest(word: str) -> str:
    import difflib

    near = difflib.get_close_matches(word, summaries(), n=1, cutoff=0.5)
    return f"did you mean `underlay {near[0]}`?" if near else "`underlay --help` lists the verbs"


def _options(argv: list[str]) -> list[str]:
    """The part of ``argv`` that is Underlay's own: after ``--`` comes somebody else's."""
    return argv[: argv.index("--")] if "--" in argv else argv


def _fail(code: int, message: str, hint: str, detail: str, as_json: bool) -> int:
    try:
        if as_json:
            import json

            print(json.dumps({"error": message, "hint": hint}, indent=2), flush=True)
        head = message if code == EXIT_INTERRUPTED else f"error: {message}"
        print(head, file=sys.stderr)
        if detail:
            print(detail.rstrip(), file=sys.stderr)
        if hint:
            print("", *(f"hint: {line}" for line in hint.splitlines()), sep="\n", file=sys.stderr)
    except BrokenPipeError:
        _stop_writing()
    return code


def _unexpected(error: Exception, as_json: bool) -> int:
    """A defect of Underlay itself: one line for the user, the traceback for whoever mends it."""
    from underlay.cli.crash import write_crash

    if os.environ.get("UNDERLAY_DEBUG") == "1":
        import traceback

        traceback.print_exception(error)
    path = write_crash(error)
    message = f"this is a defect of Underlay ({type(error).__name__}); its traceback is in {path}"
    return _fail(EXIT_INFRASTRUCTURE, message, "", "", as_json)


def _refused(error: OSError, as_json: bool) -> int:
    """A file system that can't take what Underlay writes: full, read-only, closed, or broken."""
    if error.filename is None and error.errno == errno.ENOSPC:
        # It was stdout that filled up; nothing more can be said there.
        _stop_writing()
        as_json = False
    message = f"{error.strerror}: {error.filename or 'stdout'}"
    return _fail(EXIT_INFRASTRUCTURE, message, REFUSALS[error.errno or 0], "", as_json)


def _reader_is_gone() -> bool:
    """Whether nobody reads stdout any more, as opposed to a child's stdin having closed."""
    import select

    poll = select.poll()
    try:
        poll.register(sys.stdout.fileno(), 0)
    except (OSError, ValueError):
        return False
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _stop_writing() -> int:
    """Point stdout at nothing, or Python would complain when it flushes it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_READER_GONE
