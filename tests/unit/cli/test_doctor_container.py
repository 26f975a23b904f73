"""What `doctor` says inside a container: which flag of which engine is missing.

The marks of the engines, a covered /proc and labels are files of a root of its own; that the
flags are the ones that help is proven by tests/cluster/test_container.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from underlay.cluster.providers.uml import sandbox
from underlay.cluster.requirements import container, machine

WHOLE = "21 1 0:5 / /proc rw,nosuid - proc proc rw\n"
COVERED = WHOLE + "22 21 0:5 /sys /proc/sys ro - proc proc rw\n"


def put(root: Path, name: str, text: str = "") -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def podman(tmp_path: Path) -> Path:
    put(tmp_path, "run/.containerenv")
    put(tmp_path, "dev/net/tun")
    put(tmp_path, "proc/self/mountinfo", WHOLE)
    return tmp_path


@pytest.fixture
def docker(podman: Path) -> Path:
    (podman / "run/.containerenv").unlink()
    put(podman, ".dockerenv")
    return podman


def able(monkeypatch: pytest.MonkeyPatch, *refused: str) -> None:
    """Have unshare refuse where all of ``refused`` is asked for, and nowhere else."""

    def can(*arguments: str) -> bool:
        return not (refused and set(refused) <= set(arguments))

    monkeypatch.setattr(container, "_can", can)


def test_outside_of_containers_there_is_no_row(tmp_path: Path) -> None:
    assert machine.container(tmp_path) is None
    assert machine.tun(tmp_path).fix == "sudo modprobe tun"


def test_a_container_that_lacks_nothing(podman: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    able(monkeypatch)
    row = machine.container(podman)
    assert row is not None
    assert (row.ok, row.found, row.fix) == (True, "podman's", "")


def test_all_that_podman_withholds_is_told_at_once(
    podman: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    able(monkeypatch)
    (podman / "dev/net/tun").unlink()
    put(podman, "proc/self/mountinfo", COVERED)
    row = machine.container(podman)
    assert row is not None
    flags = "--device=/dev/net/tun --security-opt=unmask=/proc/*"
    assert (row.ok, row.found) == (False, f"podman's, started without {flags}")
    quoted = flags.replace("--security-opt=unmask=/proc/*", "'--security-opt=unmask=/proc/*'")
    assert row.fix == f"start it anew: podman run {quoted} …"


def test_docker_calls_it_otherwise_and_has_a_filter(
    docker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    able(monkeypatch, "true")
    put(docker, "proc/self/mountinfo", COVERED)
    found = container.engine(docker)
    assert found is not None
    assert container.missing(found, docker) == [
        "--security-opt=systempaths=unconfined",
        "--security-opt=seccomp=unconfined",
    ]


@pytest.mark.parametrize(
    ("refused", "label", "flag"),
    [
        ("--map-root-user", "", "--cap-add=SETFCAP"),
        ("--mount", "docker-default (enforce)\n", "--security-opt=apparmor=unconfined"),
        (
            "--mount",
            "system_u:system_r:container_t:s0:c1,c2\0",
            "--security-opt=label=disable",
        ),
    ],
)
def test_what_else_may_be_in_the_way(
    refused: str, label: str, flag: str, docker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    able(monkeypatch, refused)
    put(docker, "proc/self/attr/current", label)
    found = container.engine(docker)
    assert found is not None
    assert container.missing(found, docker) == [flag]


def test_no_flag_is_named_where_the_machine_restricts(
    docker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    able(monkeypatch, "--map-root-user")
    monkeypatch.setattr(machine, "_failure", lambda arguments: "unshare: Operation not permitted")
    put(docker, machine.RESTRICTION, "1\n")
    found = container.engine(docker)
    assert found is not None
    assert container.missing(found, docker) == []
    row = machine.app_armor(docker)
    assert row is not None
    assert not row.ok
    assert row.fix.startswith("on the machine that the container is on: sudo sysctl -w kernel.")


def test_a_missing_tun_names_the_flag(podman: Path) -> None:
    (podman / "dev/net/tun").unlink()
    assert machine.tun(podman).fix == "start the container with --device=/dev/net/tun"
    assert container.tun_hint(podman) == machine.tun(podman).fix


@pytest.mark.parametrize(
    ("folder", "limit", "taken", "cached"), sandbox.LIMITS, ids=["version 2", "version 1"]
)
@pytest.mark.parametrize(("most", "left"), [(1 << 30, "0.5 GiB"), (16 << 30, "8.0 GiB")])
def test_a_containers_own_limit_of_memory_counts(
    most: int, left: str, folder: str, limit: str, taken: str, cached: str, podman: Path
) -> None:
    put(podman, "proc/meminfo", f"MemAvailable: {8 << 20} kB\n")
    put(podman, f"{folder}/{limit}", f"{most}\n")
    put(podman, f"{folder}/{taken}", f"{768 << 20}\n")
    put(podman, f"{folder}/memory.stat", f"cache 1\n{cached} {256 << 20}\n")
    row = machine.memory(podman)
    assert row.found == left
    wanted = "start the container with more --memory, or none"
    assert row.fix == ("" if row.ok else wanted)


def test_no_limit_is_none(podman: Path) -> None:
    put(podman, "proc/meminfo", f"MemAvailable: {8 << 20} kB\n")
    put(podman, "sys/fs/cgroup/memory.max", "max\n")
    put(podman, "sys/fs/cgroup/memory.current", "1\n")
    put(podman, "sys/fs/cgroup/memory.stat", "inactive_file 0\n")
    assert machine.memory(podman).found == "8.0 GiB"
