"""The pages in docs/: their shell blocks, which are run as they stand, and their tables.

Each ``console`` block has a comment above it that says who runs it:

    <!-- tested: unit -->      no nodes needed, runs in the unit layer
    <!-- tested: coreos -->    needs the default lab, runs in the cluster layer
    <!-- tested: stopped -->   starts the default lab, which isn't up, in the cluster layer
    <!-- not tested: why -->   nobody runs it

A line after ``$ `` is a command, ``> `` continues it, and the lines below are what it
prints. A line ``…`` stands for any lines. A command that fails is followed by ``echo $?``.
"""

from __future__ import annotations

import difflib
import itertools
import os
import re
import signal
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import documents
from underlay.report.documents.kinds import VERSIONS, stamped
from underlay.storage.paths import cache, root

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
ANY_LINES = "…"
MARK = re.compile(r"<!-- (?:tested: (?P<where>unit|coreos|stopped)|not tested: (?P<why>.+)) -->")
DEADLINE = 400.0

# A busy machine loses packets, which check resends and mentions; the matrix is the same.
LOST = re.compile(r"\d+ packets? lost, and resent with success")

# What differs from run to run and from machine to machine, and what stands for it.
SCRUBBERS = (
    (re.compile(r"(?<![\w.])\d+\.\d+(?![\w.]*\d)"), "[NUMBER]"),
    (re.compile(r"\btime \d+ms"), "time [NUMBER]ms"),
    (re.compile(r"\b\d+ MiB"), "[NUMBER] MiB"),
    (re.compile(r"\b[0-9a-f]{16}\b"), "[KEY]"),
)


@dataclass(frozen=True)
class Step:
    """A command and the lines that the page shows below it."""

    command: str
    shown: tuple[str, ...]


@dataclass(frozen=True)
class Block:
    """A console block. ``where`` is a word of its mark, empty for a block that isn't run."""

    page: Path
    line: int
    where: str
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return f"{self.page.relative_to(DOCS)}:{self.line}"


def blocks(where: str) -> list[Block]:
    """Return the console blocks of all pages that are run in ``where``, page after page."""
    return [block for page in PAGES for block in blocks_of(page) if block.where == where]


def blocks_of(page: Path) -> list[Block]:
    """Return the page's console blocks; raise ValueError for one without a mark."""
    found = []
    lines = page.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if line.strip() != "```console":
            continue
        mark = MARK.fullmatch(lines[number - 1].strip())
        if mark is None:
            raise ValueError(f"{page}:{number + 1}: no mark says who runs this block")
        # In a list, a block and its marks are indented.
        indent = line[: len(line) - len(line.lstrip())]
        end = lines.index(f"{indent}```", number)
        steps = _steps([shown.removeprefix(indent) for shown in lines[number + 1 : end]])
        found.append(Block(page, number + 1, mark["where"] or "", steps))
    return found


def play(block: Block, folder: Path) -> list[str]:
    """Run the block's commands in ``folder``, which has an ``underlay``; return what is wrong."""
    script = folder / "block.sh"
    # The number after each command's output is its exit code, which `echo $?` sees as well.
    say = "code=$?; printf '\\n\\036%d\\n' $code; (exit $code)"
    lines = [line for step in block.steps for line in (step.command, say)]
    script.write_text("\n".join(lines) + "\n", encoding="utf-8")
    said = re.split(r"\n\x1e(\d+)\n", _run(["bash", str(script)], folder))
    problems: list[str] = []
    for number, step in enumerate(block.steps):
        if 2 * number + 1 >= len(said):
            return [*problems, f"{block}: `{step.command}` did not end"]
        text, code = said[2 * number], int(said[2 * number + 1])
        following = block.steps[number + 1 : number + 2]
        if code and not (following and following[0].command == "echo $?"):
            problems.append(f"{block}: `{step.command}` ends with {code}, which the page hides")
        if difference := compare(step.shown, scrubbed(text, folder)):
            problems.append(f"{block}: `{step.command}` prints something else\n{difference}")
    return problems


def compare(shown: tuple[str, ...], said: list[str]) -> str:
    """Return how the lines that a page shows differ from those that a command said."""
    wanted = scrubbed("\n".join(shown))
    pattern = "".join(
        r"(?:.*\n)*?" if line == ANY_LINES else re.escape(line) + "\n" for line in wanted
    )
    if re.fullmatch(pattern, "".join(f"{line}\n" for line in said)):
        return ""
    return "\n".join(difflib.unified_diff(wanted, said, "page", "command", lineterm="", n=1))


def scrubbed(text: str, folder: Path | None = None) -> list[str]:
    """Return the lines of ``text`` without what changes from run to run.

    ``folder`` is where a command ran. Its progress lines, which end in an
    ellipsis and which a terminal wipes away, are left out.
    """
    if folder is not None:
        for path, name in ((cache(), "/home/you/.cache/underlay"), (root(), "/home/you/underlay")):
            text = text.replace(str(path), name)
        lines = [line for line in text.split("\n") if not line.endswith(" …")]
        text = "\n".join(line for line in lines if not LOST.fullmatch(line))
    for pattern, stand_in in SCRUBBERS:
        text = pattern.sub(stand_in, text)
    return [line.rstrip() for line in text.strip("\n").split("\n")] if text.strip() else []


def section(page: Path, title: str) -> list[str]:
    """Return the lines below the page's heading ``title``, up to the next of its kind."""
    lines = page.read_text(encoding="utf-8").splitlines()
    if f"## {title}" not in lines:
        return []
    rest = lines[lines.index(f"## {title}") + 1 :]
    end = next((n for n, line in enumerate(rest) if line.startswith("## ")), len(rest))
    return rest[:end]


def parts(lines: list[str]) -> list[list[str]]:
    """Return what stands before the first subsection of ``lines``, and each subsection."""
    starts = [0, *(n for n, line in enumerate(lines) if line.startswith("### ")), len(lines)]
    return [lines[start:end] for start, end in itertools.pairwise(starts)]


def first_column(lines: list[str]) -> list[str]:
    """Return what stands in backticks in the first cell of each table row of ``lines``."""
    return [row[1] for line in lines if (row := re.match(r"\| `([^`]+)`", line))]


def fields(document: object, at: str = "") -> set[str]:
    """Return the dotted names of a JSON document's fields; ``[]`` follows a list of mappings."""
    if isinstance(document, dict) and document:
        return {
            name
            for key, value in document.items()
            for name in fields(value, f"{at}.{key}" if at else key)
        }
    if isinstance(document, list) and document and isinstance(document[0], dict):
        return {name for entry in document for name in fields(entry, f"{at}[]")}
    return {at}


# What every document says first; docs/json-documents.md tells of it for all.
STAMP = {"document", "version"}
CELL = ("source", "destination", "protocol", "family")


def _listed(page: Path) -> list[str]:
    """Return the fields that a page's table lists; one that is `a cell` has the fields of cells."""
    names = []
    for line in parts(section(page, "JSON"))[0]:
        for name in first_column([line]):
            cells = f"| `{name}` | a cell |" in line
            names += [f"{name}[].{part}" for part in CELL] if cells else [name]
    return names


def wrong_fields(page: Path, document: object, empty: Collection[str] = ()) -> list[str]:
    """Return how the page's table of JSON fields differs from a real document.

    A part in angle brackets, as in ``parents.<segment>``, stands for any key. A subsection
    is about another document. What of ``empty`` is an empty list or mapping in the document
    shows none of its fields there, and what the page says to be ``Not there`` at times may not be.
    How the document differs from its schema is told, too.
    """
    hidden = [name for name in empty if name in fields(document)]
    listed = [
        name
        for name in _listed(page)
        if not any(re.match(rf"{re.escape(one)}(\[\]|\.|$)", name) for one in hidden)
    ]
    patterns = {name: re.sub(r"<\w+>", r"[^.]+", re.sub(r"[\[\].]", r"\\\g<0>", name))
                for name in listed}  # fmt: skip
    real = fields(document) - set(hidden) - STAMP
    rows = parts(section(page, "JSON"))[0]
    optional = {name for row in rows if "Not there" in row for name in first_column([row])}
    problems = [
        f"{page.name} does not list {name}"
        for name in sorted(real)
        if not any(re.fullmatch(pattern, name) for pattern in patterns.values())
    ]
    if page.stem in VERSIONS and isinstance(document, dict):
        problems += documents.problems(page.stem, stamped(page.stem, document))
    return problems + [
        f"{page.name} lists {name}, which is not there"
        for name, pattern in patterns.items()
        if name not in optional and not any(re.fullmatch(pattern, other) for other in real)
    ]


def _steps(lines: list[str]) -> tuple[Step, ...]:
    steps: list[Step] = []
    for line in lines:
        if line.startswith("$ "):
            steps.append(Step(line[2:], ()))
        elif line.startswith("> ") and not steps[-1].shown:
            steps[-1] = Step(f"{steps[-1].command}\n{line[2:]}", ())
        else:
            steps[-1] = Step(steps[-1].command, (*steps[-1].shown, line))
    return tuple(steps)


def _run(arguments: list[str], folder: Path) -> str:
    """Run ``arguments`` and return all they print; past the deadline the whole group is killed."""
    leave_out = ("UNDERLAY_", "VAGRANT_", "PYTEST_", "COLUMNS", "FORCE_COLOR")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(leave_out)}
    process = subprocess.Popen(
        arguments,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**environment, "LC_ALL": "C.UTF-8"},
        start_new_session=True,
    )
    try:
        return process.communicate(timeout=DEADLINE)[0].decode(errors="replace")
    except BaseException:
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=DEADLINE)
        raise
