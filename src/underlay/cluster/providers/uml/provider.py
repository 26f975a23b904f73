"""The ``uml`` provider: User Mode Linux kernels in a sandbox, which Underlay starts itself."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from underlay.cluster import ssh
from underlay.cluster.image import build as image
from underlay.cluster.process import run
from underlay.cluster.providers.base import Provider
from underlay.cluster.providers.uml import ignited, sandbox, usr, wiring
from underlay.cluster.providers.uml import node as uml_node
from underlay.cluster.providers.uml.wiring import changes
from underlay.cluster.ready import for_containers
from underlay.cluster.spans import span
from underlay.cluster.state.lab import plan_in
from underlay.errors import Infrastructure
from underlay.plan import SWITCH

if TYPE_CHECKING:
    from collections.abc import Callable

    from underlay.plan import Plan, PlannedNode

NODE_DEADLINE = 180.0
# Nodes of a processor that get by with it; ten take 140 s and more, and overran it once.
PER_PROCESSOR = 4
SWITCH_DEADLINE = 30.0
# s that a node gets to end all that runs on it, and how often it is looked at meanwhile.
HALT_DEADLINE, HALT_INTERVAL = 60.0, 0.1


def patience(plan: Plan) -> float:
    """Return the seconds that each node of ``plan`` gets to boot.

    It is more where many share a core, and where many containers are to start.
    """
    room = PER_PROCESSOR * len(os.sched_getaffinity(0))
    return NODE_DEADLINE * max(1.0, len(plan.machines) / room) + for_containers(plan)


class Uml(Provider):
    """Nodes are User Mode Linux processes in a namespace sandbox, one sandbox per lab."""

    name = "uml"
    title = "User Mode Linux"
    lean_nodes = can_switch = can_reboot = can_update = side_by_side = True
    external_hosts = vlan_ports = bonds = multicast_snooping = own_files = ignition = True
    # What Vagrant needs of it is the shim in vagrant/, which `start` does without.
    needs_vagrant = loads_plugins = False
    prepares_beside_vagrant = True
    caveat = (
        "User Mode Linux runs a whole node on one processor of this host, and copies each"
        " frame in and out of it: the figures compare drivers with each other and are no"
        " measure of what hardware does."
    )

    def refuse_lacking(self, plan: Plan) -> None:
        """Raise BadInput where the lab has what these nodes, or their Ignition, can't take."""
        super().refuse_lacking(plan)
        ignited.refuse(plan)

    def build(self, plan: Plan, progress: Callable[[str], None]) -> None:
        """Build the nodes' image where it is missing and the lab has none of its own."""
        for words in ignited.rewritten(plan):
            progress(words)
        if plan.image is None:
            image.ensure(progress)

    def prepare(self, plan: Plan, state: Path, progress: Callable[[str], None]) -> None:
        """Start the sandbox, write ssh_config, make the seeds of nodes that don't run."""
        self._write_config(plan, state)
        if not self.stands(state):
            progress("making the sandbox and its switch")
            with span(state, "host", "sandbox"):
                sandbox.start(plan, state, uml_node.files(plan, _disk(plan)))
        if plan.switch is not None:
            progress("booting the switch, a machine of its own")
            living, disk = self._sandbox(state), _disk(plan)
            uml_node.start(plan, plan.switch, living, disk, state, patience(plan))
        idle = [node for node in plan.nodes if self._word(state, node) != "running"]
        with span(state, "host", "seeds"), ThreadPoolExecutor() as threads:
            list(threads.map(lambda node: uml_node.make_seed(plan, node, state), idle))

    def stands(self, state: Path) -> bool:
        """Whether the sandbox lives."""
        return sandbox.find(state) is not None

    def machine(self, plan: Plan, node: str, state: Path) -> dict[str, Any]:
        """Return the name alone: the shim in vagrant/ asks the engine for all the rest."""
        return {"name": node}

    def start(self, plan: Plan, node: str, state: Path) -> None:
        """Boot one node and wait for its proof of readiness."""
        living = self._sandbox(state)
        uml_node.start(plan, plan.node(node), living, _disk(plan), state, patience(plan))

    def start_again(self, plan: Plan, node: str, state: Path) -> None:
        """Boot one node that has ended itself, from the disk that it has written to."""
        limit = time.monotonic() + HALT_DEADLINE
        living = self._sandbox(state)
        while uml_node.state_of(living, node) == "running":
            if time.monotonic() > limit:
                # Its file systems had their time; a machine's watchdog does no less.
                living.ask({"do": "kill", "node": node})
                break
            time.sleep(HALT_INTERVAL)
        patient = patience(plan)
        uml_node.start(plan, plan.node(node), living, _disk(plan), state, patient, again=True)

    def replace_usr(self, plan: Plan, node: str, state: Path, image: Path) -> None:
        """Keep ``image`` with the node's files, where the sandbox shows it: it boots with that."""
        self.refuse_to_update(plan)
        usr.keep(state / "nodes", node, image)

    def boots_for(self, plan: Plan, node: str, state: Path) -> float:
        """Return the seconds until a node that runs is late; 0 where it should have booted."""
        began = uml_node.began(state, node)
        return 0.0 if began is None else max(0.0, began + patience(plan) - time.monotonic())

    def change_segments(self, plan: Plan, state: Path) -> None:
        """Change the switch in the living sandbox, where the nodes hold their ports open."""
        self._write_config(plan, state)
        living = self._sandbox(state)
        for arguments, text in changes(plan):
            run(living.enter(arguments), deadline=SWITCH_DEADLINE, input_text=text)
        for arguments, text in wiring.machine_changes(plan) if plan.switch else ():
            run(self._on_switch(state, arguments), deadline=SWITCH_DEADLINE, input_text=text)

    def stop(self, plan: Plan, node: str, state: Path) -> None:
        """End one node's kernel; the sandbox and its switch stay."""
        living = sandbox.find(state)
        if living is not None:
            living.ask({"do": "kill", "node": node})

    def keep(self, state: Path) -> None:
        """Have the sandbox live on when its starter ends."""
        sandbox.keep(state)

    def free_mib(self) -> int:
        """Return what is free, or what a container has left."""
        return sandbox.available_kib() >> 10

    def held_mib(self, state: Path) -> int:
        """Return what the files hold in which nodes have their memory and what they write."""
        return round(sandbox.held_mib(state))

    def states(self, plan: Plan, state: Path) -> dict[str, str]:
        """Ask the sandbox's first process what each node does."""
        living = sandbox.find(state)
        return {node.name: uml_node.state_of(living, node.name) for node in plan.machines}

    def ssh(self, plan: Plan, node: str, state: Path) -> dict[str, object] | None:
        """Return the way to a node's management address: the proxy command enters the sandbox."""
        settings = super().ssh(plan, node, state)
        if settings is not None:
            settings["proxy_command"] = ssh.proxy_text(self._proxy(plan, state, node))
        return settings

    def at_switch(self, state: Path, arguments: list[str], *, tty: bool = False) -> list[str]:
        """Return what enters the sandbox, or the switch that is a machine: the bridges are there.

        A lab has all of them in the one or in the other.
        """
        living = self._sandbox(state)
        if plan_in(state).switch is None:
            return living.enter(arguments)
        return self._on_switch(state, arguments, tty=tty)

    def at_external_hosts(self, state: Path, arguments: list[str]) -> list[str]:
        """Return what enters the sandbox, or the switch where a host speaks VLANs."""
        if plan_in(state).hosts_at_switch:
            return self._on_switch(state, arguments)
        return self._sandbox(state).enter(arguments)

    def _on_switch(self, state: Path, arguments: list[str], *, tty: bool = False) -> list[str]:
        words = ["sudo", "-n", *arguments]
        return ssh.command(state / "ssh_config", SWITCH, words, tty=tty)

    def destroy(self, state: Path) -> None:
        """End the shared ssh connections and the sandbox."""
        ssh.close(state)
        living = sandbox.find(state)
        if living is not None:
            living.stop()

    def _word(self, state: Path, node: PlannedNode) -> str:
        return uml_node.state_of(sandbox.find(state), node.name)

    def _write_config(self, plan: Plan, state: Path) -> None:
        proxies = {node.name: self._proxy(plan, state, node.name) for node in plan.machines}
        ssh.write_config(plan, state, proxies)

    def _sandbox(self, state: Path) -> sandbox.Sandbox:
        living = sandbox.find(state)
        if living is None:
            raise Infrastructure(
                "the lab's sandbox is gone", hint=f"underlay down --lab {state.name}"
            )
        return living

    def _proxy(self, plan: Plan, state: Path, node: str) -> list[str]:
        return sandbox.proxy(state, plan.node(node).management.address.ip)


def _disk(plan: Plan) -> Path:
    """Return the root file system that nodes of ``plan`` boot."""
    return Path(plan.image.path) if plan.image else image.current().disk


PROVIDER = Uml
