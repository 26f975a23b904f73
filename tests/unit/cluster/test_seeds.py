"""What a node's seed holds: an ISO for cloud-init, a tar file for lean nodes and Ignition's."""

from __future__ import annotations

import base64
import dataclasses
import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from underlay.cluster.node_files import make_seed, program
from underlay.cluster.providers import provider
from underlay.cluster.providers.uml import account, initrd, lean
from underlay.cluster.providers.uml.ignited import (
    APPLIED,
    SEED,
    configurations,
    make_ignition_seed,
    rewritten,
)
from underlay.cluster.providers.uml.node import arguments
from underlay.errors import BadInput
from underlay.lint.read import read_lab
from underlay.plan import OwnFile, Plan, make_plan
from underlay.storage import paths

KEY = "ssh-ed25519 AAAA lean\n"
SPACE = ("unshare", "--user", "--map-root-user")
NAMES = ("user-data", "meta-data", "network-config")


@pytest.fixture
def plan() -> Plan:
    return make_plan(read_lab(paths.root() / "labs" / "lean.yml"))


def full(plan: Plan) -> Plan:
    nodes = tuple(dataclasses.replace(node, profile="full") for node in plan.nodes)
    return dataclasses.replace(plan, nodes=nodes)


@pytest.fixture
def seed(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tarfile.TarFile:
    monkeypatch.setattr(account, "key_file", lambda lab: tmp_path / "key")
    (tmp_path / "key.pub").write_text(KEY)
    files = tmp_path / "files"
    (files / "net.d").mkdir(parents=True)
    (files / "net.d" / "20-lannet.conf").write_text("{}\n")
    listed = ["/etc/rkt/net.d/20-lannet.conf", "/etc/underlay/node.json"]
    (files / "node.json").write_text(json.dumps({"files": listed}))
    lean.make_lean_seed(plan, plan.nodes[1], files, tmp_path / "seed.iso")
    # The kernel has no use for a disk that ends within a sector.
    assert (tmp_path / "seed.iso").stat().st_size % 512 == 0
    return tarfile.open(tmp_path / "seed.iso")


def text(seed: tarfile.TarFile, name: str) -> str:
    found = seed.extractfile(name)
    assert found is not None
    return found.read().decode()


def test_it_holds_the_rendered_files_and_the_user(seed: tarfile.TarFile) -> None:
    assert text(seed, "etc/rkt/net.d/20-lannet.conf") == "{}\n"
    assert text(seed, "etc/hostname") == "core-02\n"
    assert text(seed, "home/core/.ssh/authorized_keys") == KEY
    login = seed.getmember("home/core/.ssh/authorized_keys")
    assert (login.mode, login.uid, login.gid) == (0o600, 1000, 1000)
    assert seed.getmember("etc/sudoers.d/90-underlay").mode == 0o440


def test_nics_are_named_in_the_order_of_the_kernels_arguments(
    seed: tarfile.TarFile, plan: Plan
) -> None:
    node = plan.nodes[1]
    lines = text(seed, f"{lean.SEED}/links").splitlines()
    named = [line.split() for line in lines if " name " in line]
    given = [word for word in arguments(plan, node) if word.startswith("vec")]
    nics = {nic.mac: nic.interface for nic in (node.management, *node.nics)}
    for words, argument in zip(named, given, strict=True):
        assert words[2] == argument.partition(":")[0]
        assert words[4] == nics[argument.rpartition("mac=")[2]]
    assert lines[-1] == "link set eth0 up"


def test_its_script_is_a_shell_script(seed: tarfile.TarFile, tmp_path: Path) -> None:
    script = tmp_path / "start"
    script.write_text(text(seed, f"{lean.SEED}/start"))
    assert script.read_text().startswith("user=core\n")
    subprocess.run(["sh", "-n", str(script)], check=True, timeout=10)


def test_only_a_lean_kernel_begins_with_a_shell(plan: Plan) -> None:
    assert "init=/bin/sh" in arguments(plan, plan.nodes[0])
    whole = full(plan)
    assert not any("init=" in word for word in arguments(whole, whole.nodes[0]))


def test_a_seed_holds_its_files_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    files, disks = tmp_path / "files", tmp_path / "disks"
    for folder in (files, disks):
        folder.mkdir()
    for name in NAMES:
        (files / name).write_text(f"this is {name}\n")
    make_seed(files, disks / "one-seed.iso")
    # Another node's seed, made at the same time, would be of a file that this one writes.
    assert [path.name for path in disks.iterdir()] == ["one-seed.iso"]
    found = tmp_path / "found"
    words = ["xorriso", "-osirrox", "on", "-indev", str(disks / "one-seed.iso")]
    subprocess.run(
        [*words, "-extract", "/", str(found)], capture_output=True, check=True, timeout=60
    )
    assert {path.name for path in found.iterdir()} == {*NAMES, "node"}
    assert (found / "node").read_bytes() == program()
    for name in NAMES:
        assert (found / name).read_text() == f"this is {name}\n"


CONFIG: dict[str, Any] = {
    "ignition": {"version": "3.3.0"},
    "storage": {
        "files": [
            {"path": "/etc/secret", "mode": 0o600, "contents": {"source": "data:,one%20line%0A"}}
        ],
    },
    "systemd": {"units": [{"name": "one.service", "enabled": True, "contents": "[Service]\n"}]},
}


def ignited(plan: Plan) -> Plan:
    nodes = tuple(dataclasses.replace(node, config="ignition") for node in full(plan).nodes)
    return dataclasses.replace(plan, nodes=nodes)


def ignition_seed(
    plan: Plan, config: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tarfile.TarFile:
    monkeypatch.setattr(account, "key_file", lambda lab: tmp_path / "key")
    (tmp_path / "key.pub").write_text(KEY)
    (tmp_path / "config.ign").write_text(json.dumps(config))
    make_ignition_seed(plan, plan.nodes[0], tmp_path, tmp_path / "seed.iso")
    return tarfile.open(tmp_path / "seed.iso")


def test_ignition_itself_makes_the_files_of_a_seed(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = ignition_seed(ignited(plan), CONFIG, tmp_path, monkeypatch)
    assert text(seed, "./etc/secret") == "one line\n"
    secret = seed.getmember("./etc/secret")
    assert (secret.mode, secret.uid, secret.gid) == (0o600, 0, 0)
    preset = "./etc/systemd/system-preset/20-ignition.preset"
    assert text(seed, preset) == "enable one.service\n"
    assert text(seed, "home/core/.ssh/authorized_keys") == KEY
    # A root's own folders keep their modes.
    assert not [one.name for one in seed if one.isdir() and one.name.startswith(".")]


def test_where_ignition_runs_in_an_initrd_a_seed_has_its_configurations_and_no_tree(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = '{"ignition": {"version": "3.0.0"}}'
    file = OwnFile("/srv/my.ign", "ignition", mine, source="hosts/one/my.ign")
    first = dataclasses.replace(ignited(plan).nodes[0], ignition_in="initrd", own=(file,))
    whole = dataclasses.replace(plan, nodes=(first, *plan.nodes[1:]))
    seed = ignition_seed(whole, CONFIG, tmp_path, monkeypatch)
    assert not [name for name in seed.getnames() if name.startswith("./")]
    assert text(seed, "home/core/.ssh/authorized_keys") == KEY
    merge = json.loads(text(seed, f"{SEED}/user.ign"))["ignition"]["config"]["merge"]
    found = [one["source"].removeprefix("data:;base64,") for one in merge]
    # The user's own come first, as of two that differ the later wins.
    assert [base64.b64decode(one).decode() for one in found] == [mine, json.dumps(CONFIG)]
    assert seed.getmember(f"{SEED}/user.ign").mode == 0o600
    script = tmp_path / "account"
    script.write_text(text(seed, f"{SEED}/account"))
    assert script.read_text().startswith("user=core\n")
    subprocess.run(["sh", "-n", str(script)], check=True, timeout=10)
    words = arguments(whole, first)
    assert [word for word in words if word.startswith("initrd=")]
    # The second boot with another /usr has nothing left for Ignition to do.
    for node, updated in ((first, True), (ignited(plan).nodes[0], False)):
        given = arguments(whole, node, updated=updated)
        assert not [word for word in given if word.startswith("initrd=")]


def test_what_ignition_refuses_in_an_initrd_is_no_reason_to_build_an_image(plan: Plan) -> None:
    node = ignited(plan).nodes[0]
    inside = dataclasses.replace(node, ignition_in="initrd")
    stage = "underlay: Ignition's stage files failed, and the node isn't made"
    end = f"CRITICAL : files: createFiles: op(4): exists\n{stage}\nreboot: Power down\n"
    told = initrd.failure(inside, end)
    assert told is not None
    assert told.message == f"{node.name}: {stage.removeprefix('underlay: ')}"
    assert "underlay render" in told.hint
    assert "image build" not in told.hint
    rootless = initrd.failure(inside, "underlay: there is no root to mount\n")
    assert rootless is not None
    assert rootless.hint == "underlay image build --force"
    assert initrd.failure(inside, "Kernel panic - not syncing: No init\n") is None
    assert initrd.failure(node, end) is None


def test_an_initrd_is_an_archive_that_busybox_reads(tmp_path: Path) -> None:
    made = initrd.initrd(APPLIED, SEED)
    assert initrd.initrd(APPLIED, SEED) == made
    words = ["busybox", "cpio", "-idm", "bin/*", "init", "usr/lib/*", "lib*"]
    with made.open("rb") as archive:
        subprocess.run(
            words, stdin=archive, cwd=tmp_path, capture_output=True, check=True, timeout=60
        )
    subprocess.run(["sh", "-n", str(tmp_path / "init")], check=True, timeout=10)
    assert (tmp_path / "usr/lib/ignition").is_dir()
    assert (tmp_path / "bin/mount").readlink() == Path("busybox")
    ignition = tmp_path / "bin/ignition"
    assert ignition.read_bytes() == Path(initrd.BINARY).read_bytes()
    # All that it is linked to is there: it starts with this archive for a root.
    inside = [*SPACE, "chroot", str(tmp_path), "/bin/ignition", "--version"]
    done = subprocess.run(inside, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith("Ignition ")


def test_a_users_own_configuration_comes_first_and_loses(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = {
        "ignition": {"version": "3.0.0"},
        "passwd": {"users": [{"name": "core"}]},
        "storage": {
            "files": [
                {"path": "/etc/secret", "contents": {"source": "data:,theirs"}},
                {"path": "/srv/web", "user": {"name": "core"}, "contents": {"source": "data:,web"}},
            ],
            "directories": [{"path": "/srv/own", "mode": 0o750}],
        },
        "systemd": {"units": [{"name": "two.service", "enabled": True, "contents": "[Service]"}]},
    }
    ours = {**CONFIG["storage"]["files"][0], "overwrite": True}
    wins = {**CONFIG, "storage": {"files": [ours]}}
    file = OwnFile("/srv/my.ign", "ignition", json.dumps(mine), source="hosts/one/my.ign")
    whole = ignited(plan)
    first = dataclasses.replace(whole.nodes[0], own=(file,))
    whole = dataclasses.replace(whole, nodes=(first, *whole.nodes[1:]))
    seed = ignition_seed(whole, wins, tmp_path, monkeypatch)
    assert text(seed, "./etc/secret") == "one line\n"
    assert seed.getmember("./srv/web").uid == 1000
    assert [one.name for one in seed if one.isdir() and one.name.startswith(".")] == ["./srv/own"]
    assert seed.getmember("./srv/own").mode == 0o750
    preset = "./etc/systemd/system-preset/20-ignition.preset"
    assert set(text(seed, preset).split("\n")) >= {"enable one.service", "enable two.service"}


def test_a_users_own_configuration_that_is_too_new_is_refused_before_anything_starts(
    plan: Plan,
) -> None:
    newer = '{"x": {"version": "3.10.0"}, "ignition": {"version": "3.10.0"}}'
    file = OwnFile("/srv/my.ign", "ignition", newer, source="hosts/one/my.ign")
    own = dataclasses.replace(ignited(plan).nodes[0], own=(file,))
    with pytest.raises(BadInput, match=r"one/my[.]ign: not judged: its specification is"):
        provider("uml").refuse_lacking(dataclasses.replace(plan, nodes=(own,)))
    # Read as an older one it is taken, and that is said; nothing but its version is another.
    read = dataclasses.replace(plan, nodes=(dataclasses.replace(own, ignition_as="3.3.0"),))
    provider("uml").refuse_lacking(read)
    assert configurations(read.nodes[0]) == {
        "hosts/one/my.ign": newer.replace(
            'ignition": {"version": "3.10', 'ignition": {"version": "3.3'
        )
    }
    assert rewritten(read) == ["hosts/one/my.ign says version 3.10.0, and is read as 3.3.0"]
    assert rewritten(dataclasses.replace(plan, nodes=(own,))) == []


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"ignition": {"version": "3.4.0"}}, "unsupported config version"),
        ({"ignition": {"version": "3.3.0"}, "passwd": {"users": [{"name": "core"}]}}, "passwd"),
    ],
)
def test_what_ignition_refuses_is_refused_in_its_words(
    plan: Plan, wrong: object, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadInput, match=words) as caught:
        ignition_seed(ignited(plan), wrong, tmp_path, monkeypatch)
    assert "up to 3.3.0" in str(caught.value.hint)


def test_user_data_is_refused_where_no_cloud_init_acts_on_it(plan: Plan) -> None:
    file = OwnFile("/srv/user-data", "user-data", "#cloud-config\n", source="hosts/one/user-data")
    node = dataclasses.replace(ignited(plan).nodes[0], own=(file,))
    with pytest.raises(BadInput, match="hosts/one/user-data: cloud-init's user-data, and Ignition"):
        provider("uml").refuse_lacking(dataclasses.replace(plan, nodes=(node,)))
    by_cloud_init = dataclasses.replace(node, config="cloud-config")
    provider("uml").refuse_lacking(dataclasses.replace(plan, nodes=(by_cloud_init,)))


def test_a_node_of_ignition_lays_its_tree_once_and_becomes_systemd(plan: Plan) -> None:
    whole = ignited(plan)
    (words,) = [word for word in arguments(whole, whole.nodes[0]) if "/dev/ubdb" in word]
    assert f"[ -e {APPLIED} ] ||" in words
    assert words.endswith('&& exec /sbin/init"')
