"""The verb `render`: what it prints, where it writes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from underlay.cli import main
from underlay.render import MARKER
from underlay.storage import paths

BROKEN = str(paths.root() / "labs" / "broken" / "seed-as-written.yml")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep states and caches out of the checkout, and Ansible out of these tests."""

    def one_file(plan: object, authorized_key: str, output: Path) -> None:
        (output / MARKER).touch()
        (output / "core-01").mkdir()
        (output / "core-01" / "user-data").write_text(authorized_key, encoding="utf-8")

    monkeypatch.setattr("underlay.render._run_playbook", one_file)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv(paths.HOME, str(tmp_path))
    return tmp_path


def test_without_arguments_the_default_lab_goes_to_its_state_folder(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["render"]) == 0
    folder = paths.state("coreos") / "files"
    key = (paths.cache() / "keys" / "coreos.pub").read_text(encoding="utf-8").strip()
    # A lab that doesn't run has no key of its own.
    assert [path.name for path in folder.parent.iterdir()] == ["files"]
    assert (folder / "core-01" / "user-data").read_text(encoding="utf-8") == key
    printed = capsys.readouterr()
    assert str(folder) in printed.out
    assert "user-data" in printed.out
    assert "1 file by Ansible" in printed.err


def test_json_is_one_document_and_tells_of_the_cache(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = str(elsewhere / "out")
    for cached in (False, True):
        assert main(["render", "docker-vlan", "--output", output, "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert document.pop("seconds") >= 0
        assert document == {
            "document": "underlay render",
            "version": 1,
            "lab": "docker-vlan",
            "output": output,
            "files": ["core-01/user-data"],
            "cached": cached,
        }


def test_another_folder_leaves_nothing_in_the_state(elsewhere: Path) -> None:
    assert main(["render", "--output", str(elsewhere / "out")]) == 0
    assert not (elsewhere / "labs").exists()


def test_down_of_all_lists_no_lab_that_was_only_rendered(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["render"]) == 0
    capsys.readouterr()
    assert main(["down", "--all", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["labs"], document["rendered"]) == ([], ["coreos"])
    assert not (elsewhere / "labs").exists()


def test_an_impossible_folder_is_bad_input(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for output, why in ((elsewhere / ("x" * 300), "name too long"), ("/proc/no/x", "No such file")):
        assert main(["render", "--output", str(output)]) == 2
        error = capsys.readouterr().err
        assert f"cannot write {output}: " in error
        assert why in error


def test_a_folder_with_other_files_is_refused(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (elsewhere / "out").mkdir()
    (elsewhere / "out" / "thesis.odt").touch()
    assert main(["render", "--output", str(elsewhere / "out")]) == 2
    error = capsys.readouterr().err
    assert "not rendered by underlay" in error
    assert "hint: choose" in error


def test_a_lab_with_errors_needs_force(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = str(elsewhere / "out")
    assert main(["render", BROKEN, "--output", output]) == 2
    error = capsys.readouterr().err
    assert "seed-as-written.yml:11:" in error
    assert "--force" in error
    assert not Path(output).exists()
    assert main(["render", BROKEN, "--output", output, "--force"]) == 0
