"""A folder, or a revision, that is beside the one that was meant: the right command is named."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from underlay.cli import main
from underlay.proof.bench.fleets import fleet
from underlay.storage.paths import root


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def said(capfd: pytest.CaptureFixture[str], *words: str, code: int = 2) -> str:
    capfd.readouterr()
    assert main(list(words)) == code
    return capfd.readouterr().err


@pytest.mark.parametrize("verb", ["import", "lint"])
def test_one_folder_too_high_is_said_to_be_and_the_right_one_named(
    verb: str, capfd: pytest.CaptureFixture[str]
) -> None:
    fleet(Path(), 3)
    Path("lab.yml").unlink()
    for word in (".", str(Path.cwd())):
        text = said(capfd, verb, word)
        assert "hosts is a folder of hosts' folders (host-001, host-002, host-003)" in text
    right = said(capfd, verb, ".").partition("hint: ")[2].partition(";")[0]
    assert right == f"underlay {verb} hosts"
    assert main(right.split()[1:]) == 0
    # The folder of one host is the user's word.
    assert "folder of hosts' folders" not in said(capfd, verb, "hosts/host-001", code=0)


@pytest.mark.parametrize("verb", ["import", "lint"])
def test_a_host_that_keeps_a_folder_for_each_compose_file_is_one_host(
    verb: str, capfd: pytest.CaptureFixture[str]
) -> None:
    fleet(Path("made"), 2)
    for name in ("web", "db"):
        Path("hosts/alpha", name).mkdir(parents=True)
    compose = Path("made/hosts/host-001/srv/shop/compose.yml")
    compose.rename("hosts/alpha/web/compose.yml")
    text = said(capfd, verb, "hosts", code=0)
    assert "folder of hosts' folders" not in text


def test_a_folder_of_labs_is_said_to_be_one(capfd: pytest.CaptureFixture[str]) -> None:
    Path("mine").mkdir()
    for name in ("flat", "shim"):
        Path("mine", f"{name}.yml").write_text((root() / "labs" / f"{name}.yml").read_text())
    text = said(capfd, "lint", "mine")
    assert "mine is a folder of lab files (flat.yml, shim.yml), and lint takes one" in text
    right = text.partition("hint: ")[2].partition(";")[0]
    assert right == "underlay lint mine/flat.yml"
    assert main(right.split()[1:]) == 0


def test_a_file_that_a_revision_has_not_yet_is_new(capfd: pytest.CaptureFixture[str]) -> None:
    text = (root() / "labs" / "flat.yml").read_text()
    Path("old.yml").write_text(text)
    who = ["-c", "user.email=a@b", "-c", "user.name=a"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "one"]):
        subprocess.run(["git", *words], check=True, timeout=60)
    Path("fresh.yml").write_text(text)
    for spec in ("HEAD:", "HEAD:./fresh.yml", "HEAD:fresh.yml"):
        shown = said(capfd, "diff", spec, "fresh.yml")
        assert "the revision HEAD has no" in shown, spec
    shown = said(capfd, "diff", "HEAD:", "fresh.yml")
    assert "is new since then: underlay predict fresh.yml" in shown
    assert main(["predict", "fresh.yml"]) == 0
    assert "new since then" not in said(capfd, "diff", "HEAD:odl.yml", "old.yml")
    assert "did you mean HEAD:old.yml?" in said(capfd, "diff", "HEAD:odl.yml", "old.yml")
