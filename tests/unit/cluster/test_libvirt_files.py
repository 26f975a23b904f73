"""What the provider libvirt derives from a plan, and its probe of KVM, without a libvirtd."""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

from underlay.cluster.boot_files import Boot
from underlay.cluster.prepare import load_plan
from underlay.cluster.providers.libvirt import kvm, machine, wiring
from underlay.cluster.providers.libvirt.provider import refuse_panicked
from underlay.cluster.providers.libvirt.virsh import identity
from underlay.errors import Infrastructure
from underlay.plan import Plan
from underlay.storage import paths

STATE = Path("/nonsuch/state")
BOOT = Boot(Path("/image/root.ext4"), Path("/image/vmlinuz"), Path("/image/initrd"))


@pytest.fixture
def plan() -> Plan:
    return load_plan(paths.root() / "labs" / "coreos.yml")


def test_free_names_are_the_machines_and_not_the_cables() -> None:
    named = load_plan(paths.root() / "labs" / "named.yml")
    for node in named.nodes:
        made = machine.describe(named, node, STATE, BOOT, kvm=False)
        assert made["name"] == node.name
    assert set(wiring.networks(named, STATE)) == {
        *("underlay-named-lan", "underlay-named-dmz"),
        *(f"underlay-named-mgmt_{number}" for number in (1, 2, 3)),
    }


def test_segments_have_no_address_and_management_is_a_link(plan: Plan) -> None:
    found = {
        name: ElementTree.fromstring(text) for name, text in wiring.networks(plan, STATE).items()
    }
    assert len(found) == len(plan.segments) + len(plan.nodes)
    for segment in plan.segments:
        network = found[f"underlay-coreos-{segment.name}"]
        assert network.find("ip") is None
        assert network.find("forward") is None
        assert network.find("bridge").get("name") == segment.bridge  # type: ignore[union-attr]
    for node in plan.nodes:
        network = found[f"underlay-coreos-mgmt_{node.index}"]
        address = network.find("ip")
        assert address is not None
        assert address.get("address") == node.management_peer
        assert address.get("netmask") == "255.255.255.252"
        assert address.find("dhcp") is None
    ids = [network.findtext("uuid") for network in found.values()]
    assert len(set(ids)) == len(ids)


def test_a_kernel_that_gave_up_is_not_waited_for(tmp_path: Path) -> None:
    console = tmp_path / "console.log"
    refuse_panicked("core-02", console)
    console.write_text("[    0.1] Booting\n")
    refuse_panicked("core-02", console)
    said = "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)"
    console.write_text(f"[    0.1] Booting\n[    2.3] {said}\n")
    with pytest.raises(Infrastructure, match=r"core-02: its kernel gave up .*: VFS: Unable"):
        refuse_panicked("core-02", console)


def test_identities_are_the_labs_own() -> None:
    assert identity(STATE, "domain", "core-01") == identity(STATE, "domain", "core-01")
    others = [
        (STATE, "domain", "core-02"),
        (STATE, "net", "core-01"),
        (Path("/x"), "domain", "core-01"),
    ]
    assert identity(STATE, "domain", "core-01") not in {identity(*other) for other in others}


def test_a_machine_has_the_plans_nics(plan: Plan) -> None:
    for node in plan.nodes:
        made = machine.describe(plan, node, STATE, BOOT, kvm=False)
        assert made["settings"]["management_network_mac"] == node.management.mac
        network = made["settings"]["management_network_address"]
        assert network == f"10.254.0.{4 * node.index}/30"
        assert [nic["mac"] for nic in made["networks"]] == [nic.mac for nic in node.nics]
        names = [nic["libvirt__iface_name"] for nic in made["networks"]]
        assert names == [segment.ports[node.name] for segment in plan.segments]


@pytest.mark.parametrize(
    ("works", "driver", "mode"), [(True, "kvm", "host-passthrough"), (False, "qemu", "custom")]
)
def test_kvm_only_where_it_works(plan: Plan, works: bool, driver: str, mode: str) -> None:
    settings = machine.describe(plan, plan.nodes[0], STATE, BOOT, kvm=works)["settings"]
    assert (settings["driver"], settings["cpu_mode"]) == (driver, mode)


@pytest.mark.parametrize(
    ("says", "works"),
    [(f'echo "{kvm.WORD}"', True), ('echo "KVM internal error. Suberror: 1" >&2; sleep 60', False)],
)
def test_the_probe_asks_once_and_in_time(
    says: str, works: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "calls"
    program = tmp_path / kvm.QEMU
    program.write_text(f"#!/bin/sh\necho called >>{log}\n{says}\n")
    program.chmod(0o755)
    kernel = tmp_path / "vmlinuz"
    kernel.write_text("kernel")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(kvm, "DEADLINE", 1.0)
    monkeypatch.setattr(kvm, "DEVICE", "/dev/null")
    first = kvm.probe(kernel, kernel)
    assert first.works is works
    assert works or "KVM internal error" in first.reason
    assert kvm.probe(kernel, kernel) == first
    assert log.read_text() == "called\n"
    kernel.write_text("another kernel")
    kvm.probe(kernel, kernel)
    assert log.read_text() == "called\ncalled\n"
