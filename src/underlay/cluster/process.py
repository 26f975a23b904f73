"""Running other programs: always an argument list, a deadline and captured output."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from underlay.cluster.interrupts import interrupts_wait
from underlay.errors import Infrastructure, reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

TAIL_LINES = 20
# Control sequences, strings of a system command, and the escapes of two signs.
SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\].*?(?:\x07|\x1b\\)|[ -/]*[0-~])")
# It waits for what it has told to end, and takes away what that leaves: mmdebstrap a folder of gpg.
GUARD = """\
trap 'trap "" TERM; kill -TERM 0' TERM
"$@" &
wait $!
code=$?
wait
rm -rf -- "$TMPDIR"
exit $code"""


def run(
    arguments: list[str],
    *,
    deadline: float,
    input_text: str | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    check: bool = True,
    on_line: Callable[[str], None] | None = None,
    meanwhile: Callable[[], None] = lambda: None,
    name: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run ``arguments`` and return its exit code and output, both streams as text.

    ``deadline`` is in seconds; past it, or on an interrupt, the whole process
    group is ended. ``environment`` is added to this process's own. ``on_line``
    is handed each line of standard error as it comes. ``meanwhile`` is called once the program
    has been started; the deadline counts from its end, and what it raises ends the program.
    ``name`` is what errors call the program, where it isn't the first word. Raises Infrastructure
    when the program is missing, is too slow, or (with ``check``) fails.
    """
    name = name or os.path.basename(arguments[0])
    said: list[str] = []
    reader = None
    try:
        with _program(
            name,
            arguments,
            stdin=subprocess.DEVNULL if input_text is None else subprocess.PIPE,
            folder=folder,
            environment=environment or {},
        ) as process:
            meanwhile()
            if on_line is not None:
                reader = threading.Thread(
                    target=_read_lines, args=(process, said, on_line), daemon=True
                )
                reader.start()
                out = _read_all(process, deadline)
                reader.join(timeout=5)
                err = "".join(said)
            else:
                out, err = process.communicate(input_text, timeout=deadline)
    except subprocess.TimeoutExpired as error:
        raise Infrastructure(
            f"{name} did not finish within {deadline:.0f} s", detail=tail("".join(said))
        ) from error
    if check and process.returncode:
        raise Infrastructure(how_it_failed(name, process.returncode), detail=tail(err or out))
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


@contextmanager
def _program(
    name: str,
    arguments: list[str],
    *,
    stdin: int,
    folder: Path | None,
    environment: Mapping[str, str],
) -> Iterator[subprocess.Popen[str]]:
    """Start a program in a process group of its own; whatever is raised meanwhile ends the group.

    ``name`` is what an error calls it. Raises Infrastructure where it can't be started.
    """
    process = None
    try:
        with interrupts_wait():
            try:
                process = subprocess.Popen(
                    arguments,
                    stdin=stdin,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    errors="replace",
                    cwd=folder,
                    env={**os.environ, **environment},
                    start_new_session=True,
                )
            except OSError as error:
                raise Infrastructure(
                    f"{name} cannot be run: {reason(error)}", hint="underlay doctor"
                ) from error
        yield process
    except BaseException:
        if process is not None:
            end_group(process)
        raise


def run_bytes(
    arguments: list[str], given: bytes, *, deadline: float
) -> subprocess.CompletedProcess[bytes]:
    """Run ``arguments`` with ``given`` on standard input; return exit code and output as bytes.

    Raises Infrastructure where the program is missing, or is ended past ``deadline`` seconds.
    """
    name = os.path.basename(arguments[0])
    try:
        return subprocess.run(
            arguments, input=given, capture_output=True, timeout=deadline, check=False
        )
    except OSError as error:
        raise Infrastructure(
            f"{name} cannot be run: {reason(error)}", hint="underlay doctor"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise Infrastructure(f"{name} did not finish within {deadline:.0f} s") from error


def with_its_starter(arguments: list[str]) -> list[str]:
    """Return the argument list that runs ``arguments`` no longer than the thread that starts it.

    Where that ends, by whatever cause, all of the process group is told to end. However it
    ends, ``$TMPDIR`` is removed, which has to be a folder of its own.
    """
    return ["setpriv", "--pdeathsig", "TERM", "--", "sh", "-c", GUARD, "sh", *arguments]


def end_group(process: subprocess.Popen[str]) -> None:
    """End a process that ``run`` started, with its children: first politely, then for good."""
    for sign, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        try:
            os.killpg(process.pid, sign)
        except (ProcessLookupError, PermissionError):
            break
        try:
            process.wait(timeout=patience)
        except subprocess.TimeoutExpired:
            continue
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None and not stream.closed:
            stream.close()


def close(process: subprocess.Popen[bytes], patience: float) -> None:
    """End a program that ends with its standard input; kill it past ``patience`` seconds."""
    if process.stdin:
        with suppress(OSError, ValueError):
            process.stdin.close()
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def how_it_failed(name: str, code: int) -> str:
    """Return the sentence for a program that failed; ``code`` is negative for a signal."""
    if code >= 0:
        return f"{name} failed with exit code {code}"
    names = {each.value: each.name for each in signal.Signals}
    return f"{name} was ended by {names.get(-code, f'signal {-code}')}"


def readable(text: str) -> str:
    """Return what a terminal would show of ``text``, line by line, without what colours and moves.

    Sequences are left out whole (ECMA-48, 5.4 and 8.3): of one without its first sign a remnant
    such as ``[0;1;31m`` would stay.
    """
    plain = SEQUENCE.sub("", text.replace("\r\n", "\n"))
    return "".join(c for c in plain if c.isprintable() or c in "\n\t")


def tail(text: str, lines: int = TAIL_LINES) -> str:
    """Return the last ``lines`` non-empty lines of ``text``."""
    return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])


def refuse(failures: list[str], also: str = "") -> None:
    """Raise Infrastructure where something failed: the first is the message, all the detail.

    ``also`` is what else there is to say.
    """
    if failures:
        message = headline(failures)
        said = [*(failures[:TAIL_LINES] if failures != [message] else []), also]
        raise Infrastructure(message, detail="\n".join(filter(None, said)))


def headline(failures: list[str]) -> str:
    """Return the first of ``failures``, which begin with their nodes, and how many more failed."""
    first, *others = failures
    more = f" (and {len(others)} more)" if others else ""
    return "".join(first.splitlines()[:1]) + more


def _read_lines(
    process: subprocess.Popen[str], said: list[str], on_line: Callable[[str], None]
) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        said.append(line)
        on_line(line.rstrip())


def _read_all(process: subprocess.Popen[str], deadline: float) -> str:
    """Collect standard output while another thread reads standard error."""
    assert process.stdout is not None
    stdout = process.stdout
    out: list[str] = []
    reader = threading.Thread(target=lambda: out.extend(stdout), daemon=True)
    reader.start()
    process.wait(timeout=deadline)
    reader.join(timeout=5)
    return "".join(out)
