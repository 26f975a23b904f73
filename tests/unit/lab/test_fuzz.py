"""Lab files and hosts' files that nobody would write: no traceback, no hang, no end of memory.

Each input is a real file, spoilt: cut, doubled, with words in the wrong place, or with
values of another kind. Every day a few hundred are tried, the same ones; all of them
with `--all`.
"""

from __future__ import annotations

import json
import resource
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from underlay.errors import BadInput
from underlay.fleet import read_hosts
from underlay.fleet.carried import carry, lab_text
from underlay.lab import Lab
from underlay.lab.text import LabText, text_of
from underlay.lint import lint_lab
from underlay.lint.hosts import lint_hosts
from underlay.lint.problems import problem_findings
from underlay.lint.read import LabError, problems_of, read_lab_text
from underlay.plan import make_plan
from underlay.proof.records import keeping

Input = TypeVar("Input")
ROOT = Path(__file__).resolve().parents[3]
LABS = [
    *sorted((ROOT / "labs").rglob("*.yml")),
    *sorted((ROOT / "tests/golden/errors").glob("*.yml")),
    *sorted((ROOT / "tests/golden/rules").glob("*.yml")),
]
HOSTS = sorted((ROOT / "tests/golden/hosts").glob("*.txt"))
FLEETS = sorted((ROOT / "tests/golden/fleets").glob("*.txt"))
# For one input, on a machine under load; measured are some hundredths of a second.
PATIENCE = 10.0
MEBIBYTE = 1 << 10  # ru_maxrss counts in kibibytes
MOST_GROWTH = 256 * MEBIBYTE

DAILY, ALL = 150, 5_000
SNIPPETS = [
    *("\t", "\0", "\ufeff", "  ", "\n", "\n  ", ": ", "- ", "[", "]", "{", "}", "'", '"', "#"),
    *("&a ", "*a ", "!!int ", "!x ", "<<: *a", "| ", "> ", "%YAML 1.1\n---\n", "---\n", "? "),
    *("null", "true", "1e999", "-1", "0", "99999999999999999999", "\\U00110000", "é", "\ud83d"),
    *("0.0.0.0/0", "20.1.1.0/31", "255.255.255.255/32", "20.1.1.0/24", "eth0", "eth1.0", "eth2.70"),
    *("gateway: 20.1.1.1, ", "vlan: 70, ", "mode: l3, ", "sliced: false, ", "mtu: 1500, "),
    *("runtime: docker, ", "default_route: gateway, ", "count: 200, ", "parent: eth1, "),
    *("::/0", "fd00::/126", "fe80::1%eth1", "/", "=", "[Match]\n", "\\u0000", "10.1.0.0/99"),
]
# In the place of any value of a JSON file.
JUNK: list[Any] = [None, True, -1, 2**70, 1.5, "", "x" * 300, [], {}, [[]], [None], {"": {}}, "::"]


@st.composite
def spoilt(draw: st.DrawFn, text: str) -> bytes:
    """A text with up to four pieces replaced, and now and then bytes that aren't UTF-8."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        piece = draw(st.sampled_from(SNIPPETS) | st.text(max_size=4) | st.just(text[start:end] * 2))
        text = text[:start] + piece + text[end:]
    content = text.encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 9)) == 0:
        content = content[: draw(st.integers(0, len(content)))] + draw(st.binary(max_size=4))
    return content


@st.composite
def lab_files(draw: st.DrawFn) -> bytes:
    return draw(spoilt(draw(st.sampled_from(LABS)).read_text(encoding="utf-8")))


@st.composite
def host_files(draw: st.DrawFn, cases: list[Path] = HOSTS) -> dict[str, bytes]:
    """The files of one case of the host rules, or of a fleet, of which one is spoilt."""
    case = draw(st.sampled_from(cases)).read_text(encoding="utf-8")
    parts = case.split("-- ")[1:]
    texts = dict(part.split(" --\n", 1) for part in parts if " --\n" in part)
    files = {name: text.encode() for name, text in texts.items()}
    name = draw(st.sampled_from(sorted(texts)))
    data = loaded(texts[name])
    if isinstance(data, dict) and draw(st.booleans()):
        files[name] = json.dumps(draw(twisted(data))).encode()
    else:
        files[name] = draw(spoilt(texts[name]))
    return files


@st.composite
def twisted(draw: st.DrawFn, data: dict[str, Any]) -> dict[str, Any]:
    """A mapping, one of whose values, at whatever depth, is of another kind than it should."""
    if not data:
        return {draw(st.text(max_size=3)): draw(st.sampled_from(JUNK))}
    key = draw(st.sampled_from(sorted(data)))
    inner = data[key]
    deeper = isinstance(inner, dict) and draw(st.booleans())
    return {**data, key: draw(twisted(inner)) if deeper else draw(st.sampled_from(JUNK))}


def loaded(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


@contextmanager
def bounded() -> Iterator[None]:
    """Fail where what is inside takes too long or keeps too much."""

    def late(number: int, frame: object) -> None:
        raise AssertionError(f"still at it after {PATIENCE} s")

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    old = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_GROWTH


def rounds(count: int) -> settings:
    slow = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(max_examples=count, deadline=None, derandomize=True, suppress_health_check=slow)


def outcome(path: Path) -> tuple[Lab, LabText] | LabError:
    try:
        return read_lab_text(path)
    except LabError as error:
        return error


def try_lab(folder: Path, content: bytes) -> str:
    """Read, and plan and lint where that is possible; return what became of the file."""
    path = folder / "lab.yml"
    path.write_bytes(content)
    with bounded():
        result = outcome(path)
        if isinstance(result, LabError):
            findings = problem_findings(result.problems)
            assert findings
            assert all(finding.reason and finding.cure for finding in findings)
            assert result.message.encode()
        else:
            # What is accepted can be planned and linted.
            lab, text = result
            lint_lab(lab, text, make_plan(lab))
    return "refused" if isinstance(result, LabError) else "accepted"


def try_hosts(folder: Path, files: dict[str, bytes]) -> str:
    """Read and lint the hosts' files; return what became of them."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    names = sorted({name.partition("/")[0] for name in files})
    became = "linted"
    with bounded():
        try:
            findings = lint_hosts(read_hosts([f"{name}={folder / name}" for name in names]))
        except BadInput:
            became, findings = "refused", []
        for finding in findings:
            assert finding.reason
            assert finding.cure
            assert str(finding).encode()
    for name in files:
        (folder / name).unlink()
    return became


def try_import(folder: Path, files: dict[str, bytes]) -> str:
    """Make a lab of the hosts' files; return what became of them.

    What isn't refused is YAML that says just what was made, whether or not it is a lab.
    """
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    names = sorted({name.partition("/")[0] for name in files})
    became = "a lab"
    with bounded():
        try:
            hosts = read_hosts([f"{name}={folder / name}" for name in names], inside=True)
            carried = carry(hosts, {}, "lab")
            text = text_of("lab.yml", lab_text(carried, len(files)))
            assert text.data == carried.lab
            became = "no lab" if problems_of(text) else became
        except BadInput:
            became = "refused"
    for name in files:
        (folder / name).unlink()
    return became


@rounds(DAILY)
@given(files=host_files(cases=FLEETS * 20 + HOSTS))
def test_imports(tmp_path: Path, files: dict[str, bytes]) -> None:
    try_import(tmp_path, files)


@pytest.mark.all
def test_thousands_of_imports(tmp_path: Path) -> None:
    seen = thousands(host_files(cases=FLEETS * 20 + HOSTS), partial(try_import, tmp_path))
    assert seen["a lab"] > seen.total() / 10


@rounds(DAILY)
@given(content=lab_files())
def test_labs(tmp_path: Path, content: bytes) -> None:
    try_lab(tmp_path, content)


@rounds(DAILY)
@given(files=host_files())
def test_hosts(tmp_path: Path, files: dict[str, bytes]) -> None:
    try_hosts(tmp_path, files)


@pytest.mark.all
def test_thousands_of_labs(tmp_path: Path) -> None:
    seen = thousands(lab_files(), partial(try_lab, tmp_path))
    keep("labs", seen)


@pytest.mark.all
def test_thousands_of_hosts(tmp_path: Path) -> None:
    seen = thousands(host_files(), partial(try_hosts, tmp_path))
    keep("hosts", seen)


def thousands(inputs: st.SearchStrategy[Input], tried: Callable[[Input], str]) -> Counter[str]:
    """Return how many of ``inputs`` became what, as ``tried`` says of each."""
    seen: Counter[str] = Counter()

    @rounds(ALL)
    @given(one=inputs)
    def every(one: Input) -> None:
        seen[tried(one)] += 1

    every()
    return seen


def keep(kind: str, seen: Counter[str]) -> None:
    """Write into docs/proof/fuzz.json how many inputs there were and what became of them."""
    keeping.keep("fuzz", {kind: {"inputs": seen.total(), "ends": dict(sorted(seen.items()))}})
