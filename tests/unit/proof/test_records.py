"""The records of docs/proof: written by code, of commits that are HEAD's, none too old unsaid.

``./underlay test --layer unit -- -k records --update-golden`` marks the rows that are stale,
and drops those of commits that HEAD doesn't have; docs/records.md shows them.
"""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from proof import digest, packed, unpacked
from underlay.drivers.rule import Stop
from underlay.errors import BadInput
from underlay.proof.records import age, content, keeping
from underlay.proof.records.age import ANEW, MOST_COMMITS, History, NoHistory, Now, Old, anew
from underlay.proof.records.content import DEPENDS, PARTS, meaning, of_prediction
from underlay.proof.records.keeping import Record, keep, merge, parse, read
from underlay.proof.records.origin import here
from underlay.proof.records.schema import SCHEMAS, Converted, Origin
from underlay.storage.paths import root

FUZZ = {"inputs": 5, "ends": {"refused": 5}}
DATE = "2026-01-02T03:04:05+00:00"


@pytest.fixture(scope="session")
def history() -> History:
    """Return the history of this checkout; what it has read once is read for all records."""
    found = History(root())
    if not (root() / ".git").exists():
        pytest.skip("needs the git repository: without it nobody knows how old records are")
    # A shallow clone has it, but not the commits: that is no reason to let old rows pass.
    found.prove()
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder for records of the test's own."""
    monkeypatch.setattr(keeping, "folder", lambda: tmp_path)
    return tmp_path


def as_it_is(name: str) -> Now:
    """Return what the rows of the record ``name`` are held against."""
    folder = root() / "labs" / ("recipes" if name == "recipes" else "")
    files = {path.stem: digest(path) for path in folder.glob("*.yml")}
    parts = {part: part_as_it_is(part) for part in DEPENDS[name]}
    return Now(files, parts, lambda lab: predicted_as_it_is(folder / f"{lab}.yml"))


# Nobody changes this checkout while its records are looked at.
part_as_it_is = cache(lambda part: content.digests(root(), [part])[part])
predicted_as_it_is = cache(of_prediction)


def stale(name: str, history: History) -> list[Old]:
    return list(age.old(read(name), history, as_it_is(name)))


def origin(**changes: Any) -> Origin:
    return Origin(
        commit="0" * 40,
        dirty=False,
        machine=here().machine,
        kernel="6",
        packages={"underlay": "1"},
    ).model_copy(update=changes)


# What is in docs/proof.


def test_every_record_is_one_that_code_writes() -> None:
    there = {path.name for path in keeping.folder().iterdir()}
    assert there <= {f"{name}.json" for name in SCHEMAS}
    assert set(DEPENDS) == set(ANEW) == set(SCHEMAS)
    assert not [path for path in content.paths(PARTS) if not (root() / path).exists()]


@pytest.mark.parametrize("name", SCHEMAS)
def test_nothing_was_changed_by_hand(name: str) -> None:
    record = read(name)
    path = keeping.file(name)
    assert not path.is_file() or keeping.as_text(record) == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SCHEMAS)
def test_no_row_is_of_an_unknown_commit_or_of_changes(
    name: str, history: History, request: pytest.FixtureRequest
) -> None:
    found = list(age.refused(read(name), history))
    if found and request.config.getoption("--update-golden"):
        keeping.change(name, lambda record: age.without(record, found))
        pytest.fail(f"{len(found)} rows of {name} are dropped", pytrace=False)
    assert [str(each) for each in found] == []


@pytest.mark.parametrize("name", SCHEMAS)
def test_no_row_is_stale_unsaid(
    name: str, history: History, request: pytest.FixtureRequest
) -> None:
    found = stale(name, history)
    text = keeping.as_text(age.marked(read(name), found))
    if request.config.getoption("--update-golden") and keeping.file(name).is_file():
        keeping.change(name, lambda record: age.marked(record, found))
        pytest.fail(f"{len(found)} rows of {name} are marked as stale", pytrace=False)
    for each in found:
        print(each)
    unsaid = {each.row for each in found} - {n for n, row in read(name).rows.items() if row.stale}
    assert not unsaid, (
        f"stale rows of {name}: {sorted(unsaid)}; measure them anew:"
        f" {anew(name, unsaid)}; or say so: see docs/contributing/record.md"
    )
    assert not keeping.file(name).is_file() or text == keeping.file(name).read_text("utf-8")


def test_each_place_to_stop_has_a_sign_of_its_own() -> None:
    words = [word for word in get_args(Stop) if word]
    assert unpacked(packed(words)) == words


# What is refused.


def test_rows_are_kept_beside_others_with_their_origin(folder: Path) -> None:
    keep("fuzz", {"labs": FUZZ})
    before = read("fuzz")
    later = origin(kernel="7")
    keeping.change("fuzz", lambda record: merge(record, {"hosts": (FUZZ, DATE, later)}))
    after = read("fuzz")
    assert set(after.rows) == {"labs", "hosts"}
    assert after.rows["labs"] == before.rows["labs"]
    assert (after.origin("hosts"), after.rows["hosts"].date) == (later, DATE)
    assert after.origin("labs").kernel == here().kernel
    # Its origin goes with the last row of it.
    keep("fuzz", {"hosts": {**FUZZ, "inputs": 6}})
    assert (read("fuzz").rows["hosts"].inputs, len(read("fuzz").origins)) == (6, 1)
    keep("fuzz", {"hosts": FUZZ}, all_rows=True)
    assert set(read("fuzz").rows) == {"hosts"}
    assert [path.name for path in folder.iterdir()] == ["fuzz.json"]


def test_a_record_that_nobody_knows(folder: Path) -> None:
    with pytest.raises(BadInput, match="there is no record 'fuz'"):
        keep("fuz", {})
    assert not list(folder.iterdir())


@pytest.mark.parametrize("row", [{**FUZZ, "by_hand": 1}, {"inputs": 5}, {**FUZZ, "inputs": -1}])
def test_a_row_that_is_otherwise_is_not_written(folder: Path, row: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        keep("fuzz", {"labs": row})
    assert not list(folder.iterdir())


def edited(text: str, *path: str, to: object) -> str:
    document = json.loads(text)
    inside = document
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = to
    return json.dumps(document)


def test_what_was_changed_by_hand_is_refused(folder: Path) -> None:
    text = keep("fuzz", {"labs": FUZZ}).read_text()
    (key,) = json.loads(text)["origins"]
    assert parse("fuzz", text) == read("fuzz")
    for wrong, words in (
        (edited(text, "note", to="of two runs"), "found .*note.*, expected the keys"),
        (edited(text, "rows", "labs", "note", to="x"), "note"),
        (edited(text, "rows", "labs", "inputs", to=6), "labs was changed since"),
        (edited(text, "rows", "labs", "date", to=DATE), "labs was changed since"),
        (edited(text, "origins", key, "commit", to="1" * 40), "labs was changed since"),
        (edited(text, "origins", key, "machine", to=None), "knows its machine"),
        (edited(text, "rows", "labs", "origin", to="x"), "an origin that isn't there"),
        (text[:-9], "no JSON document"),
    ):
        with pytest.raises(BadInput, match=words):
            parse("fuzz", wrong)
    # A mark of age isn't part of what was measured.
    parse("fuzz", edited(text, "rows", "labs", "stale", to="61 commits"))


def test_only_a_converted_origin_may_lack_its_machine() -> None:
    unknown = {"dirty": None, "machine": None, "kernel": None, "packages": None}
    with pytest.raises(ValidationError, match="knows its machine"):
        Origin(commit=None, **unknown)
    converted = Converted(by="code", commit="0" * 40, what="what git says")
    assert Origin(commit=None, **unknown, converted_from=converted).machine is None


# How old a row is.


class Repository:
    """A repository of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *words: str) -> str:
        who = ["-c", "user.name=n", "-c", "user.email=e@x"]
        command = ["git", "-C", str(self.folder), *who, *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def commit(self, path: str, text: str = "") -> str:
        """Commit a change of the file at ``path`` and return the commit."""
        return self.write(path, text + str(self.folder.stat().st_mtime_ns))

    def write(self, path: str, text: str) -> str:
        """Commit the file at ``path`` as ``text`` and return the commit."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=one")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


# Of rows without digests nothing is compared.
NOTHING = Now({}, {}, str)


def of(commit: str | None, **changes: Any) -> Record:
    return merge(Record("fuzz"), {"labs": (FUZZ, DATE, origin(commit=commit, **changes))})


def test_a_row_is_stale_after_so_many_commits(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(age, "MOST_COMMITS", 2)
    history = History(repository.folder)
    record = of(repository.commit("src/underlay/lint/a.py"))
    for number in range(2):
        repository.commit("src/underlay/lint/a.py", f"{number}")
        repository.commit("README.md", f"{number}")
    assert list(age.old(record, history, NOTHING)) == []
    repository.commit("src/underlay/fleet/b.py")
    (found,) = age.old(record, history, NOTHING)
    assert found.why.startswith("3 commits since ")
    marked = age.marked(record, [found])
    assert marked.rows["labs"].stale == found.why
    assert parse("fuzz", keeping.as_text(marked)).rows["labs"].stale == found.why
    # Later, with a greater number, the mark is the same; and it goes when the row is anew.
    assert age.marked(marked, [Old("fuzz", "labs", "4 commits")]) == marked
    assert age.marked(marked, []) == marked


SAME = "def f():\n    return 1\n"
WITH_WORDS = '# Why.\ndef f() -> None:\n    """Return one."""\n    return 1\n'


def test_only_commits_count_that_change_what_a_row_was_measured_with(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A docstring, a comment and another part are no change; nor is what comes back to be it."""
    monkeypatch.setattr(age, "MOST_COMMITS", 1)
    history, file = History(repository.folder), "src/underlay/lint/a.py"

    def now() -> Now:
        return Now({}, content.digests(repository.folder, ["reading"]), str)

    first = repository.write(file, SAME)
    record = of(first, parts=dict(now().parts))
    for text in (WITH_WORDS.replace(" -> None", ""), f"# More.\n\n\n{SAME}"):
        repository.write(file, text)
        repository.write("src/underlay/observe/b.py", text)
        assert now().parts == record.origin("labs").parts
        assert history.since(first, content.paths(["reading"])) > 0
        assert list(age.old(record, history, now())) == []
    repository.write(file, SAME.replace("1", "2"))
    assert list(age.old(record, history, now())) == []
    repository.write(file, f"# Two.\n{SAME}".replace("1", "2"))
    assert list(age.old(record, history, now())) == []
    repository.write(file, SAME.replace("1", "3"))
    (found,) = age.old(record, history, now())
    assert found.why == f"2 commits since {first[:7]} changed its reading"
    # It was four that touched it.
    (found,) = age.old(of(first), history, now())
    assert found.why.startswith("5 commits since ")
    repository.write(file, SAME)
    assert list(age.old(record, history, now())) == []


def test_of_the_model_a_lab_depends_on_its_prediction_alone(repository: Repository) -> None:
    history = History(repository.folder)
    first = repository.write("src/underlay/plan/a.py", "x = 0\n")
    row = {"file": "a", "prediction": "p", "faults": 1, "spaces": 1, "unseen": {}, "found": []}
    parts = dict.fromkeys(DEPENDS["green"], "0")
    whose = origin(commit=first, parts=parts)
    record = merge(Record("green"), {"bond": (row, DATE, whose)})
    for number in range(MOST_COMMITS + 1):
        repository.write("src/underlay/plan/a.py", f"x = {number + 1}\n")
    others = {**parts, "model": "1"}
    assert list(age.old(record, history, Now({"bond": "a"}, others, lambda _: "p"))) == []
    (found,) = age.old(record, history, Now({"bond": "a"}, others, lambda _: "q"))
    assert found.why == f"{MOST_COMMITS + 1} commits since {first[:7]} changed its model"


@pytest.mark.parametrize(
    ("name", "before", "after", "same"),
    [
        ("a.py", SAME, WITH_WORDS, False),
        ("a.py", SAME, WITH_WORDS.replace(" -> None", ""), True),
        ("a.py", "f(1,\n  2)", "f(1, 2)", True),
        ("a.py", "a =", "a  =", False),
        ("a.yml", "---\na: 1\n", "---\n# Why.\n\na: 1\n", True),
        ("a.yml", "---\na: 1\n", "---\n  a: 1\n", False),
        ("user-data", "#cloud-config\na: 1\n", "#another\na: 1\n", False),
        ("README.md", "one", "two", True),
    ],
)
def test_what_of_a_file_has_a_meaning(name: str, before: str, after: str, same: bool) -> None:
    assert (meaning(name, before.encode()) == meaning(name, after.encode())) is same


def test_the_prediction_of_a_lab_is_told_by_its_digest() -> None:
    labs = root() / "labs"
    assert of_prediction(labs / "bond.yml") == of_prediction(labs / "bond.yml")
    assert of_prediction(labs / "bond.yml") != of_prediction(labs / "seen.yml")


def test_rows_are_kept_with_what_they_were_measured_with(folder: Path) -> None:
    keep("fuzz", {"labs": FUZZ})
    assert read("fuzz").origin("labs").parts == content.digests(root(), ["reading"])


def test_the_command_that_measures_rows_anew() -> None:
    assert 'LABS="bond coreos" ./underlay test' in anew("labs", {"coreos", "bond"})
    assert '-k "a or b"' in anew("faults", ["b", "a"])
    assert '-k "test_faults"' in anew("faults", [str(number) for number in range(99)])
    for name in SCHEMAS:
        assert "{" not in anew(name, ["x"])


def test_a_lab_file_that_is_another_one_now() -> None:
    row = {"file": "a", "faults": 1, "spaces": 1, "unseen": {}, "found": []}
    record = merge(Record("green"), {"bond": (row, DATE, origin(commit=None))})
    history = History(root())
    assert list(age.old(record, history, Now({"bond": "a"}, {}, str))) == []
    for files, words in (({"bond": "b"}, "is another one now"), ({}, "is no more")):
        (found,) = age.old(record, history, Now(files, {}, str))
        assert found.why == f"its lab file {words}"


def test_commits_that_are_not_ours_are_refused(repository: Repository) -> None:
    history = History(repository.folder)
    first = repository.commit("a")
    repository.git("checkout", "--quiet", "-b", "side")
    other = repository.commit("b")
    repository.git("checkout", "--quiet", "main")
    assert list(age.refused(of(first), history)) == []
    for record, words in (
        (of(other), "is no ancestor of HEAD"),
        (of("0" * 40), "is no ancestor of HEAD"),
        (of(None), "where there was no repository"),
        (of(first, dirty=True), "with changes that no commit holds"),
    ):
        (found,) = age.refused(record, history)
        assert words in found.why
        assert not age.without(record, [found]).rows


def test_where_commits_cannot_be_counted_it_is_said(
    repository: Repository, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.raises(NoHistory, match="no git repository"):
        History(tmp_path_factory.mktemp("none")).prove()
    repository.commit("a")
    repository.commit("b")
    History(repository.folder).prove()
    shallow = tmp_path_factory.mktemp("shallow")
    repository.git("clone", "--quiet", "--depth=1", f"file://{repository.folder}", str(shallow))
    with pytest.raises(NoHistory, match="git fetch --unshallow"):
        History(shallow).prove()


def test_the_limit_is_said_where_it_is_explained() -> None:
    page = (root() / "docs" / "contributing" / "record.md").read_text(encoding="utf-8")
    assert f"{MOST_COMMITS} commits" in page
