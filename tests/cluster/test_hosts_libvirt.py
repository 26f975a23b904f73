"""Virtual machines of libvirt, by an inventory alone: a survey, every tier, and a lab put there.

They are full nodes with Debian's own kernel and virtio NICs; `up --provider libvirt` made them in
another checkout, of which the engine here knows nothing (foreign.py). What is asked of lean nodes
of uml by test_survey.py and test_hosts_*.py every day is asked of them by the same code, and of
wires that only libvirt has, whose NICs are plugged in meanwhile (virtual_wires.py).
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from cluster import test_hosts_lab as applied
from cluster import test_hosts_probe as probe
from cluster import test_hosts_reader as reader
from cluster.running import Checkout
from cluster.surveyed import ROOT_RIGHTS, looks, looks_before, reached, verdicts
from cluster.test_hosts_lab import GUESTS, listed
from cluster.virtual_wires import VLAN, WIRES, nic, plug, reached_by_hand
from foreign import EVERYTHING, RACK, USER, Foreign, foreign_machines
from underlay.observe.pinned import PATH, program, sudoers

pytestmark = pytest.mark.all

SURVEY_DEADLINE = 600.0
SURE = ("works", "fails")
SEGMENTS = {"lan": "eth1", "wan": "eth2"} | {wire: nic(wire) for wire in WIRES}
# What decides on each wire; everything else that a survey says is held against packets alone.
KNOWN = {
    ("lan", "macvlan-bridge-between"): "works",
    ("wan", "ipvlan-l2-between"): "works",
    ("nat", "macvlan-bridge-between"): "works",
    ("nat", "macvlan-vepa-beside"): "fails",
    ("jumbo", "mtu"): "works",
    ("narrow", "mtu"): "fails",
    ("hairpin", "macvlan-vepa-beside"): "works",
    ("hairpin", "ipvlan-l2-vepa-beside"): "works",
    ("filtered", "macvlan-bridge-between"): "fails",
    ("filtered", "foreign-mac"): "fails",
    ("filtered", "ipvlan-l2-between"): "works",
    ("isolated", "ipvlan-l2-between"): "fails",
    ("macvtap", "macvlan-bridge-between"): "fails",
    ("macvtap", "ipvlan-l2-between"): "works",
    ("macvtap", "multicast6"): "fails",
    ("trusted", "multicast6"): "works",
    ("nat", f"vlan-{VLAN}"): "works",
}
# What nobody could ask, as no frame passes there: neither right nor wrong.
UNKNOWN = {("isolated", "mtu"), ("isolated", "multicast6")}
# What `-o` makes of them: a lab has eight segments, and the last two are named as left out.
MIRRORED = {
    "lan": {},
    "wan": {},
    "jumbo": {},
    "narrow": {},
    "hairpin": {"hairpin": True},
    "filtered": {"locked": True},
    "isolated": {"isolated": True},
    "macvtap": {"locked": True, "snooping": True, "unknown_multicast": "drop"},
}


@pytest.fixture(scope="module")
def virtual(here: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Foreign]:
    """Return three virtual machines that the engine has an inventory of, and nothing more."""
    folder = tmp_path_factory.mktemp("virtual")
    with (
        here.copied_apart() as checkout,
        foreign_machines(checkout, folder, "rack", RACK, provider="libvirt") as machines,
    ):
        yield machines


@pytest.fixture
def probing(virtual: Foreign) -> Iterator[Foreign]:
    """The machines, with the probe's program and its line in sudoers, and no other right."""
    virtual.install(PATH, program())
    try:
        with virtual.sudoers(sudoers(USER)):
            yield virtual
    finally:
        for name in virtual.names:
            virtual.root(name, f"rm -f {PATH}")


WHAT_IT_IS = """
cat /sys/class/dmi/id/sys_vendor /proc/1/comm
uname -r
basename "$(readlink /sys/class/net/eth1/device/driver)"
"""


def test_they_are_machines_of_libvirt(virtual: Foreign) -> None:
    for name in virtual.names:
        vendor, first, release, driver = virtual.ssh(name, "sh", "-c", WHAT_IT_IS).out.split()
        assert (vendor, first, driver) == ("QEMU", "systemd", "virtio_net")
        assert release.endswith("-cloud-amd64"), release


def test_rows_of_hosts_are_measured_by_anybody(here: Checkout, virtual: Foreign) -> None:
    reader.test_the_user_is_refused_by_sudo(virtual)
    before = listed(virtual)
    done = reader.checked(here, virtual, "--json")
    assert listed(virtual) == before
    assert done.code == 3, str(done)
    found = done.document()
    reader.test_rows_of_hosts_are_measured_and_as_expected(virtual, found)
    reader.test_rows_of_containers_say_that_they_need_the_probe(virtual, found)
    reader.test_all_pairs_of_hosts_reach_each_other_with_whole_packets(virtual, found)
    reader.test_a_container_that_is_cut_off_differs_in_the_rows_of_hosts(here, virtual)


def test_nothing_is_sent_to_a_machine_outside_the_inventory(
    here: Checkout, virtual: Foreign, tmp_path: Path
) -> None:
    reader.test_nothing_is_sent_to_a_host_outside_the_inventory(here, virtual, tmp_path)


def test_all_rows_are_measured_by_the_probe_that_one_line_allows(
    here: Checkout, probing: Foreign
) -> None:
    probe.test_the_line_allows_that_program_and_nothing_else(probing)
    probe.test_all_rows_are_measured_and_the_machines_stay_as_they_were(here, probing)
    probe.test_what_differs_is_explained_from_inside(here, probing)


@pytest.fixture(scope="module")
def guests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("guests") / "guests.yml"
    file.write_text(GUESTS)
    return file


def test_a_lab_is_applied_measured_and_undone_exactly(
    here: Checkout, virtual: Foreign, guests: Path
) -> None:
    with virtual.sudoers(EVERYTHING):
        applied.test_a_lab_is_applied_measured_and_undone_exactly(here, virtual, guests, None)


def test_what_is_in_the_way_is_named(here: Checkout, virtual: Foreign, guests: Path) -> None:
    in_the_way = applied.test_what_is_in_the_way_is_named_and_nothing_is_done_anywhere
    with virtual.sudoers(EVERYTHING):
        in_the_way(here, virtual, guests, "an address on the wire", None)


def test_a_command_that_is_killed_is_undone_by_down(
    here: Checkout, virtual: Foreign, guests: Path, started: list[subprocess.Popen[str]]
) -> None:
    killed = applied.test_a_command_that_is_killed_in_any_phase_is_undone_by_down
    with virtual.sudoers(EVERYTHING):
        killed(here, virtual, guests, "apply", None, started)


def test_what_a_survey_says_is_what_packets_do(
    here: Checkout, virtual: Foreign, tmp_path: Path
) -> None:
    """On the lab's two segments and on all wires, with what works on each and what doesn't."""
    plug(virtual, tmp_path)
    named = [f"--segment={name}={found}" for name, found in SEGMENTS.items()]
    mirror = tmp_path / "mirror.yml"
    more = ("--send", "--vlans", str(VLAN), "-o", str(mirror), "--json")
    words = ("survey", "-i", str(virtual.inventory), *named, *more)
    with virtual.sudoers(ROOT_RIGHTS):
        before = looks_before(virtual)
        done = here.underlay(*words, deadline=SURVEY_DEADLINE)
        assert looks(virtual) == before
    assert done.code == 0, str(done)
    said = verdicts(done.document())
    seen = reached_by_hand(virtual)
    matrix = virtual.lab.check()
    seen["lan", "macvlan-bridge-between"] = reached(matrix, "lannet", "between")
    seen["wan", "ipvlan-l2-between"] = reached(matrix, "ipnet", "between")
    held = {
        key: {"works": {True}, "fails": {False}}[said[key]] for key in seen if said[key] in SURE
    }
    wrong = {key: (said[key], seen[key]) for key, wanted in held.items() if seen[key] != wanted}
    assert not wrong
    assert {key: said[key] for key in KNOWN} == KNOWN
    assert {key for key in seen if key not in held} == UNKNOWN
    lint = here.underlay("lint", str(mirror))
    assert lint.code == 0, str(lint)
    segments = YAML(typ="safe").load(mirror.read_text())["segments"]
    policies = {
        name: {key: value for key, value in segment.items() if key not in ("subnet", "interface")}
        for name, segment in segments.items()
    }
    assert policies == MIRRORED
