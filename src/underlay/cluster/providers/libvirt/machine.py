"""What the Vagrantfile sets for a virtual machine, and the two disks that it boots from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from underlay.cluster import ssh
from underlay.cluster.node_files import make_seed
from underlay.cluster.process import run
from underlay.cluster.providers.libvirt.own import has_own, uri_of
from underlay.cluster.providers.libvirt.virsh import identity, virsh
from underlay.cluster.providers.libvirt.wiring import management_network, pool_name, segment_network
from underlay.cluster.providers.uml import sandbox

if TYPE_CHECKING:
    from pathlib import Path

    from underlay.cluster.boot_files import Boot
    from underlay.plan import Plan, PlannedNode

# As on uml (uml/node.py): nothing in /etc or /var has to be brought up to date at boot. The
# kernel looks whether its timer ticks within some milliseconds of its own time, which an emulated
# processor on a busy machine may not live to see: it panics (cirros-dev/cirros#69). Under KVM the
# kernel leaves that look out by itself.
COMMAND_LINE = (
    "console=ttyS0 net.ifnames=0 audit=0 lsm=capability systemd.condition_needs_update=0 quiet"
    " no_timer_check"
)
DISK_DEADLINE = 60.0


def describe(
    plan: Plan, node: PlannedNode, state: Path, boot: Boot, *, kvm: bool
) -> dict[str, Any]:
    """Return the machine's settings as the JSON object that the Vagrantfile carries out.

    ``settings`` are set on Vagrant's provider configuration, ``calls`` are called
    on it, ``networks`` become ``vm.network``; a word after a colon is a Ruby symbol.
    Without ``kvm`` the machine's processor is emulated, as an old and simple one:
    what newer ones have in addition is slower emulated than left out.
    """
    processor = {"cpu_mode": "host-passthrough"}
    if not kvm:
        processor = {"cpu_mode": "custom", "cpu_model": "qemu64"}
    settings = {
        "driver": "kvm" if kvm else "qemu",
        **processor,
        "uuid": identity(state, "domain", node.name),
        "default_prefix": f"underlay-{plan.lab}-",
        "cpus": 1,
        "memory": node.memory,
        "kernel": str(boot.kernel),
        "initrd": str(boot.initrd),
        "cmd_line": COMMAND_LINE,
        "graphics_type": "none",
        "memballoon_enabled": False,
        "nic_model_type": "virtio",
        "nic_adapter_count": len(node.nics) + 1,
        "storage_pool_name": pool_name(plan),
        **management(plan, node),
    }
    disks = [
        {"device": "vda", "path": f"{node.name}.qcow2", "type": "qcow2", "cache": "unsafe"},
        {"device": "vdb", "path": f"{node.name}-seed.iso", "type": "raw"},
    ]
    calls: list[list[Any]] = [
        ["storage", ":file", {**disk, "bus": "virtio", "allow_existing": True}] for disk in disks
    ]
    calls.append(["serial", {"type": "file", "source": {"path": str(console(state, node.name))}}])
    calls.append(["random", {"model": "random"}])
    login = {"host": node.management.address.ip, "username": plan.user}
    if has_own(state):
        login["proxy_command"] = ssh.proxy_text(sandbox.proxy(state, node.management.address.ip))
    if (state / "key").exists():
        # Vagrant refuses the whole file otherwise, and doesn't need it to start a machine.
        login["private_key_path"] = str(state / "key")
    return {
        "name": node.name,
        "ssh": login,
        "settings": settings,
        "calls": calls,
        "networks": [
            {
                "ip": nic.address.ip,
                "mac": nic.mac,
                "auto_config": False,
                "libvirt__network_name": segment_network(plan, nic.segment),
                "libvirt__iface_name": segment.ports[node.name],
                "libvirt__mtu": nic.mtu,
                "libvirt__forward_mode": "veryisolated",
                "libvirt__dhcp_enabled": False,
                "libvirt__always_destroy": False,
            }
            for segment, nic in zip(plan.segments, node.nics, strict=True)
        ],
        "engine": True,
    }


def management(plan: Plan, node: PlannedNode) -> dict[str, Any]:
    """Return the settings that put the first NIC into the network made for this node alone."""
    return {
        "management_network_name": management_network(plan, node),
        "management_network_address": node.management.address.subnet,
        "management_network_mode": "none",
        "management_network_mac": node.management.mac,
        "management_network_iface_name": f"mgmt_{node.index}",
        # It isn't Vagrant's to remove.
        "management_network_keep": True,
    }


def fresh_disks(plan: Plan, node: PlannedNode, state: Path, boot: Boot) -> None:
    """Give a machine that doesn't run an empty layer over the image, and its seed.

    cloud-init and what it starts are of the first boot only, so no disk is used twice.
    """
    disks = state / "libvirt" / "disks"
    disk = disks / f"{node.name}.qcow2"
    disk.unlink(missing_ok=True)
    run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(boot.disk), "-F", boot.format,
         str(disk)],
        deadline=DISK_DEADLINE,
    )  # fmt: skip
    make_seed(state / "files" / node.name, disks / f"{node.name}-seed.iso", plan.images)
    console(state, node.name).parent.mkdir(parents=True, exist_ok=True)
    # Vagrant has libvirt make volumes that the pool doesn't know, which would empty them.
    virsh(uri_of(state), "pool-refresh", identity(state, "pool"))


def console(state: Path, node: str) -> Path:
    """Return the file that a machine's serial console is written to."""
    return state / "nodes" / node / "console.log"
