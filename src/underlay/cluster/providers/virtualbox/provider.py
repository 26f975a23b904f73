"""The ``virtualbox`` provider: its Vagrantfile is generated and checked, never run by us.

VirtualBox boots no bare kernel, so it needs a box of the user's own. Vagrant's NAT
adapter is switched off: nodes know management by its MAC address alone, and the
plan's addresses are reached over a host-only network per node.
"""

from __future__ import annotations

import shutil
import time
from ipaddress import IPv4Interface
from pathlib import Path
from typing import TYPE_CHECKING, Any

from underlay.cluster import ready, ssh
from underlay.cluster.node_files import make_seed
from underlay.cluster.process import run
from underlay.cluster.providers.base import VIRTUAL_MACHINES, Provider
from underlay.cluster.state.lab import plan_in
from underlay.errors import BadInput, Infrastructure

if TYPE_CHECKING:
    from collections.abc import Callable

    from underlay.plan import Nic, Plan, PlannedNode

PROGRAM = "VBoxManage"
DEADLINE = 60.0
NODE_DEADLINE = 420.0
CONTROLLER = "underlay"
# Vagrant's own NAT adapter is number 1; VirtualBox has eight in all.
FIRST_ADAPTER = 2
MOST_ADAPTERS = 8


class VirtualBox(Provider):
    """Nodes are VirtualBox machines of the user's own box, started by Vagrant.

    Its internal networks are no bridges that one could look at.
    """

    name = "virtualbox"
    title = "VirtualBox"
    caveat = VIRTUAL_MACHINES

    def prepare(self, plan: Plan, state: Path, progress: Callable[[str], None]) -> None:
        """Look for VirtualBox and the box, and write ssh_config."""
        if shutil.which(PROGRAM) is None:
            raise Infrastructure(
                "VirtualBox is not installed: there is no VBoxManage",
                hint="underlay up  starts the lab without it",
            )
        if plan.image is None:
            raise BadInput(
                "VirtualBox boots no bare kernel: the lab must name a box of your own",
                hint="image: {path: my.box}",
            )
        if len(plan.segments) + FIRST_ADAPTER > MOST_ADAPTERS:
            raise BadInput(
                f"VirtualBox has {MOST_ADAPTERS} adapters: six segments are the most",
                hint="underlay up --provider uml",
            )
        ssh.write_config(plan, state, {})

    def stands(self, state: Path) -> bool:
        """Whether ``prepare`` was here; VirtualBox makes networks as machines start."""
        return (state / "ssh_config").exists()

    def machine(self, plan: Plan, node: str, state: Path) -> dict[str, Any]:
        """Return what the Vagrantfile sets for a machine."""
        planned = plan.node(node)
        nics = [planned.management, *planned.nics]
        return {
            "name": node,
            "box": plan.image.path if plan.image else f"underlay/{plan.lab}",
            "ssh": {
                "host": planned.management.address.ip,
                "port": ready.SSH_PORT,
                "username": plan.user,
                "private_key_path": str(state / "key"),
            },
            "settings": {
                "name": machine_name(plan, node),
                "memory": planned.memory,
                "cpus": 1,
                "check_guest_additions": False,
            },
            "calls": [["customize", words] for words in customize(planned, state)],
            "networks": [
                network(plan, planned, nic, number)
                for number, nic in enumerate(nics, FIRST_ADAPTER)
            ],
            "engine": True,
        }

    def before(self, plan: Plan, node: str, state: Path) -> None:
        """Write the node's seed."""
        seed(state, node).parent.mkdir(parents=True, exist_ok=True)
        make_seed(state / "files" / node, seed(state, node), plan.images)

    def start(self, plan: Plan, node: str, state: Path) -> None:
        """Wait for the proof of readiness of a node that Vagrant has started."""
        limit = time.monotonic() + NODE_DEADLINE + ready.for_containers(plan)
        address = plan.node(node).management.address.ip
        # Where it stays silent, the proof says so.
        ready.wait_for_ssh(address, limit)
        ready.prove(state / "ssh_config", node, limit - time.monotonic())

    def stop(self, plan: Plan, node: str, state: Path) -> None:
        """End one node's machine and remove it with its disks."""
        if _listed(machine_name(plan, node), "runningvms"):
            _manage("controlvm", machine_name(plan, node), "poweroff")
        if _listed(machine_name(plan, node), "vms"):
            _manage("unregistervm", machine_name(plan, node), "--delete")

    def states(self, plan: Plan, state: Path) -> dict[str, str]:
        """Ask VirtualBox what each node does."""
        alive, there = _manage("list", "runningvms"), _manage("list", "vms")
        names = {node.name: f'"{machine_name(plan, node.name)}"' for node in plan.nodes}
        return {
            node: "running" if n in alive else "poweroff" if n in there else "not_created"
            for node, n in names.items()
        }

    def destroy(self, state: Path) -> None:
        """End the shared connections and all machines."""
        plan = plan_in(state)
        ssh.close(state)
        for node in plan.nodes:
            self.stop(plan, node.name, state)


def machine_name(plan: Plan, node: str) -> str:
    """Return what VirtualBox calls a node."""
    return f"underlay-{plan.lab}-{node}"


def seed(state: Path, node: str) -> Path:
    """Return where a node's seed is."""
    return state / "nodes" / node / "seed.iso"


def customize(node: PlannedNode, state: Path) -> list[list[str]]:
    """Return the arguments of VBoxManage that Vagrant runs before the machine's first boot.

    VirtualBox hands an adapter only the frames to its own MAC address, and macvlan's
    children have others: each underlay adapter must be promiscuous.
    Source: VirtualBox manual, VBoxManage modifyvm, --nicpromiscN.
    """
    lines = [["modifyvm", ":id", "--nic1", "none"]]
    for number in range(FIRST_ADAPTER + 1, FIRST_ADAPTER + 1 + len(node.nics)):
        lines.append(["modifyvm", ":id", f"--nicpromisc{number}", "allow-all"])
    lines.append(["storagectl", ":id", "--name", CONTROLLER, "--add", "sata", "--portcount", "1"])
    lines.append(
        ["storageattach", ":id", "--storagectl", CONTROLLER, "--port", "0", "--device", "0",
         "--type", "dvddrive", "--medium", str(seed(state, node.name))]
    )  # fmt: skip
    return lines


def network(plan: Plan, node: PlannedNode, nic: Nic, number: int) -> dict[str, Any]:
    """Return Vagrant's options of adapter ``number``: host-only for management, else internal."""
    address = IPv4Interface(nic.address)
    options: dict[str, Any] = {
        "ip": str(address.ip),
        "netmask": str(address.netmask),
        "mac": nic.mac.replace(":", ""),
        "adapter": number,
        "nic_type": "virtio",
        "auto_config": False,
    }
    if nic == node.management:
        return {**options, "adapter_ip": node.management_peer}
    return {**options, "virtualbox__intnet": f"underlay-{plan.lab}-{nic.segment}"}


def _manage(*words: str) -> str:
    return run([PROGRAM, *words], deadline=DEADLINE).stdout


def _listed(name: str, what: str) -> bool:
    return f'"{name}"' in _manage("list", what)


PROVIDER = VirtualBox
