"""The Ansible module `tree`, run as Ansible runs it: JSON in, JSON out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from underlay.render import MARKER
from underlay.storage import paths

MODULE = paths.root() / "ansible" / "library" / "tree.py"


def run(folder: Path, *, check: bool = False, **files: str) -> dict[str, Any]:
    """Run the module; a name's double underscore stands for a slash."""
    arguments = {
        "path": str(folder),
        "files": [{"path": k.replace("__", "/"), "content": v} for k, v in files.items()],
        "_ansible_check_mode": check,
    }
    result = subprocess.run(
        [sys.executable, str(MODULE)],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
        capture_output=True,
        text=True,
        timeout=30,
    )
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def test_it_writes_files_and_folders_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        answer = run(tmp_path / "out", a="1\n", deep__er__b="2\n")
    finally:
        os.umask(before)
    assert answer["changed"]
    assert answer["written"] == [MARKER, "a", "deep/er/b"]
    assert (tmp_path / "out" / "deep" / "er" / "b").read_text() == "2\n"
    assert (tmp_path / "out" / "deep" / "er").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "out" / "a").stat().st_mode & 0o777 == 0o644


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    run(tmp_path / "out", a="1\n")
    assert not run(tmp_path / "out", a="1\n")["changed"]


def test_it_removes_what_is_no_longer_listed(tmp_path: Path) -> None:
    run(tmp_path / "out", a="1\n", old__b="2\n")
    answer = run(tmp_path / "out", a="1\n", a2="3\n")
    assert (answer["written"], answer["removed"]) == (["a2"], ["old/b"])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [MARKER, "a", "a2"]


def test_check_mode_only_says_what_it_would_do(tmp_path: Path) -> None:
    answer = run(tmp_path / "out", check=True, a="1\n")
    assert answer["changed"]
    assert not (tmp_path / "out").exists()


def test_a_folder_of_somebody_elses_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.odt").touch()
    assert "holds other files" in run(tmp_path, a="1\n")["msg"]
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.odt"]


def test_a_path_that_leads_out_is_refused(tmp_path: Path) -> None:
    for path in ("..__a", "__etc__a"):
        assert "leads out" in run(tmp_path / "out", **{path: "1\n"})["msg"]
    assert not (tmp_path / "out").exists()


def test_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    run(tmp_path / "out", a="1\n")
    (tmp_path / "target").write_text("kept")
    (tmp_path / "out" / "a").unlink()
    (tmp_path / "out" / "a").symlink_to(tmp_path / "target")
    run(tmp_path / "out", a="1\n")
    assert (tmp_path / "target").read_text() == "kept"
    assert not (tmp_path / "out" / "a").is_symlink()
