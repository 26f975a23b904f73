"""`diff` finds its labs in files, folders and git's revisions, and says it in four formats."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from underlay import cli
from underlay.report.difference import yaml_words

LAB = """\
name: mine
nodes: 2
segments:
  lan: {subnet: 192.168.70.0/24}
networks:
  lannet: {driver: macvlan, segment: lan, subnet: 10.1.1.0/24}
containers:
  - {count: 2, networks: [lannet]}
"""
PRIVATE = LAB.replace("driver: macvlan,", "driver: macvlan, mode: private,")
LARGER = LAB.replace("count: 2", "count: 3")
OPEN = LAB.replace("driver: macvlan,", "driver: macvlan, mode: vepa,")
CAUSE = "networks.lannet.mode: nothing -> private (line 6, only now)"

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    def run(*words: str) -> tuple[int, str, str]:
        code = cli.main(["diff", *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that is worked in, with three lab files."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name, text in (("old", LAB), ("private", PRIVATE), ("larger", LARGER)):
        (folder / f"{name}.yml").write_text(text)
    return folder


def in_one_line(text: str) -> str:
    """Return ``text`` without its line breaks: how wide a terminal is decides where they are."""
    return " ".join(text.split())


def git(folder: Path, *words: str) -> None:
    # Nothing of the configuration of whoever runs this, and no repository around the folder.
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_SYSTEM": "/dev/null",
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@example.org",
    }
    subprocess.run(["git", *words], cwd=folder, env=environment, check=True, timeout=30)


@pytest.fixture
def repository(here: Path) -> Path:
    """Return a repository whose labs/mine.yml has changed twice; the second isn't committed."""
    for name in ("old", "private", "larger"):
        (here / f"{name}.yml").unlink()
    git(here, "init", "--quiet", "--initial-branch", "main")
    file = here / "labs" / "mine.yml"
    file.parent.mkdir()
    file.write_text(LAB)
    (here / "labs" / "link.yml").symlink_to("mine.yml")
    (here / "labs" / "notes.txt").write_text("none\n")
    git(here, "add", ".")
    git(here, "commit", "--quiet", "--message", "one")
    git(here, "tag", "v1")
    git(here, "rm", "--quiet", "labs/link.yml")
    file.write_text(PRIVATE)
    git(here, "commit", "--quiet", "--all", "--message", "two")
    file.write_text(LARGER)
    return here


def test_what_is_lost_is_said_with_rule_and_key_and_ends_with_1(here: Path, said: Said) -> None:
    code, out, err = said("old.yml", "private.yml")
    assert (code, err) == (1, "")
    assert out.startswith("old.yml → private.yml\n")
    assert CAUSE in out
    assert "- lost: 12 cells\n    lannet → lannet, same node: all 12 cells\n" in out
    assert "before  reachable (macvlan-bridge-siblings)" in out
    assert "(macvlan-private-siblings): Private mode keeps children of one" in in_one_line(out)
    assert "ip-link(8), macvlan private" in in_one_line(out)


def test_what_is_gained_ends_with_0_and_with_strict_1(here: Path, said: Said) -> None:
    code, out, _ = said("private.yml", "old.yml")
    assert code == 0
    assert "+ gained: 12 cells" in out
    assert "lost:" not in out
    assert said("private.yml", "old.yml", "--strict")[0] == 1


def test_equal_labs_say_so_and_end_with_0_also_with_strict(here: Path, said: Said) -> None:
    (here / "copy.yml").write_text(f"# a comment\n{LAB}")
    for words in (("old.yml", "copy.yml"), ("old.yml", "copy.yml", "--strict")):
        code, out, err = said(*words)
        assert (code, err) == (0, "")
        assert "as before, 0 lost, 0 changed, 0 gained" in out
        assert "No key differs" in out
    (here / "named.yml").write_text(LAB.replace("nodes: 2", "description: x\nnodes: 2"))
    code, out, _ = said("old.yml", "named.yml", "--strict")
    assert code == 0
    assert "description: nothing -> x (line 2, only now)" in out


def test_an_end_that_goes_is_lost_and_one_that_comes_is_not(here: Path, said: Said) -> None:
    code, out, _ = said("old.yml", "larger.yml")
    assert code == 0
    assert "Ends that come: 2\n  lannet-1c (core-01), lannet-2c (core-02)\n" in out
    code, out, _ = said("larger.yml", "old.yml")
    assert code == 1
    assert "Ends that go: 2" in out


def test_an_end_with_another_address_is_told(here: Path, said: Said) -> None:
    (here / "moved.yml").write_text(LAB.replace("10.1.1.0/24", "10.1.2.0/24"))
    code, out, _ = said("old.yml", "moved.yml")
    assert code == 0
    assert "Ends that stay under another address, node or name: 4" in out
    assert "lannet-1a: 10.1.1.65 → 10.1.2.65" in out
    assert said("old.yml", "moved.yml", "--strict")[0] == 1


def test_values_that_change_are_told_with_how_many_have_them(here: Path, said: Said) -> None:
    old = LAB.replace("nodes: 2", "checks: [source, pmtu, broadcast]\nnodes: 2")
    (here / "seen.yml").write_text(old)
    changes = (("lan: {subnet", "lan: {mtu: 1400, subnet"), ("10.1.1.0", "10.1.2.0"))
    new = old.replace("macvlan,", "macvlan, mode: private,")
    for before, now in changes:
        new = new.replace(before, now)
    (here / "other.yml").write_text(new)
    code, out, _ = said("seen.yml", "other.yml")
    assert code == 1
    assert "~ pmtu       16 cells changed: 1500 → 1400 (16)" in out
    assert "~ source     12 cells changed: 10.1.1.65 → 10.1.2.65 (3)" in out
    assert "~ broadcast  4 cells changed: without lannet-1b (1); without lannet-1a (1)" in out
    assert (
        "| `pmtu` | 16 cells | `1500 → 1400 (16)` |"
        in said("seen.yml", "other.yml", "--format", "markdown")[1]
    )
    back = said("other.yml", "seen.yml")[1]
    assert "4 cells changed: with lannet-1b (1)" in back
    rows = list(csv.DictReader(io.StringIO(said("seen.yml", "other.yml", "--format", "csv")[1])))
    heard = next(row for row in rows if row["protocol"] == "broadcast")
    assert heard["before"] == "core-02 lannet-1b lannet-2a lannet-2b"
    assert "What is to be seen" not in said("old.yml", "private.yml")[1]


def test_a_family_that_comes_is_gained_between_ends_that_stay(here: Path, said: Said) -> None:
    both = LAB.replace("10.1.1.0/24", "10.1.1.0/24, subnet6: 'fd00:1::/64'")
    (here / "both.yml").write_text(both)
    code, out, _ = said("old.yml", "both.yml")
    assert code == 0
    assert "by icmp6 tcp6 udp6" in out
    assert "Ends that come" not in out
    code, out, _ = said("both.yml", "old.yml")
    assert code == 1
    assert "now " not in out.partition("- lost")[2].partition("\n\n")[0]


def test_json_has_each_changed_cell_and_adds_up(here: Path, said: Said) -> None:
    code, out, _ = said("old.yml", "private.yml", "--json")
    document: dict[str, Any] = json.loads(out)
    assert code == 1
    (lab,) = document["labs"]
    assert (lab["old"], lab["new"], lab["lab"]) == ("old.yml", "private.yml", "mine")
    assert len(lab["cells"]) == lab["summary"]["lost"] == document["summary"]["lost"] == 12
    assert lab["summary"]["cells"] == lab["summary"]["same"] + 12
    assert sum(group["cells"] for group in lab["groups"]) == 12
    assert lab["keys"] == [
        {
            "path": "networks.lannet.mode",
            "old": None,
            "new": "private",
            "old_line": None,
            "new_line": 6,
            "old_file": None,
            "new_file": None,
        }
    ]
    cell = lab["cells"][0]
    assert cell["before"]["expected"] == "reachable"
    assert cell["now"] == {
        "expected": "unreachable",
        "expected_stop": "no_neighbour",
        "rule": "macvlan-private-siblings",
    }
    same = json.loads(said("old.yml", "old.yml", "--json")[1])["labs"][0]
    assert (same["cells"], same["groups"], same["keys"]) == ([], [], [])


def test_csv_has_a_line_for_each_changed_cell(here: Path, said: Said) -> None:
    rows = list(csv.DictReader(io.StringIO(said("old.yml", "private.yml", "--format", "csv")[1])))
    assert len(rows) == 12
    assert {row["change"] for row in rows} == {"lost"}
    assert {row["now_rule"] for row in rows} == {"macvlan-private-siblings"}
    assert said("old.yml", "old.yml", "--format", "csv")[1].count("\n") == 1


def test_markdown_has_tables_that_hold(here: Path, said: Said) -> None:
    out = said("old.yml", "private.yml", "--format", "markdown")[1]
    assert "| `networks.lannet.mode` | `nothing -> private` | line 6, only now |" in out
    assert "**lost: 12 cells**" in out
    tables = [line for line in out.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in tables} == {4, 5}


def test_words_of_a_file_can_t_break_out_of_markdown(here: Path, said: Said) -> None:
    (here / "odd.yml").write_text(LAB.replace("nodes: 2", "description: 'a|b`<b>c'\nnodes: 2"))
    out = said("old.yml", "odd.yml", "--format", "markdown")[1]
    assert '``nothing -> "a\\|b`<b>c"``' in out.replace("`` ", "``").replace(" ``", "``")


WANTED = f"{LAB}expect:\n  - lannet-1a -> lannet-1b\n"


def test_a_statement_that_isn_t_kept_ends_with_1(here: Path, said: Said) -> None:
    """In vepa mode siblings don't reach each other; who wants that they do is told."""
    (here / "wanted.yml").write_text(WANTED)
    assert said("old.yml", "wanted.yml", "--strict")[0] == 0
    broken = WANTED.replace("driver: macvlan,", "driver: macvlan, mode: private,")
    (here / "broken.yml").write_text(broken)
    code, out, _ = said("private.yml", "broken.yml")
    assert code == 1
    assert "0 lost" in out
    assert "0 of 1 statement kept" in out
    assert "line 10: lannet-1a -> lannet-1b: broken by 3 of 3 cells (not wanted before)" in out
    assert "Private mode keeps children" in in_one_line(out)
    # Against itself, too: it isn't kept, whoever broke it.
    code, out, _ = said("broken.yml", "broken.yml")
    assert code == 1
    assert "(broken before)" in out
    assert "(kept before)" in said("wanted.yml", "broken.yml")[1]
    markdown = said("wanted.yml", "broken.yml", "--format", "markdown")[1]
    assert "0 of 1 statement kept" in markdown
    (statement,) = json.loads(said("wanted.yml", "broken.yml", "--json")[1])["labs"][0]["intent"]
    assert (statement["kept"], statement["word"], statement["before"]) == (False, "broken", "kept")
    assert {cell["rule"] for cell in statement["cells"]} == {"macvlan-private-siblings"}


def test_a_statement_of_a_lab_that_comes_counts(here: Path, said: Said) -> None:
    for folder in ("one", "two"):
        (here / folder).mkdir()
        (here / folder / "a.yml").write_text(LAB)
    (here / "two" / "b.yml").write_text(WANTED)
    assert said("one", "two")[0] == 0
    broken = WANTED.replace("driver: macvlan,", "driver: macvlan, mode: private,")
    (here / "two" / "b.yml").write_text(broken)
    code, out, _ = said("one", "two")
    assert code == 1
    assert "1 statement not kept" in out


def test_a_statement_of_the_old_lab_alone_is_of_no_account(here: Path, said: Said) -> None:
    (here / "was.yml").write_text(WANTED.replace("->", "-x"))
    assert said("was.yml", "old.yml")[0] == 0


def test_two_formats_are_refused(here: Path, said: Said) -> None:
    code, _, err = said("old.yml", "private.yml", "--json", "--format", "csv")
    assert code == 2
    assert "two formats" in err


@pytest.fixture
def wrong(here: Path) -> Path:
    """Return a lab file with an error of lint, which is the old one but for that."""
    file = here / "wrong.yml"
    file.write_text(LAB.replace("segment: lan,", "parent: eth0,"))
    return file


def test_errors_of_lint_in_the_new_lab_alone_are_a_loss(wrong: Path, said: Said) -> None:
    code, out, err = said("old.yml", "wrong.yml")
    assert (code, err) == (1, "")
    assert "lint finds 1 error, 1 of them only now" in out
    assert "wrong.yml:6:" in out
    assert "management-master" in out
    code, out, err = said("wrong.yml", "old.yml")
    assert "lint" not in out + err


def test_errors_of_lint_that_both_labs_have_are_no_loss(wrong: Path, said: Said) -> None:
    # The same error on another line, in a file of another name.
    (wrong.parent / "later.yml").write_text(f"# Moved down.\n{wrong.read_text()}")
    code, out, _ = said("wrong.yml", "later.yml")
    assert code == 0
    assert "lint finds 1 error, 0 of them only now" in out
    assert "(as before)" in out


def test_errors_of_lint_are_in_each_format(wrong: Path, said: Said) -> None:
    code, out, err = said("old.yml", "wrong.yml", "--json")
    assert code == 1
    assert "1 error in the lab: underlay lint wrong.yml" in err
    found = json.loads(out)["labs"][0]["findings"]
    assert [(one["id"], one["new"], one["line"]) for one in found] == [
        ("management-master", True, 6)
    ]
    assert "- **wrong.yml:6:" in said("old.yml", "wrong.yml", "--format", "markdown")[1]
    assert json.loads(said("wrong.yml", "old.yml", "--json")[1])["labs"][0]["findings"] == []


def test_errors_of_lint_count_in_folders(wrong: Path, said: Said) -> None:
    here = wrong.parent
    for folder, text in (("was", here / "old.yml"), ("now", wrong)):
        (here / folder).mkdir()
        (here / folder / "a.yml").write_text(text.read_text())
        (here / folder / "b.yml").write_text(LAB)
    code, out, _ = said("was", "now")
    assert code == 1
    assert "1 error of lint only now" in out


def test_labs_are_named_as_up_names_them(here: Path, said: Said) -> None:
    assert said("coreos", "coreos")[0] == 0


def test_folders_are_compared_by_file_name(here: Path, said: Said) -> None:
    for folder, files in (
        ("one", {"a.yml": LAB, "b.yml": LAB, "gone.yml": LAB}),
        ("two", {"a.yml": PRIVATE, "b.yml": LAB, "come.yml": LAB}),
    ):
        (here / folder).mkdir()
        for name, text in files.items():
            (here / folder / name).write_text(text)
    code, out, _ = said("one", "two")
    assert code == 1
    assert "one/a.yml → two/a.yml" in out
    assert "two/b.yml" not in out
    assert "one/gone.yml is gone" in out
    assert "two/come.yml is new" in out
    assert "4 labs: 1 as before, 3 not" in out
    code, out, _ = said("one", "one", "--strict")
    assert code == 0
    assert out == "3 labs: 3 as before, 0 not\n"
    document = json.loads(said("one", "two", "--json")[1])
    assert [lab["old"] for lab in document["labs"]] == [
        "one/a.yml",
        "one/b.yml",
        None,
        "one/gone.yml",
    ]
    assert said("one", "two", "--format", "markdown")[1].count("### ") == 3


@pytest.mark.parametrize(
    ("old", "new", "names", "code"),
    [
        ("v1:labs/mine.yml", "HEAD:labs/mine.yml", "v1:labs/mine.yml → HEAD:labs/mine.yml", 1),
        ("HEAD~1:", "labs/mine.yml", "HEAD~1:labs/mine.yml → labs/mine.yml", 0),
        ("v1:", "HEAD:labs/mine.yml", "v1:labs/mine.yml → HEAD:labs/mine.yml", 1),
        ("labs/mine.yml", "v1:", "labs/mine.yml → v1:labs/mine.yml", 1),
        ("main:labs/mine.yml", "labs/mine.yml", "main:labs/mine.yml → labs/mine.yml", 0),
    ],
)  # fmt: skip
def test_a_revision_of_a_file(
    old: str, new: str, names: str, code: int, repository: Path, said: Said
) -> None:
    found = said(old, new)
    assert found[0] == code, found
    assert found[1].startswith(f"{names}\n")
    # Nothing is checked out, and nothing of the folder is changed.
    assert (repository / "labs" / "mine.yml").read_text() == LARGER


def test_a_revision_is_looked_for_where_the_file_is(
    repository: Path, said: Said, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = said("HEAD~1:", "here/labs/mine.yml")
    assert (code, err) == (0, "")
    assert out.startswith("HEAD~1:here/labs/mine.yml → here/labs/mine.yml\n")
    monkeypatch.chdir(repository / "labs")
    assert said("HEAD~1:./mine.yml", "mine.yml")[0] == 0
    assert said("HEAD~1:labs/mine.yml", "mine.yml")[0] == 0


def test_a_folder_at_a_revision(repository: Path, said: Said) -> None:
    (repository / "labs" / "second.yml").write_text(LAB)
    code, out, err = said("HEAD:labs", "labs")
    assert (code, err) == (0, "")
    assert "HEAD:labs/mine.yml → labs/mine.yml" in out
    assert "labs/second.yml is new" in out
    assert said("HEAD:", "labs")[:2] == (code, out)
    code, out, _ = said("HEAD:labs", "HEAD:labs", "--strict")
    assert code == 0
    assert "No key differs" in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("mian:labs/mine.yml", "labs/mine.yml"), ("no revision 'mian'", "did you mean main?")),
        (("zzz:labs/mine.yml", "labs/mine.yml"), ("no revision 'zzz'", "lists revisions")),
        (("HEAD:labs/mien.yml", "labs/mine.yml"), ("no labs/mien.yml", "HEAD:labs/mine.yml?")),
        (("HEAD:mine.yml", "labs/mine.yml"), ("no mine.yml", "HEAD:labs/mine.yml?")),
        (("HEAD:", "HEAD~1:"), ("neither HEAD: nor HEAD~1: names a file",)),
        (("HEAD:labs", "labs/mine.yml"), ("HEAD:labs is a folder", "name two folders")),
        (("labs/mine.yml", "labs"), ("labs is a folder", "name two folders")),
        (("v1:labs/link.yml", "labs/mine.yml"), ("found a symbolic link",)),
        (("HEAD:labs/notes.txt", "labs/mine.yml"), ("HEAD:labs/notes.txt:1:1: found a single",)),
        (("--", "-x:labs/mine.yml", "labs/mine.yml"), ("no revision begins with a hyphen",)),
        (("HEAD:../x.yml", "labs/mine.yml"), ("HEAD:../x.yml is outside of the repository",)),
        (("HEAD:/etc/passwd", "labs/mine.yml"), ("HEAD:/etc/passwd is outside",)),
        ((":labs/mine.yml", "labs/mine.yml"), ("no revision before its colon", "HEAD:labs/mine")),
        (("HEAD", "labs/mine.yml"), ("no lab 'HEAD'", "a revision of git has a colon: HEAD:")),
        (("labs/mine.yml", "missing.yml"), ("missing.yml is not there",)),
        (("labs/mine.yml", "coreso"), ("did you mean 'coreos'?",)),
        (("empty", "labs"), ("no lab file directly in empty",)),
    ],
)
def test_bad_input_is_told_with_what_to_do(
    words: tuple[str, ...], told: tuple[str, ...], repository: Path, said: Said
) -> None:
    (repository / "empty").mkdir()
    code, out, err = said(*words)
    assert (code, out) == (2, "")
    for words_of_it in told:
        assert words_of_it in err, err


def test_a_file_of_either_side_that_is_no_lab_is_told_with_its_line(
    repository: Path, said: Said
) -> None:
    file = repository / "labs" / "mine.yml"
    file.write_text(LAB.replace("macvlan", "macvaln"))
    code, _, err = said("HEAD:", "labs/mine.yml")
    assert code == 2
    assert "labs/mine.yml:6:20: networks.lannet.driver: found 'macvaln'" in err
    git(repository, "commit", "--quiet", "--all", "--message", "three")
    file.write_text(LAB)
    code, _, err = said("HEAD:", "labs/mine.yml")
    assert code == 2
    assert "HEAD:labs/mine.yml:6:20: networks.lannet.driver: found 'macvaln'" in err
    (repository / "labs" / "torn.yml").write_text("name: [\n")
    code, _, err = said("HEAD:labs", "labs")
    assert code == 2
    assert "HEAD:labs/mine.yml:6:20" in err
    assert "labs/torn.yml:" in err


def test_what_is_wrong_with_both_files_is_told_at_once(here: Path, said: Said) -> None:
    (here / "one.yml").write_text(LAB.replace("macvlan", "macvaln"))
    (here / "two.yml").write_text(LAB.replace("count: 2", "count: many"))
    code, _, err = said("one.yml", "two.yml")
    assert code == 2
    assert "one.yml:6:20: networks.lannet.driver: found 'macvaln'" in err
    assert "two.yml:8:13: containers[0].count: found 'many'" in err
    # One by itself keeps the hint that goes with it.
    assert "then run `underlay lint one.yml`" in said("one.yml", "old.yml")[2]


def test_where_no_repository_is_git_says_so(
    here: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(here.parent))
    code, _, err = said("HEAD:", "old.yml")
    assert code == 2
    assert "is in no git repository" in err


def test_without_git_files_are_compared_and_revisions_are_not(
    here: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(here))
    code, _, err = said("HEAD:", "old.yml")
    assert code == 3
    assert "git cannot be run" in err
    assert "name a file in place of the revision" in err
    assert said("old.yml", "larger.yml")[0] == 0


def test_a_file_with_a_colon_in_its_name_is_a_file(here: Path, said: Said) -> None:
    (here / "a:b.yml").write_text(LAB)
    assert said("a:b.yml", "old.yml")[0] == 0


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("bridge", "bridge"),
        ("192.168.70.0/24", "192.168.70.0/24"),
        ("5", '"5"'),
        (5, "5"),
        (True, "true"),
        ("true", '"true"'),
        (None, "null"),
        ("a b", '"a b"'),
        ({"driver": "macvlan", "parents": ["eth1", 7]}, "{driver: macvlan, parents: [eth1, 7]}"),
        (["x" * 40, "y" * 40], "a list of 2"),
    ],
)
def test_values_are_told_as_yaml_has_them(value: object, words: str) -> None:
    assert yaml_words(value) == words


def test_a_statement_that_is_deleted_does_not_pass(here: Path, said: Said) -> None:
    wanted = "expect:\n  - lannet-1a -> lannet-1b icmp\n"
    (here / "wanted.yml").write_text(LAB + wanted)
    code, out, _ = said("wanted.yml", "old.yml")
    assert code == 0
    assert "- line 10, only before: lannet-1a -> lannet-1b icmp, which the new lab would keep" in (
        in_one_line(out)
    )
    assert said("wanted.yml", "old.yml", "--strict")[0] == 1
    # With what kept it, it is lost, and --strict isn't needed for that.
    (here / "wanted.yml").write_text(PRIVATE.replace("private", "bridge") + wanted)
    for shape, word in (
        ("text", "which the new lab breaks by 1 of 1 cell"),
        ("markdown", "**went: line 10, only before"),
        ("json", '"would": "broken"'),
    ):
        code, out, _ = said("wanted.yml", "private.yml", "--format", shape)
        assert code == 1
        assert word in in_one_line(out)
    code, out, _ = said("old.yml", "old.yml", "--json")
    assert json.loads(out)["labs"][0]["statements"] == []


def test_what_is_lost_comes_first(here: Path, said: Said) -> None:
    two = (
        LAB.replace(
            "networks:\n",
            "networks:\n  ipnet: {driver: ipvlan, segment: lan, subnet: 10.2.0.0/24}\n",
            1,
        )
        + "  - {on: core-02, name: gone, networks: [ipnet]}\n"
    )
    new = (
        two.replace("  - {on: core-02, name: gone, networks: [ipnet]}\n", "").replace(
            "driver: macvlan,", "driver: macvlan, mode: private,"
        )
        + "  - {on: core-01, name: come, networks: [ipnet]}\n"
    )
    (here / "two.yml").write_text(two)
    (here / "new.yml").write_text(new.replace("lan: {subnet", "lan: {hairpin: true, subnet"))
    out = said("two.yml", "new.yml")[1]
    signs = [
        line[:4].strip() for line in out.splitlines() if line[:1] in "-+~" or line[2:3] in "-+~"
    ]
    signs = [sign for sign in signs if sign in "-+~"]
    assert "-" in signs
    assert "+" in signs
    last, first = len(signs) - 1 - signs[::-1].index("-"), signs.index("+")
    assert last < first
    out = said("two.yml", "new.yml", "--format", "markdown")[1]
    assert out.index("**lost: ") < out.index("gained: ")
    assert out.index("Ends that go") < out.index("Ends that come")


def test_csv_says_why_and_by_which_key(here: Path, said: Said) -> None:
    rows = list(csv.DictReader(io.StringIO(said("old.yml", "private.yml", "--format", "csv")[1])))
    assert {row["keys"] for row in rows} == {"networks.lannet.mode"}
    assert all("Bridge mode hands frames" in row["before_because"] for row in rows)
    assert all("Private mode keeps children" in row["now_because"] for row in rows)
    assert all("macvlan.c" in row["before_reference"] + row["now_reference"] for row in rows)
    rows = list(csv.DictReader(io.StringIO(said("old.yml", "larger.yml", "--format", "csv")[1])))
    assert {row["before_because"] for row in rows if row["stays"] == "false"} == {""}
    assert {row["keys"] for row in rows} == {"containers[0].count"}


def test_a_renamed_container_is_told_as_that(here: Path, said: Said) -> None:
    named = LAB.replace("{count: 2,", "{on: core-01, name: web,")
    (here / "web.yml").write_text(named)
    (here / "www.yml").write_text(named.replace("name: web", "name: www"))
    code, out, _ = said("web.yml", "www.yml")
    assert code == 0
    assert "0 lost" in out
    assert "www: was web" in out
    assert said("web.yml", "www.yml", "--strict")[0] == 1
