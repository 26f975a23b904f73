"""Reading lab files: what is refused, where the finger points, and that nothing else comes out."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from underlay.errors import EXIT_BAD_INPUT
from underlay.lab import Lab
from underlay.lab.text import MAX_BYTES, quoted, read_text, text_of
from underlay.lint.read import LabError, read_lab
from underlay.plan import make_plan

ROOT = Path(__file__).resolve().parents[3]
LABS = sorted((ROOT / "labs").rglob("*.yml"))
COREOS = (ROOT / "labs/coreos.yml").read_text(encoding="utf-8")


def read(folder: Path, content: str | bytes) -> Lab:
    path = folder / "lab.yml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_lab(path)


def problems(folder: Path, content: str | bytes) -> LabError:
    with pytest.raises(LabError) as caught:
        read(folder, content)
    return caught.value


@pytest.mark.parametrize("path", LABS, ids=lambda path: path.stem)
def test_our_labs_are_read(path: Path) -> None:
    lab = read_lab(path)
    assert make_plan(lab).lab == lab.name


def test_error_is_bad_input_with_a_next_step(tmp_path: Path) -> None:
    error = problems(tmp_path, "name: X\n")
    assert error.exit_code == EXIT_BAD_INPUT
    assert error.message == "\n".join(str(problem) for problem in error.problems)
    assert error.hint == f"mend the file, then run `underlay lint {tmp_path}/lab.yml`"


def test_marks_point_at_key_and_value(tmp_path: Path) -> None:
    error = problems(
        tmp_path, COREOS.replace("driver: macvlan,", "driver: macvlan, vlan: 5000, vlam: 7,")
    )
    line = next(i for i, text in enumerate(COREOS.splitlines(), 1) if "lannet: {" in text)
    text = (tmp_path / "lab.yml").read_text().splitlines()[line - 1]
    assert [(p.line, p.column, p.where) for p in error.problems] == [
        (line, text.index("5000") + 1, "networks.lannet.vlan"),
        (line, text.index("vlam") + 1, "networks.lannet"),
    ]
    assert error.problems[1].hint == "did you mean vlan?"


def test_problems_come_in_file_order_and_once(tmp_path: Path) -> None:
    content = (ROOT / "tests/golden/errors/many.yml").read_text(encoding="utf-8")
    places = [(p.line, p.column) for p in problems(tmp_path, content).problems]
    assert places == sorted(places)
    assert len(set(problems(tmp_path, content).problems)) == len(places) >= 10


@pytest.mark.parametrize(
    ("found", "wrong"),
    [
        ('"70"', 'vlan: "70"'),
        ("2.0", "mtu: 2.0"),
        ("true", "vlan: true"),
        ("12", "subnet: 12"),
        ("'no'", "sliced: no"),
        ("1", "sliced: 1"),
        ("20.1", "gateway: 20.1"),
    ],
)
def test_nothing_is_converted_silently(tmp_path: Path, found: str, wrong: str) -> None:
    key = wrong.partition(":")[0]
    good = "subnet: 20.1.1.0/24, " if key == "subnet" else "driver: macvlan, "
    content = COREOS.replace(good, f"{wrong}, " + ("" if key == "subnet" else good), 1)
    error = problems(tmp_path, content)
    assert [(p.where, p.found) for p in error.problems] == [
        (f"networks.lannet.{key}", found.replace('"', "'"))
    ]


@pytest.mark.parametrize(
    ("content", "spot", "found"),
    [
        (b"\xff\xfename", "1:1", "the byte 0xff, not UTF-8"),
        (b"name: a\n\x00\x01", "2:1", "a NUL byte: this is no text"),
        (b"\x7fELF\x02\x00", "1:6", "a NUL byte: this is no text"),
        (b"name: \x07\n", "1:7", "the control character U+0007"),
        (b"", "1:1", "an empty file"),
        (b"   \n\n", "1:1", "an empty file"),
        (b"---\n...\n", "2:1", "an empty file"),
        (b"coreos\n", "1:1", "a single value"),
        (b"[a, b]\n", "1:1", "a list"),
        (b"\tname: a\n", "1:1", "a tab"),
        (b'name: "\\U00110000"\n', "1:1", "no YAML (chr() arg not in range(0x110000))"),
        (b"a: &x [*x]\n", "1:8", "the alias *x"),
    ],
)
def test_text_that_is_no_lab(tmp_path: Path, content: bytes, spot: str, found: str) -> None:
    (problem,) = problems(tmp_path, content).problems
    assert (f"{problem.line}:{problem.column}", problem.found) == (spot, found)


def test_byte_order_mark_and_dos_line_ends_do_no_harm(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + COREOS.encode().replace(b"\n", b"\r\n")
    assert read(tmp_path, content) == read_lab(ROOT / "labs/coreos.yml")


def test_aliases_are_filled_in(tmp_path: Path) -> None:
    shared = COREOS.replace("networks: [lannet]", "networks: &n [lannet]").replace(
        "networks: [ipnet]", "networks: *n"
    )
    assert [group.networks for group in read(tmp_path, shared).containers] == [["lannet"]] * 2


def test_words_mean_what_they_look_like(tmp_path: Path) -> None:
    text = "[on, no, 010, 0x10, 0o10, 1e3, .5, ~, 'true', !!str 7, 2024-01-01]"
    assert text_of("lab.yml", text).data == [
        *("on", "no", 10, 16, 8, 1000.0, 0.5, None, "true", "7", "2024-01-01")
    ]


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lab.yml").write_text(COREOS)
    os.mkfifo("pipe.yml")
    (tmp_path / "big.yml").write_bytes(b"#" * (MAX_BYTES + 1))
    expected = {
        "lba.yml": "found no such file, expected a lab file\n  hint: did you mean lab.yml?",
        "nowhere/lab.yml": "found no such file, expected a lab file",
        ".": "found a folder, expected a lab file\n  hint: did you mean big.yml?",
        "pipe.yml": "found a device or a pipe, expected a regular file",
        "big.yml": "found more than 1 MiB, expected a lab file of some kilobytes",
        "lab.yml/x": "found a file that cannot be read (not a directory), expected a lab file",
        "a" * 300: "found no possible file name, expected a lab file",
        "\0": "found no possible file name, expected a lab file",
    }
    for name, message in expected.items():
        with pytest.raises(LabError) as caught:
            read_lab(Path(name))
        kind = "too-large" if "1 MiB" in message else "unreadable-file"
        first, line_end, hint = message.partition("\n")
        assert caught.value.message == f"{name}: {first} [{kind}]{line_end}{hint}"


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        "{a: " * 100_000,
        "- " * 100_000,
        "? " * 100_000,
        "&a " * 100_000,
        "a: " * 100_000,
        "- a\n" * 200_000,
        "'" * 500_000,
        "a\n" * 200_000,
        "".join(f"a{i}: &a{i} [*a{i - 1}]\n" if i else "a0: &a0 x\n" for i in range(2000)),
        "a: &a [x, x]\n" + "".join(f"b{i}: &a [*a, *a]\n" for i in range(60)),
        "name: " + "9" * 10_000 + "\n",
        "vlan: 1e" + "9" * 10_000 + "\n",
    ],
    ids=range(13),
)
def test_hostile_text_ends_soon(tmp_path: Path, content: str) -> None:
    begin = time.monotonic()
    problems(tmp_path, content)
    # Measured: under a second for each; a machine under load is given room.
    assert time.monotonic() - begin < 20


def test_long_values_are_cut() -> None:
    assert quoted("x" * 500) == "'" + "x" * 49 + "… (500 characters)"


def test_a_misspelt_key_is_not_reported_missing_too(tmp_path: Path) -> None:
    error = problems(tmp_path, COREOS.replace("driver: macvlan", "drivr: macvlan"))
    assert [(p.found, p.hint) for p in error.problems] == [
        ("the key 'drivr'", "did you mean driver?")
    ]


def test_one_bad_key_hides_no_other_problem(tmp_path: Path) -> None:
    content = COREOS.replace("driver: macvlan, segment: lan", "driver: macvlam, segment: lam")
    assert [p.hint for p in problems(tmp_path, content).problems] == [
        "did you mean macvlan?",
        "did you mean lan?",
    ]


def test_network_in_its_own_segments_subnet(tmp_path: Path) -> None:
    content = COREOS.replace("20.1.1.0/24", "192.168.70.0/24")
    plan = make_plan(read(tmp_path, content))
    own = {nic.address for node in plan.nodes for nic in node.nics}
    assert own.isdisjoint(a.address for c in plan.containers for a in c.attachments)


def test_reading_alone_knows_nothing_of_labs(tmp_path: Path) -> None:
    (tmp_path / "x.yml").write_text("a: {b: [1, two]}\n")
    text = read_text(tmp_path / "x.yml")
    assert text.data == {"a": {"b": [1, "two"]}}
    assert text.mark(("a", "b", 1)) == (1, 12)
    assert text.key_mark(("a", "b")) == (1, 5)


def test_a_port_in_the_protocol_is_said_to_stand_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "lab.yml"
    file.write_text(
        "name: x\nnodes: 2\nsegments: {lan: {subnet: 192.168.70.0/24}}\n"
        "networks: {red: {driver: macvlan, segment: lan, subnet: 10.1.1.0/24}}\n"
        "containers: [{networks: [red], addresses: 10.1.1.10}]\n"
        'filters: [{on: red, protocol: "tcp:5432", action: drop}]\n'
    )
    with pytest.raises(LabError) as raised:
        read_lab(file)
    first, second = raised.value.problems
    assert first.expected == "a mapping of at most 8, such as {lannet: 10.1.1.10}"
    assert second.hint == "write protocol: tcp, port: 5432"
