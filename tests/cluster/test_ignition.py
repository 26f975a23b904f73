"""Ignition and cloud-init make the same of a lab: file for file, and cell for cell on nodes.

Trees are made here: by Debian's Ignition, and by the very cloud-init of the nodes' image, out of
the files that are rendered of one lab for either. Few labs are compared daily, all shipped ones in
the full proof.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from cluster.fleet_up import FLEETS, fleet_up
from cluster.images import marked
from cluster.running import Checkout, Lab, written
from rendered import BATCH, KEY, SHIPPED
from underlay.cluster import ignition
from underlay.cluster.image import build as image
from underlay.lint.read import read_lab
from underlay.plan import Plan, make_plan
from underlay.render import render_all

# A lab of each kind of file: VLANs, both families, routes, filters, each runtime.
DAILY = ("coreos", "docker-vlan", "dual-stack-router", "filters", "podman-vlan")
PROGRAM = Path(__file__).with_name("cloud_init_tree.py")
NETWORKD = "/etc/systemd/network/"
# What cloud-init does itself while it boots, a node of Ignition's has files for: NICs get their
# names by .link, VLAN sub-interfaces are made by .netdev, and the last command is a unit.
OURS = (".link", ".netdev", ".network.d/vlans.conf")
UNIT = "/etc/systemd/system/underlay-node.service"
BESIDE = {UNIT, "/etc/systemd/system-preset/20-ignition.preset", "/etc/cloud/cloud-init.disabled"}

Tree = dict[str, list[object]]


@dataclass(frozen=True)
class Image:
    """What is taken out of the nodes' image: its Python packages, and the id of networkd there."""

    packages: Path
    networkd: int


@pytest.fixture(scope="session")
def taken(here: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Image:
    """Return what cloud-init needs of the image, out of its file system."""
    folder = tmp_path_factory.mktemp("image")
    disk = str(image.current().disk)

    def debugfs(request: str) -> str:
        words = ["debugfs", "-R", request, disk]
        done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
        return done.stdout

    debugfs(f"rdump /usr/lib/python3/dist-packages {folder}")
    ids = {
        line.split(":")[2]
        for file in ("passwd", "group")
        for line in debugfs(f"cat /etc/{file}").splitlines()
        if line.startswith("systemd-network:")
    }
    (networkd,) = ids
    assert networkd != "0"
    return Image(folder / "dist-packages", int(networkd))


def made_by(config: str, plan: Plan) -> Plan:
    """Return ``plan`` with full nodes that ``config`` makes."""
    nodes = tuple(replace(node, config=config, profile="full") for node in plan.nodes)
    return replace(plan, nodes=nodes)


def cloud_inits(seeds: list[Path], taken: Image, folder: Path) -> dict[str, Tree]:
    """Return what cloud-init makes of each of ``seeds``, all in one process."""
    pairs = []
    for number, seed in enumerate(seeds):
        root = folder / f"root-{number}"
        root.mkdir()
        pairs.append((str(seed), str(root)))
    space, networkd = ignition.EVERYBODY[os.geteuid() == 0], str(taken.networkd)
    done = subprocess.run(
        [*space, "/usr/bin/python3", "-I", "-S", str(PROGRAM), str(taken.packages), networkd],
        input=json.dumps(pairs),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    trees: dict[str, Tree] = json.loads(done.stdout)
    return trees


def ignitions(config: Path, folder: Path) -> Tree:
    """Return what Ignition makes of ``config``."""
    ignition.apply(config, folder / "tree.tar")
    found: Tree = {}
    with tarfile.open(folder / "tree.tar") as tar:
        for entry in tar:
            path = entry.name.removeprefix(".")
            file = tar.extractfile(entry)
            kind, text = ("file", file.read().decode()) if file else ("folder", "")
            if path:
                found[path] = [kind, entry.mode, entry.uid, entry.gid, text]
    return found


def prove_equal(labs: list[Path], taken: Image, folder: Path, *, nodes: int | None = None) -> None:
    """Compare the first ``nodes`` of ``labs``, by default all, and all of each tree.

    That is every path, and its kind, mode, owner, group and bytes.

    cloud-init gives networkd's units to networkd's account (cloudinit/net/networkd.py,
    create_network_file), Ignition gives what names no owner to root: each is held against that.
    """
    every = [make_plan(read_lab(lab)) for lab in labs]
    plans = [replace(plan, nodes=plan.nodes[:nodes]) for plan in every]
    seeds, configs = (
        render_all([made_by(config, plan) for plan in plans], KEY, folder / "cache")
        for config in ("cloud-config", "ignition")
    )
    pairs = {
        seed / node.name: config / node.name / "config.ign"
        for plan, seed, config in zip(plans, seeds, configs, strict=True)
        for node in plan.nodes
    }
    theirs = cloud_inits(list(pairs), taken, folder)
    for seed, config in pairs.items():
        assert ignition.validate(config) == "", config
        ours, wanted = ignitions(config, folder), theirs[str(seed)]
        units = {path for path in wanted if path.startswith(NETWORKD) and wanted[path][0] == "file"}
        assert units
        for path in units:
            assert wanted[path][2:4] == [taken.networkd] * 2, path
            wanted[path][2:4] = [0, 0]
        # Every file of cloud-init's is there, and whatever else there is is known by name.
        assert {path: ours.get(path) for path in wanted} == wanted
        more = {path for path in ours.keys() - wanted.keys() if ours[path][0] == "file"}
        assert {path for path in more if not path.endswith(OURS)} == BESIDE


def test_trees_of_labs_of_each_kind(taken: Image, tmp_path: Path) -> None:
    """Of one node of each, as Ansible's work grows with them: all have files of the same kinds."""
    labs = [path for path in SHIPPED if path.stem in DAILY]
    assert len(labs) == len(DAILY)
    prove_equal(labs, taken, tmp_path, nodes=1)


@pytest.mark.all
@pytest.mark.parametrize("first", range(0, len(SHIPPED), BATCH))
def test_trees_of_all_shipped_labs(first: int, taken: Image, tmp_path: Path) -> None:
    prove_equal(SHIPPED[first : first + BATCH], taken, tmp_path)


# NICs, a VLAN sub-interface and each kind of container that comes back by itself.
BOOTED = """\
name: ignited
nodes: {count: COUNT, config: ignition}
segments:
  lan: {subnet: 192.168.70.0/24, subnet6: "fd00:70::/64"}
networks:
  tagged: {driver: macvlan, segment: lan, vlan: 70, subnet: 10.70.0.0/24, runtime: cni}
  shared: {driver: ipvlan, segment: lan, subnet: 10.80.0.0/24, runtime: docker}
containers:
  - {on: all, count: 2, networks: [tagged]}
  - {on: all, count: 2, networks: [shared]}
"""
# What a node is that Ignition and systemd have made, without what differs from boot to boot.
NODE = """
cat /proc/1/comm /etc/hostname
ip -brief address show | grep -v '^docker\\|^lo'
ip route show
systemctl is-active systemd-networkd
cloud-init status
systemctl show --value --property=ConditionResult cloud-init-main.service cloud-init-local.service
stat -c '%n %a %U:%G' /etc/underlay/node.json /etc /tmp /etc/cni/net.d
"""
MARK = "/usr/lib/underlay-next"


@pytest.fixture(params=[1, pytest.param(2, marks=pytest.mark.all)])
def booted(copy: Checkout, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Return the lab, not up: of one node every day, and in the full proof of two.

    That an update takes one after the other is what tests/unit/proof/test_after.py shows daily.
    """
    with written(copy, tmp_path, "ignited", BOOTED.replace("COUNT", str(request.param))) as lab:
        yield lab


def test_a_lab_that_ignition_makes_is_as_predicted_at_its_first_boot_and_after_an_update(
    booted: Lab, tmp_path: Path
) -> None:
    """The second boot has another image's /usr, which holds a file more: see test_update.py."""
    done = booted.up()
    assert done.code == 0, str(done)
    booted.check().prove_green()
    first = booted.shell("core-01", NODE)
    assert first.startswith("systemd\ncore-01\n")
    assert "eth1.70@eth1" in first
    assert "\nstatus: disabled\nno\n\nno\n" in first
    assert "/etc/underlay/node.json 644 root:root" in first
    assert "/tmp 1777 root:root" in first
    image = marked(tmp_path / "next.ext4", MARK, "next\n")
    words = ("--after", f"upgrade={image}", "--healing", "90", "--json")
    done = booted.verb("check", *words, deadline=900)
    assert done.code == 0, str(done)
    (update,) = done.document()["after"]
    assert (update["event"], update["cells"]) == ("update", [])
    nodes = [node.name for node in booted.plan.nodes]
    assert [(one["node"], one["lost"]) for one in update["nodes"]] == [(n, None) for n in nodes]
    assert booted.shell("core-01", NODE) == first
    for node in nodes:
        assert booted.shell(node, f"cat {MARK}") == "next\n"
        refused = booted.execute(node, "touch", "/usr/written")
        assert refused.code, str(refused)
        assert "Read-only file system" in refused.err, str(refused)
    # The unit that starts containers is of the first boot, as cloud-init's last command is.
    unit = "systemctl show --value --property=ConditionResult underlay-node.service"
    assert booted.shell("core-01", unit).strip() == "no"


OWN = """
cat /etc/hostname
readlink /etc/localtime
stat -c '%n %a %U:%G' /etc/motd.d/site /opt/bin
systemctl is-active site
"""


@pytest.mark.all
def test_hosts_own_configurations_make_three_nodes(copy: Checkout, tmp_path: Path) -> None:
    with fleet_up(copy, tmp_path, "ignition") as lab:
        lab.check().prove_green()
        assert lab.shell("core-02", OWN).splitlines() == [
            "core-02",
            "../usr/share/zoneinfo/Europe/Zurich",
            "/etc/motd.d/site 640 core:core",
            "/opt/bin 755 root:root",
            "active",
        ]


def test_a_configuration_that_is_too_new_is_not_judged(copy: Checkout, tmp_path: Path) -> None:
    """``lint`` says so, ``up`` before it starts anything, and who makes the nodes with --force."""
    fleet = tmp_path / "ignition"
    shutil.copytree(FLEETS / "ignition", fleet)
    config = fleet / "hosts" / "core-02" / "config.ign"
    config.write_text(config.read_text().replace("3.3.0", "3.4.0"))
    lab = fleet / "lab.yml"
    for verb, code in (("lint", 1), ("up", 2), ("check", 2)):
        done = copy.underlay(verb, str(lab))
        assert done.code == code, str(done)
        assert "core-02/config.ign:3:16: " in done.out + done.err, str(done)
        assert "not judged: its specification is 3.4.0" in done.out + done.err
        assert "ignition_as: 3.3.0" in done.out + done.err
        assert "--force" not in done.out + done.err
    done = copy.underlay("up", str(lab), "--force")
    assert done.code == 2, str(done)
    assert "core-02/config.ign: not judged: its specification is 3.4.0" in done.err
    assert "ignition_as: 3.3.0" in done.err
    lab.write_text(
        lab.read_text().replace("config: ignition", "config: ignition, ignition_as: 3.3.0")
    )
    done = copy.underlay("lint", str(lab))
    assert done.code == 0, str(done)
    assert "not judged" not in done.out + done.err
