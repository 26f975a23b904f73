"""The rendered files of whole labs, byte for byte, one test per file.

Files of two nodes are kept: they show what is alike and what is each node's own. The third
node's are read back and compared with the plan.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from golden_files import KEY, LABS, Rendered, plan_of
from rendered import read_back
from underlay.render import render, rendered_files
from underlay.storage import paths

GOLDEN = Path(__file__).parent / "files"
# By hand every day one of cloud-config; of the others Ansible runs once a day, which compares their
# files with those that are kept.
DAILY = ("coreos",)
REPEATS = "core-03"
FILES = [(lab, file) for lab in LABS for file in rendered_files(GOLDEN / lab)]

Golden = Callable[[Path, str], None]


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


again = pytest.mark.parametrize(
    "lab", [lab if lab in DAILY else pytest.param(lab, marks=pytest.mark.all) for lab in LABS]
)


@pytest.mark.parametrize(("lab", "file"), FILES, ids=[f"{lab}/{file}" for lab, file in FILES])
def test_file(lab: str, file: Path, rendered: Rendered, golden: Golden) -> None:
    made = rendered(lab) / file
    assert made.is_file(), f"{file} is in tests/golden, but not rendered"
    golden(GOLDEN / lab / file, made.read_text(encoding="utf-8"))


@pytest.mark.parametrize("lab", LABS)
def test_no_file_is_missing_or_too_many(
    lab: str, rendered: Rendered, golden: Golden, request: pytest.FixtureRequest
) -> None:
    made = {file for file in rendered_files(rendered(lab)) if file.parts[0] != REPEATS}
    kept = set(rendered_files(GOLDEN / lab))
    if request.config.getoption("--update-golden"):
        for file in kept - made:
            (GOLDEN / lab / file).unlink()
        for file in made - kept:
            golden(GOLDEN / lab / file, (rendered(lab) / file).read_text(encoding="utf-8"))
        if kept - made:
            pytest.fail(f"deleted by --update-golden: {kept - made}", pytrace=False)
        return
    assert sorted(map(str, made - kept)) == [], "rendered, but not in tests/golden"
    assert sorted(map(str, kept - made)) == [], "in tests/golden, but not rendered"


@pytest.mark.parametrize("lab", LABS)
def test_the_third_node_has_what_the_plan_says(lab: str, rendered: Rendered) -> None:
    plan = plan_of(lab)
    names = read_back(plan, plan.node(REPEATS), rendered(lab) / REPEATS, KEY)
    made = {str(file) for file in rendered_files(rendered(lab) / REPEATS)}
    assert made == names


# Every day the playbook by hand is the second rendering of a lab.
@pytest.mark.all
@pytest.mark.parametrize("lab", LABS)
def test_rendering_twice_gives_the_same_bytes(lab: str, rendered: Rendered, tmp_path: Path) -> None:
    render(plan_of(lab), KEY, tmp_path / "again")
    assert tree(tmp_path / "again") == tree(rendered(lab))


@again
def test_the_playbook_by_hand_gives_the_same_bytes(
    lab: str, rendered: Rendered, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """From the checkout's root, with relative paths and none of render()'s settings."""
    (tmp_path / "plan.json").write_text(plan_of(lab).to_json(), encoding="utf-8")
    (tmp_path / "key.pub").write_text(f"{KEY}\n", encoding="utf-8")
    here = os.path.relpath(tmp_path, paths.root())
    words = (f"plan={here}/plan.json", f"output={here}/out", f"authorized_key_file={here}/key.pub")
    first = by_hand(tmp_path / "home", *words)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "changed: [localhost]" in first.stdout.rpartition("TASK")[2]
    assert tree(tmp_path / "out") == tree(rendered(lab))
    # What writes the files has nothing to do with what is in them: once a day is enough.
    if lab == DAILY[0] or request.config.getoption("--all"):
        second = by_hand(tmp_path / "home", *words)
        assert "ok: [localhost]" in second.stdout.rpartition("TASK")[2], "it isn't idempotent"


def test_by_hand_a_key_cut_short_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(plan_of("coreos").to_json(), encoding="utf-8")
    result = by_hand(
        tmp_path / "home",
        f"plan={tmp_path}/plan.json",
        f"output={tmp_path}/out",
        "authorized_key=ssh-ed25519 AAAA",
    )
    assert result.returncode != 0
    assert "authorized_key is not a public key" in result.stdout
    assert not (tmp_path / "out").exists()


def by_hand(home: Path, *variables: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("ansible-playbook")
    extra = [word for variable in variables for word in ("-e", variable)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ANSIBLE_")}
    return subprocess.run(
        [str(program), "ansible/render.yml", *extra],
        cwd=paths.root(),
        env={**environment, "HOME": str(home), "PWD": "/", "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
