"""Rendering as a whole: what it refuses, what a failure leaves, and the cache."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from underlay.errors import BadInput, Infrastructure
from underlay.lint.read import read_lab
from underlay.plan import Plan, make_plan
from underlay.render import (
    MARKER,
    RECENT,
    SOURCES,
    _forget_oldest,
    content_hash,
    copy_rendered,
    deadline_for,
    refuse_foreign,
    render,
    render_all,
    render_cached,
    rendered_files,
)
from underlay.storage import paths

KEY = "ssh-ed25519 AAAA unit"

# What only the content of node files has: keys with their quotes, since lint speaks of some.
TEMPLATE_WORDS = (
    "#cloud-config",
    "write_files",
    "local-hostname",
    "set-name",
    '"cniVersion"',
    '"rangeStart"',
    '"IPRange"',
)


@pytest.fixture
def plan() -> Plan:
    return make_plan(read_lab(paths.root() / "labs" / "coreos.yml"))


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the files of the lab `flat`, rendered by itself in another home and locale."""
    folder = tmp_path_factory.mktemp("alone")
    (folder / "home").mkdir()
    flat = make_plan(read_lab(paths.root() / "labs" / "flat.yml"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder / "home"))
        patch.setenv("LC_ALL", "POSIX")
        render(flat, KEY, folder / "files")
    return folder / "files"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the checkout's sources of files, which render uses instead."""
    copy = tmp_path / "checkout"
    for name in SOURCES:
        shutil.copytree(paths.root() / name, copy / name)
    monkeypatch.setattr(paths, "root", lambda: copy)
    return copy


@pytest.fixture
def no_ansible(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Replace the playbook by one small file; return the list of folders it was run for."""
    runs: list[Path] = []

    def write_one_file(plan: Plan, authorized_key: str, output: Path) -> None:
        runs.append(output)
        (output / MARKER).touch()
        (output / "core-01").mkdir()
        (output / "core-01" / "user-data").write_text(authorized_key)

    monkeypatch.setattr("underlay.render._run_playbook", write_one_file)
    return runs


def test_no_python_outside_ansible_knows_what_is_in_the_files() -> None:
    # Those two speak of what users' own files hold.
    source = paths.root() / "src" / "underlay"
    readers = (source / "fleet", source / "lint" / "hosts", source / "faults")
    for path in sorted(source.rglob("*.py")):
        if any(path.is_relative_to(folder) for folder in readers):
            continue
        text = path.read_text(encoding="utf-8")
        found = [word for word in TEMPLATE_WORDS if word in text]
        assert not found, f"{path} renders node files itself: {found}"


def test_an_absent_an_empty_and_a_rendered_folder_may_be_replaced(tmp_path: Path) -> None:
    refuse_foreign(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    refuse_foreign(tmp_path / "empty")
    (tmp_path / "rendered").mkdir()
    (tmp_path / "rendered" / MARKER).touch()
    (tmp_path / "rendered" / "old").touch()
    refuse_foreign(tmp_path / "rendered")


def test_a_folder_with_other_files_is_refused_and_kept(
    plan: Plan, tmp_path: Path, no_ansible: list[Path]
) -> None:
    (tmp_path / "thesis.odt").touch()
    with pytest.raises(BadInput, match="not rendered by underlay") as caught:
        render_cached(plan, KEY, tmp_path, tmp_path.parent / "cache")
    assert caught.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.odt"]
    assert not no_ansible


def test_a_file_or_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("file", "link"):
        with pytest.raises(BadInput, match="not a folder"):
            refuse_foreign(tmp_path / name)


def test_old_files_go_and_nothing_else_stays_beside(
    plan: Plan, tmp_path: Path, no_ansible: list[Path]
) -> None:
    output = tmp_path / "deep" / "files"
    render(plan, KEY, output)
    (output / "core-09").mkdir()
    render(plan, KEY, output)
    assert rendered_files(output) == [Path("core-01/user-data")]
    assert not (output / "core-09").exists()
    assert list(output.parent.iterdir()) == [output]
    assert output.stat().st_mode & 0o777 == 0o755


def test_a_failed_swap_puts_the_old_files_back(
    plan: Plan, tmp_path: Path, no_ansible: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "files"
    render(plan, "old", output)
    rename = Path.rename

    def fail_for_fresh(self: Path, target: Path) -> Path:
        if self == no_ansible[-1]:
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_for_fresh)
    with pytest.raises(Infrastructure, match="No space left"):
        render(plan, "new", output)
    assert (output / "core-01" / "user-data").read_text() == "old"
    assert list(tmp_path.iterdir()) == [output]


def test_a_failed_render_says_what_ansible_said_and_leaves_the_old_files(
    plan: Plan, tmp_path: Path, checkout: Path
) -> None:
    output = tmp_path / "files"
    output.mkdir()
    (output / MARKER).write_text("old")
    with (checkout / "cloud-config" / "user-data.yml.j2").open("a") as template:
        template.write("{{ no_such_word }}\n")
    with pytest.raises(Infrastructure, match="Ansible could not render") as caught:
        render(plan, KEY, output)
    assert "'no_such_word' is undefined" in caught.value.detail
    assert "PLAY RECAP" not in caught.value.detail
    assert (output / MARKER).read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkout", "files"]


def test_many_nodes_have_longer_than_few(plan: Plan) -> None:
    three = deadline_for([plan])
    assert deadline_for([plan] * 2) - three == deadline_for([plan] * 3) - deadline_for([plan] * 2)
    assert deadline_for([replace(plan, nodes=plan.nodes * 2)]) == deadline_for([plan] * 2) > three


@pytest.fixture
def endless(checkout: Path, tmp_path: Path) -> Callable[[], bool]:
    """Make the playbook last a minute; return a function that says whether it still runs."""
    mark = f"{tmp_path.name}-{os.getpid()}"
    (checkout / "ansible" / "render.yml").write_text(
        "- hosts: localhost\n  connection: local\n  gather_facts: false\n"
        f"  tasks: [{{command: sh -c 'sleep 60; true {mark}'}}]\n"
    )

    def words(path: Path) -> bytes:
        # Processes end while they are looked at.
        with suppress(OSError):
            return path.read_bytes()
        return b""

    def runs() -> bool:
        lines = map(words, Path("/proc").glob("[0-9]*/cmdline"))
        return any(mark.encode() in line for line in lines)

    return runs


def test_a_render_that_takes_too_long_is_ended(
    plan: Plan, tmp_path: Path, endless: Callable[[], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("underlay.render.DEADLINE", 3)
    monkeypatch.setattr("underlay.render.DEADLINE_PER_NODE", 0)
    with pytest.raises(Infrastructure, match="within 3 s"):
        render(plan, KEY, tmp_path / "files")
    assert not (tmp_path / "files").exists()
    assert ends_soon(endless)


def test_an_interrupted_render_leaves_no_process(
    plan: Plan, tmp_path: Path, endless: Callable[[], bool]
) -> None:
    def interrupt() -> None:
        until(endless, 60)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        render(plan, KEY, tmp_path / "files")
    thread.join()
    assert ends_soon(endless)
    assert [path.name for path in tmp_path.iterdir()] == ["checkout"]


def ends_soon(runs: Callable[[], bool]) -> bool:
    return until(lambda: not runs())


def until(true: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_nothing_is_left_in_the_home_folder(alone: Path) -> None:
    assert rendered_files(alone)
    assert list((alone.parent / "home").iterdir()) == []


def test_the_cache_is_used_until_something_changes(
    plan: Plan, tmp_path: Path, no_ansible: list[Path], checkout: Path
) -> None:
    cache, output = tmp_path / "cache", tmp_path / "files"
    assert not render_cached(plan, KEY, output, cache)
    assert render_cached(plan, KEY, output, cache)
    assert len(no_ansible) == 1
    assert not render_cached(plan, "ssh-ed25519 BBBB other", output, cache)
    assert (output / "core-01" / "user-data").read_text() == "ssh-ed25519 BBBB other"
    with (checkout / "ansible" / "roles" / "cni" / "templates" / "plugin.j2").open("a") as file:
        file.write("\n")
    assert not render_cached(plan, KEY, output, cache)


def test_a_cache_entry_without_marker_is_not_trusted(
    plan: Plan, tmp_path: Path, no_ansible: list[Path]
) -> None:
    entry = tmp_path / "cache" / content_hash(plan, KEY)
    entry.mkdir(parents=True)
    assert not render_cached(plan, KEY, tmp_path / "files", tmp_path / "cache")
    assert (entry / MARKER).is_file()


def test_compiled_python_does_not_change_the_hash(plan: Plan, checkout: Path) -> None:
    before = content_hash(plan, KEY)
    compiled = checkout / "ansible" / "library" / "__pycache__"
    compiled.mkdir(exist_ok=True)
    (compiled / "tree.cpython-313.pyc").touch()
    assert content_hash(plan, KEY) == before


def test_many_plans_are_rendered_in_one_run_and_only_those_that_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[list[str]] = []

    def write(plans: list[Plan], authorized_key: str, output: Path) -> None:
        runs.append([plan.lab for plan in plans])
        (output / MARKER).touch()
        for plan in plans:
            (output / plan.lab).mkdir()
            (output / plan.lab / "who").write_text(plan.lab)

    monkeypatch.setattr("underlay.render._run_playbook", write)
    labs = paths.root() / "labs"
    one, two, three = (
        make_plan(read_lab(labs / f"{name}.yml")) for name in ("flat", "coreos", "shim")
    )
    assert [(entry / "who").read_text() for entry in render_all([one, two], KEY, tmp_path)] == [
        "flat",
        "coreos",
    ]
    found = render_all([three, two, one], KEY, tmp_path)
    assert [(entry / "who").read_text() for entry in found] == ["shim", "coreos", "flat"]
    assert runs == [["flat", "coreos"], ["shim"]]
    # Each entry is one that `up` uses, too.
    assert found[1].name == content_hash(two, KEY)
    copy_rendered(found[1], tmp_path / "out" / "files")
    assert (tmp_path / "out" / "files" / MARKER).is_file()


def test_ansible_gives_each_of_many_labs_a_folder_of_the_same_files(
    alone: Path, tmp_path: Path
) -> None:
    labs = paths.root() / "labs"
    plans = [make_plan(read_lab(labs / f"{name}.yml")) for name in ("flat", "basics-vlan")]
    entries = render_all(plans, KEY, tmp_path / "cache")
    for plan, entry in zip(plans, entries, strict=True):
        assert {path.parts[0] for path in rendered_files(entry)} == {n.name for n in plan.nodes}
    by_itself = {p: (alone / p).read_text() for p in rendered_files(alone)}
    assert {p: (entries[0] / p).read_text() for p in rendered_files(entries[0])} == by_itself


def test_only_old_entries_beyond_the_bound_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("underlay.render.KEPT", 1)
    for name, age in (("new", 0), ("recent", RECENT / 2), ("old", 2 * RECENT)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    _forget_oldest(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"new", "recent"}
