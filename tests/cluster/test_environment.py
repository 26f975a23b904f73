"""Faults of the machine: a clear error, exit code 3, and nothing of the lab left.

Each is really there, for the command under test alone: in a mount or user namespace of its
own, which ends with it.
"""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.commands import Done, run
from cluster.left_behind import interfaces, prove_nothing_is_left
from cluster.running import CHECK_DEADLINE, UP_DEADLINE, Checkout, Lab, written
from cluster.small_lab import small_lab
from underlay.cluster.image import build as image
from underlay.cluster.providers.uml import lean, sandbox
from underlay.cluster.providers.uml import node as uml_node
from underlay.errors import Infrastructure
from underlay.lint.read import read_lab
from underlay.plan import Plan, make_plan
from underlay.proof.bench.descendants import descendants
from underlay.proof.bench.soak import waited
from underlay.storage import paths

SMALL = small_lab("beset", 1, count=1, runtime="iproute2")
NAMESPACE = ["unshare", "--mount", "--propagation", "private", "sh", "-euc"]
IN_ITS_OWN_USERS = ["unshare", "--user", "--map-root-user", "sh", "-euc"]
# An ordinary user has no mounts of its own without a user namespace.
MOUNTS = NAMESPACE if os.geteuid() == 0 else [*NAMESPACE[:1], "--user", "--map-root-user",
                                              *NAMESPACE[1:]]  # fmt: skip
BOOT_DEADLINE = 12.0


@pytest.fixture(scope="module")
def beset(copy: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A small lab, not up, whose rendered files are cached."""
    with written(copy, tmp_path_factory.mktemp("beset"), "beset", SMALL) as lab:
        yield lab


def within(lab: Lab, fault: str, *words: str, wrap: list[str] | None = None) -> Done:
    """Run ``underlay`` with ``words`` where the shell script ``fault`` has been run before."""
    program = str(lab.checkout.root / "underlay")
    script = f'{fault}\nexec "$@"'
    arguments = [*(wrap or MOUNTS), script, "sh", program, *words]
    return run(arguments, folder=lab.checkout.root, deadline=UP_DEADLINE)


def up_fails(lab: Lab, fault: str, *said: str, wrap: list[str] | None = None) -> None:
    before = interfaces()
    done = within(lab, fault, "up", str(lab.file), wrap=wrap)
    assert done.code == 3, str(done)
    assert "defect" not in done.err, str(done)
    for words in (*said, "hint: "):
        assert words in done.err, str(done)
    lab.checkout.underlay("down", "--all")
    prove_nothing_is_left(lab.checkout, before)


def test_without_a_fault_the_lab_comes_up(beset: Lab) -> None:
    done = within(beset, ":", "up", str(beset.file))
    assert done.code == 0, str(done)
    beset.check().prove_green()
    done = beset.down()
    assert done.code == 0, str(done)


def test_tun_is_missing(beset: Lab) -> None:
    up_fails(beset, "mount -t tmpfs none /dev/net", "/dev/net/tun")


@pytest.mark.all
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make a device that can't be opened")
def test_tun_is_forbidden(beset: Lab) -> None:
    script = "mount -t tmpfs -o nodev none /dev/net; mknod /dev/net/tun c 10 200"
    up_fails(beset, script, "/dev/net/tun")


@pytest.mark.all
def test_user_namespaces_are_disabled(beset: Lab) -> None:
    script = "echo 0 >/proc/sys/user/max_user_namespaces"
    up_fails(beset, script, "the lab's sandbox could not be made", wrap=IN_ITS_OWN_USERS)


def test_vagrant_is_missing(beset: Lab) -> None:
    up_fails(beset, 'mount --bind /dev/null "$(command -v vagrant)"', "no vagrant on PATH")


@pytest.mark.all
def test_vagrant_is_old(beset: Lab, tmp_path: Path) -> None:
    stub = tmp_path / "vagrant"
    stub.write_text('#!/bin/sh\n[ "$1" != --version ] || { echo Vagrant 2.2.19; exit; }\nexit 1\n')
    stub.chmod(0o755)
    up_fails(
        beset, f'mount --bind {stub} "$(command -v vagrant)"', "Vagrant 2.2.19 is too old", "2.3"
    )


@pytest.mark.parametrize("size", ["8k", pytest.param("64k", marks=pytest.mark.all)])
def test_the_disk_is_full_during_up(beset: Lab, size: str) -> None:
    home = beset.checkout.root / ".underlay"
    home.mkdir(exist_ok=True)
    up_fails(beset, f"mount -t tmpfs -o size={size} none {home}", "No space left on device")


@pytest.mark.all
def test_the_cache_is_read_only(beset: Lab, tmp_path: Path) -> None:
    script = f"mount --bind {tmp_path} {tmp_path}; mount -o remount,ro,bind {tmp_path}"
    export = f"{script}; export XDG_CACHE_HOME={tmp_path}"
    up_fails(beset, export, str(tmp_path), "XDG_CACHE_HOME")


def test_the_disk_is_full_during_an_image_build(beset: Lab, tmp_path: Path) -> None:
    script = f"mount -t tmpfs -o size=64m none {tmp_path}; export XDG_CACHE_HOME={tmp_path}"
    done = within(beset, script, "image", "build")
    assert done.code == 3, str(done)
    assert "MiB free, an image build needs" in done.err, str(done)
    assert "hint: set XDG_CACHE_HOME" in done.err, str(done)


def test_there_is_no_room_to_unpack_an_image(beset: Lab, tmp_path: Path) -> None:
    script = "mount -t tmpfs -o size=64m none /var/tmp"
    done = within(beset, f"{script}; export XDG_CACHE_HOME={tmp_path}", "image", "build")
    assert done.code == 3, str(done)
    assert "/var/tmp has 64 MiB free, an image build needs" in done.err, str(done)


@pytest.mark.all
def test_the_disk_gets_full_in_the_midst_of_an_image_build(beset: Lab, tmp_path: Path) -> None:
    script = "mount -t tmpfs -o size=4g,nr_inodes=3000 none /var/tmp"
    done = within(beset, f"{script}; export XDG_CACHE_HOME={tmp_path}", "image", "build")
    assert done.code == 3, str(done)
    assert "No space left on device" in done.err, str(done)
    assert [path.name for path in (tmp_path / "underlay" / "images").iterdir()] == [".lock"]


@pytest.mark.all
def test_a_killed_image_build_leaves_nothing(beset: Lab, tmp_path: Path) -> None:
    """Not even where its packages were being unpacked; /var/tmp is the test's own."""
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    bind = f"mount --bind {unpacked} /var/tmp; export XDG_CACHE_HOME={tmp_path}/cache"
    program = str(beset.checkout.root / "underlay")
    with subprocess.Popen([*MOUNTS, f'{bind}; exec "$@"', "sh", program, "image", "build"]) as done:
        assert waited(lambda: any(unpacked.glob("*/mmdebstrap.*/usr/bin/*")), 60) is not None
        assert [p.words for p in descendants(done.pid) if "mmdebstrap" in p.words]
        started = {(process.pid, process.words) for process in descendants(done.pid)}
        done.kill()
    assert waited(lambda: not any(unpacked.iterdir()), 30) is not None

    def left() -> set[tuple[int, str]]:
        return started & {(process.pid, process.words) for process in descendants(1)}

    assert waited(lambda: not left(), 30) is not None, left()


@pytest.mark.all
def test_the_image_is_corrupt(beset: Lab, tmp_path: Path) -> None:
    key = image.current().key
    broken = tmp_path / "underlay" / "images" / key
    broken.mkdir(parents=True)
    for path in image.current().folder.iterdir():
        (broken / path.name).symlink_to(path)
    (broken / "root.ext4").unlink()
    (broken / "root.ext4").write_bytes(b"cut")
    done = within(beset, f"export XDG_CACHE_HOME={tmp_path}", "up", str(beset.file))
    assert done.code == 3, str(done)
    assert f"the image {key} is damaged: root.ext4" in done.err, str(done)
    assert "underlay image build --force" in done.err, str(done)
    done = within(beset, f"export XDG_CACHE_HOME={tmp_path}", "image", "build", "--force")
    assert done.code == 0, str(done)
    image.Image(key, broken).check()


@pytest.mark.all
@pytest.mark.parametrize("jump", ["+1 day", "-2 days"])
def test_a_nodes_clock_jumps(beset: Lab, jump: str, started: list[subprocess.Popen[str]]) -> None:
    done = beset.up()
    assert done.code == 0, str(done)
    # As soon as the probe runs there; the brackets keep the shell that looks from being found.
    script = "until pgrep -f '^python3 -I -S -c [i]mport ctypes'; do :; done; date --set \"$1\""
    command = ("sh", "-euc", script, "sh", jump)
    process = beset.checkout.start("exec", "core-01", "--lab", beset.name, "--", *command)
    started.append(process)
    beset.check().prove_green()
    assert process.wait(timeout=CHECK_DEADLINE) == 0
    beset.check().prove_green()


@pytest.fixture
def plan() -> Plan:
    plan = make_plan(read_lab(paths.root() / "labs" / "lean.yml"))
    (node, *_) = plan.nodes
    return dataclasses.replace(plan, lab="boots", nodes=(node,))


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A root file system with a shell and nothing else."""
    tree = tmp_path / "tree"
    for folder in ("bin", "sbin", "dev", "proc"):
        (tree / folder).mkdir(parents=True)
    (tree / "bin" / "busybox").write_bytes(Path("/bin/busybox").read_bytes())
    (tree / "bin" / "busybox").chmod(0o755)
    return tree


def boot(plan: Plan, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Boot the only node of ``plan`` from the root in ``tree``, and return how that fails."""
    disk = tmp_path / "root.ext4"
    words = ["mke2fs", "-q", "-t", "ext4", "-d", str(tree), str(disk), "16M"]
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    subprocess.run(words, check=True, timeout=30, env={**os.environ, "PATH": path})
    (node,) = plan.nodes
    # What the seed says is another test's business.
    monkeypatch.setattr(lean, "make_lean_seed", lambda *words: words[-1].write_bytes(bytes(10240)))
    monkeypatch.setattr(uml_node, "make_iso", lambda _, output, __: output.write_bytes(bytes(512)))
    living = sandbox.start(plan, tmp_path, uml_node.files(plan, disk))
    try:
        with pytest.raises(Infrastructure) as failure:
            uml_node.start(plan, node, living, disk, tmp_path, BOOT_DEADLINE)
        assert uml_node.state_of(living, node.name) != "running"
    finally:
        living.stop()
    return f"{failure.value.message}\n{failure.value.detail}"


# Every day `up` says so itself: see test_never_ready.py.
@pytest.mark.all
def test_a_node_panics(
    plan: Plan, empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = boot(plan, empty, tmp_path, monkeypatch)
    assert "its kernel ended while booting" in said
    assert "Kernel panic" in said


@pytest.mark.all
def test_a_node_hangs(
    plan: Plan, empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty / "bin" / "sh").symlink_to("busybox")
    (empty / "sbin" / "init").write_text(
        "#!/bin/sh\necho waiting for Godot\nwhile :; do /bin/busybox sleep 1; done\n"
    )
    (empty / "sbin" / "init").chmod(0o755)
    (node,) = plan.nodes
    full = dataclasses.replace(plan, nodes=(dataclasses.replace(node, profile="full"),))
    said = boot(full, empty, tmp_path, monkeypatch)
    assert "ssh did not answer within the deadline" in said
    assert "waiting for Godot" in said


def test_there_is_no_memory_for_the_nodes(plan: Plan, tmp_path: Path) -> None:
    (node,) = plan.nodes
    huge = dataclasses.replace(plan, nodes=(dataclasses.replace(node, memory=1 << 30),))
    with pytest.raises(Infrastructure, match=r"MiB of memory are free, the lab's 1 nodes need"):
        sandbox.start(huge, tmp_path)
    assert sandbox.find(tmp_path) is None


def test_there_is_no_memory_for_a_lab(beset: Lab) -> None:
    """The most that a node can be given, and more nodes of that than this machine could hold."""
    file = beset.file.with_name("huge.yml")
    facts = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    count = (int(facts["MemTotal"].split()[0]) >> 10) // 16384 + 1
    if count > 20:
        pytest.skip("this machine has more memory than the largest lab: 20 nodes of 16 GiB")
    nodes = f"nodes: {{count: {count}, profile: lean, memory: 16384}}"
    file.write_text(re.sub(r"^nodes: .*$", nodes, SMALL, flags=re.MULTILINE))
    said = f"MiB of memory are free, the lab's {count} nodes need {count * 16384} MiB"
    up_fails(dataclasses.replace(beset, file=file), ":", said, "less `memory` each")
