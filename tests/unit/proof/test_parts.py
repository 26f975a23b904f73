"""Shares of the full proof: each test in exactly one, the same on every machine, none too long."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from underlay.cluster.process import run
from underlay.errors import BadInput
from underlay.proof import own_tests, parts
from underlay.proof.own_tests import Layer
from underlay.proof.parts import LAYERS, Share, SuiteTest, enough, parse_part, split, units
from underlay.proof.records import keeping
from underlay.proof.records.origin import here

LABS = ("lab coreos", "lab bond")
few = settings(max_examples=60, deadline=None)


@st.composite
def proofs(draw: st.DrawFn) -> tuple[list[SuiteTest], dict[str, float]]:
    """Draw tests as pytest collects them, and how long some of them took."""
    drawn = draw(
        st.lists(
            st.tuples(st.sampled_from(LAYERS), st.sampled_from(("", *LABS)), st.booleans()),
            max_size=60,
        )
    )
    tests, known = [], {}
    for number, (layer, lab, slow) in enumerate(drawn):
        file = f"tests/{layer}/test_{number % 4}.py"
        name = f"{file}::test_{number}"
        unit = lab if lab and layer == "cluster" else name if slow else file
        tests.append(SuiteTest(name, unit, slow))
        if draw(st.booleans()):
            known[name] = draw(st.floats(0, 4000))
    return tests, known


@few
@given(proof=proofs(), of=st.integers(1, 12))
def test_every_test_is_in_exactly_one_share(
    proof: tuple[list[SuiteTest], dict[str, float]], of: int
) -> None:
    tests, known = proof
    shares = split(units(tests, known), of)
    names = [name for share in shares for layer in LAYERS for name in share.names(layer)]
    assert sorted(names) == sorted(test.name for test in tests)
    assert [(share.number, share.of) for share in shares] == [(n, of) for n in range(1, of + 1)]
    assert sum(share.count for share in shares) == len(tests)


@few
@given(proof=proofs(), of=st.integers(1, 12), shuffled=st.randoms())
def test_the_split_follows_from_names_and_durations_alone(
    proof: tuple[list[SuiteTest], dict[str, float]], of: int, shuffled: Any
) -> None:
    tests, known = proof
    found = units(tests, known)
    again = list(found)
    shuffled.shuffle(again)
    assert split(again, of) == split(found, of)


@few
@given(proof=proofs(), of=st.integers(1, 12))
def test_no_share_is_longer_than_it_has_to_be(
    proof: tuple[list[SuiteTest], dict[str, float]], of: int
) -> None:
    """The longest first, to who has least: what is above the mean is one unit at most."""
    tests, known = proof
    found = units(tests, known)
    mean = sum(unit.seconds for unit in found) / of
    longest = max((unit.seconds for unit in found), default=0.0)
    for share in split(found, of):
        assert share.seconds <= mean + longest + 1e-6


@few
@given(proof=proofs())
def test_what_needs_the_same_lab_stays_together(
    proof: tuple[list[SuiteTest], dict[str, float]],
) -> None:
    tests, known = proof
    for unit in units(tests, known):
        (together,) = {test.unit for test in unit.tests}
        assert unit.name.startswith(together)
        # Cut only where it is too long, and never a test in two.
        assert len(unit.tests) == 1 or unit.seconds <= parts.LONGEST_UNIT


def test_a_long_lab_is_cut_in_the_order_of_its_tests() -> None:
    tests = [SuiteTest(f"tests/cluster/test_a.py::test_{n}", "lab coreos", True) for n in range(5)]
    known = {test.name: parts.LONGEST_UNIT / 2 for test in tests}
    found = units(tests, known)
    assert [unit.name for unit in found] == [f"lab coreos, {n} of 3" for n in (1, 2, 3)]
    assert [test for unit in found for test in unit.tests] == tests


def test_tests_without_nodes_share_the_processors() -> None:
    one, other = (
        SuiteTest(f"tests/{layer}/test_a.py::test_a", "a", False) for layer in LAYERS[::2]
    )
    known = {one.name: 10.0, other.name: 10.0}
    assert parts.seconds(other, known) == parts.PROCESSES * parts.seconds(one, known)


def test_how_many_shares_are_enough() -> None:
    tests = [SuiteTest(f"tests/cluster/test_{n}.py::test", f"{n}", True) for n in range(10)]
    known = {test.name: parts.FULL / 2 for test in tests}
    found = units(tests, known)
    assert enough(found) == 5
    assert max(share.minutes for share in split(found, 5)) < parts.MINUTES
    known[tests[0].name] = parts.FULL + 1
    assert enough(units(tests, known)) is None


@pytest.mark.parametrize(("text", "part"), [("1/1", (1, 1)), ("3/4", (3, 4)), ("99/99", (99, 99))])
def test_a_part_is_read(text: str, part: tuple[int, int]) -> None:
    assert parse_part(text) == part


@pytest.mark.parametrize(
    "text", ["", "1", "0/4", "5/4", "1/0", "-1/4", "1/4/4", "a/b", "1/100", "1 / 4", "٣/٤"]
)
def test_a_wrong_part_is_refused_with_a_right_one(text: str) -> None:
    with pytest.raises(BadInput, match="there is no part") as refused:
        parse_part(text)
    assert "underlay test --all --part 1/4" in str(refused.value.hint)


# What shares leave behind.


@pytest.fixture
def tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[SuiteTest]:
    monkeypatch.setattr(keeping, "folder", lambda: tmp_path)
    return [
        SuiteTest(f"tests/unit/test_{n}.py::test", f"tests/unit/test_{n}.py", False) for n in "ab"
    ]


def ran(share: Share, tests: list[SuiteTest], *, failed: int = 0, slow: float = 2.0) -> None:
    layers = [Layer(name, len(share.names(name)), failed, 0, 1.0) for name in LAYERS]
    durations = {name: slow for layer in LAYERS for name in share.names(layer)}
    own_tests.write_records(share, tests, layers, durations)


def of_clean_commit(monkeypatch: pytest.MonkeyPatch, commit: str) -> None:
    origin = here().model_copy(update={"commit": commit, "dirty": False})
    monkeypatch.setattr(keeping, "here", lambda _: origin)


def said() -> dict[str, Any]:
    return keeping.complete(keeping.read("tests"))


def test_a_proof_is_complete_when_all_shares_ran_on_one_commit(
    tests: list[SuiteTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    of_clean_commit(monkeypatch, "a" * 40)
    one, two = split(units(tests, {}), 2)
    ran(one, tests)
    assert said() == {"complete": False, "passed": 1, "failed": 0, "skipped": 0}
    of_clean_commit(monkeypatch, "b" * 40)
    ran(two, tests)
    assert said()["complete"] is False
    ran(one, tests)
    assert said() == {"complete": True, "passed": 2, "failed": 0, "skipped": 0}
    # A share that failed has run, and says so.
    ran(one, tests, failed=1)
    assert (said()["complete"], said()["failed"]) == (True, 3)
    # Cut otherwise, or from other tests, it is another proof.
    ran(split(units(tests, {}), 3)[0], tests)
    assert said() == {"complete": False, "passed": 1, "failed": 0, "skipped": 0}
    ran(split(units(tests, {}), 1)[0], tests)
    assert said()["complete"] is True


def test_a_proof_of_changes_that_no_commit_holds_is_not_complete(
    tests: list[SuiteTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = here().model_copy(update={"commit": "a" * 40, "dirty": True})
    monkeypatch.setattr(keeping, "here", lambda _: origin)
    ran(split(units(tests, {}), 1)[0], tests)
    assert said()["complete"] is False


def test_shares_of_other_tests_are_not_one_proof(
    tests: list[SuiteTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    of_clean_commit(monkeypatch, "a" * 40)
    one, two = split(units(tests, {}), 2)
    ran(one, tests)
    ran(two, [*tests, SuiteTest("tests/unit/test_c.py::test", "c", False)])
    assert said()["complete"] is False


def test_what_a_proof_says_together_is_not_for_editing(
    tests: list[SuiteTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    of_clean_commit(monkeypatch, "a" * 40)
    ran(split(units(tests, {}), 2)[0], tests)
    text = keeping.file("tests").read_text()
    with pytest.raises(BadInput, match="complete is True, and of its rows False"):
        keeping.parse("tests", text.replace('"complete": false', '"complete": true'))


def test_what_a_share_kept_does_not_cut_the_next_otherwise(
    tests: list[SuiteTest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a test were in two shares of a proof that one checkout runs, or in none."""
    records = tmp_path.joinpath("checkout", *keeping.PLACE)
    records.mkdir(parents=True)
    monkeypatch.setattr(keeping, "folder", lambda: records)
    git = partial(run, deadline=30, folder=tmp_path / "checkout")
    git(["git", "init", "--quiet"])
    as_here = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "a"]
    git([*as_here, "--allow-empty"])
    (whole,) = own_tests.shares(tests, 1)
    ran(whole, tests, slow=500.0)
    assert set(keeping.read("durations").rows) == {test.name for test in tests}
    assert own_tests.known_durations() == {}
    git(["git", "add", "."])
    git(as_here)
    assert own_tests.known_durations() == {test.name: 500.0 for test in tests}


def test_what_runs_in_the_full_proof_alone_is_noted_however_quick(
    tests: list[SuiteTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unknown, each were planned with the twenty seconds of one that nobody has timed."""
    of_clean_commit(monkeypatch, "a" * 40)
    every_day, slow = tests[0], replace(tests[1], slow=True)
    (whole,) = split(units([every_day, slow], {}), 1)
    ran(whole, [every_day, slow], slow=0.5)
    assert own_tests.known_durations() == {slow.name: 0.5}


def test_shares_of_two_checkouts_are_joined(
    tests: list[SuiteTest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_clean_commit(monkeypatch, "a" * 40)
    here, there = tmp_path / "here", tmp_path / "there"
    for folder, share in zip((here, there), split(units(tests, {}), 2), strict=True):
        monkeypatch.setattr(keeping, "folder", lambda folder=folder: folder)
        ran(share, tests)
    monkeypatch.setattr(keeping, "folder", lambda: here)
    assert said()["complete"] is False
    assert keeping.take_over(there) == {"tests": 1, "durations": 1}
    assert said() == {"complete": True, "passed": 2, "failed": 0, "skipped": 0}
    assert set(keeping.read("durations").rows) == {test.name for test in tests}
    assert keeping.take_over(there) == {"tests": 0, "durations": 0}


def test_of_two_rows_the_newer_stays_and_shares_of_another_number_go(
    tests: list[SuiteTest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_clean_commit(monkeypatch, "a" * 40)
    here, there = tmp_path / "here", tmp_path / "there"
    for folder, of, date in ((here, 3, "2026-01-01"), (there, 2, "2026-01-02")):
        monkeypatch.setattr(keeping, "folder", lambda folder=folder: folder)
        ran(split(units(tests, {}), of)[0], tests, slow=float(of))
        for name in ("tests", "durations"):
            keeping.change(name, partial(_dated, f"{date}T00:00:00+00:00"))
    assert keeping.take_over(here) == {"tests": 0, "durations": 0}
    monkeypatch.setattr(keeping, "folder", lambda: here)
    assert keeping.take_over(there) == {"tests": 1, "durations": 1}
    assert set(keeping.read("tests").rows) == {"1/2"}
    assert {row.seconds for row in keeping.read("durations").rows.values()} == {2.0}


def _dated(date: str, record: keeping.Record) -> keeping.Record:
    """The record as if it had been kept at ``date``."""
    shared = {"origin", "date", "sum"}
    rows = {
        name: (row.model_dump(exclude=shared, exclude_none=True), date, record.origin(name))
        for name, row in record.rows.items()
    }
    return keeping.merge(record, rows)


def test_nothing_is_taken_over_where_one_record_was_changed(
    tests: list[SuiteTest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_clean_commit(monkeypatch, "a" * 40)
    here, there = tmp_path / "here", tmp_path / "there"
    monkeypatch.setattr(keeping, "folder", lambda: there)
    ran(split(units(tests, {}), 1)[0], tests)
    changed = there / "durations.json"
    changed.write_text(changed.read_text().replace("2.0", "1.0"))
    monkeypatch.setattr(keeping, "folder", lambda: here)
    with pytest.raises(BadInput, match=r"there/durations\.json was not written by the code"):
        keeping.take_over(there)
    assert not here.exists()
    with pytest.raises(BadInput, match="found no record"):
        keeping.take_over(here)


def test_durations_are_of_the_tests_that_there_are(
    tests: list[SuiteTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    of_clean_commit(monkeypatch, "a" * 40)
    (whole,) = split(units(tests, {}), 1)
    ran(whole, tests)
    a, b = (test.name for test in tests)
    assert own_tests.known_durations() == {a: 2.0, b: 2.0}
    # One that is quick now is not noted any more, and one that is no more neither.
    one, _ = split(units(tests, {}), 2)
    (name,) = one.names("unit")
    ran(one, tests, slow=0.5)
    assert own_tests.known_durations() == {({a, b} - {name}).pop(): 2.0}
    rest = [test for test in tests if test.name == name]
    ran(split(units(rest, {}), 1)[0], rest)
    assert own_tests.known_durations() == {name: 2.0}


@pytest.mark.all
def test_two_collections_know_the_same_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A share is chosen by one pytest and run by another, and joined with others' by its names.

    A test whose name is drawn anew would be in none of them, and no proof would ever be whole.
    """
    first = own_tests.all_tests()
    monkeypatch.setenv("UNDERLAY_TEST_SEED", "4711")
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    assert own_tests.all_tests() == first
