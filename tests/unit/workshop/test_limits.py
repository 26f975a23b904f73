"""Control groups of seats: where they can be made, by both versions, and what is said if not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from underlay.workshop import limits
from underlay.workshop.limits import CPU, MEMORY, PIDS, Tree

V1 = """\
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw
32 31 0:29 / /sys/fs/cgroup/cpu rw shared:9 - cgroup cgroup rw,cpu,cpuacct
33 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
34 31 0:31 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer
"""
V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"


def system(root: Path, mounts: str, own: str, **files: str) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/mountinfo").write_text(mounts)
    (root / "proc/self/cgroup").write_text(own)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name.replace("__", "/").replace("_in_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_each_tree_of_version_1_is_one_place(tmp_path: Path) -> None:
    own = "5:freezer:/\n4:cpu,cpuacct:/session\n3:memory:/\n"
    names = ("cpu__session__cgroup_in_procs", "memory__cgroup_in_procs", "freezer__cgroup_in_procs")
    root = system(tmp_path, V1, own, **dict.fromkeys(names, ""))
    found = limits.trees(root)
    above = root / "sys/fs/cgroup"
    assert found == [
        Tree(above / "cpu/session", 1, (CPU,)),
        Tree(above / "memory", 1, (MEMORY,)),
    ]
    assert [words.split(":")[0] for words in limits.lacking(found)] == ["processes"]


def test_version_2_hands_its_controllers_on(tmp_path: Path) -> None:
    files = {
        "user__cgroup_in_procs": f"{os.getpid()}\n1\n",
        "user__cgroup_in_controllers": "cpuset cpu io memory pids\n",
    }
    root = system(tmp_path, V2, "0::/user\n", **files)
    folder = root / "sys/fs/cgroup/user"
    (folder / "cgroup.subtree_control").write_text("")
    (found,) = limits.trees(root)
    assert found == Tree(folder, 2, (MEMORY, PIDS, CPU))
    assert (folder / "cgroup.subtree_control").read_text() == "+memory +pids +cpu"
    assert limits.lacking([found]) == []


def test_without_any_group_it_is_said_what_holds_all_the_same(tmp_path: Path) -> None:
    root = system(tmp_path, V2, "0::/user\n")
    assert limits.trees(root) == []
    said = limits.lacking([])
    assert [words.split(":")[0] for words in said] == ["memory", "processes", "processor time"]


def test_a_group_that_is_not_ours_is_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = system(tmp_path, V1, "3:memory:/\n", memory__cgroup_in_procs="")
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert limits.trees(root) == []


def test_a_seats_groups_are_made_limited_and_removed(tmp_path: Path) -> None:
    """On files that only look like groups: real ones are made where `workshop up` is tested."""
    places = [Tree(tmp_path / "memory", 1, (MEMORY,)), Tree(tmp_path / "pids", 1, (PIDS,))]
    for place in places:
        place.folder.mkdir()
    made = limits.make(places, "underlay-x", "seat-01", 700)
    assert (made[0] / "memory.limit_in_bytes").read_text() == str(700 << 20)
    assert (made[1] / "pids.max").read_text() == str(limits.MOST_PROCESSES)
    for group in made:
        for file in group.iterdir():
            file.unlink()
    limits.remove(made)
    assert list(tmp_path.glob("*/*")) == []
