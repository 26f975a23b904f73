"""What a provider of nodes is, and what it can do.

Vagrant starts and stops the nodes of every lab that is brought up by name: ``up`` calls Vagrant,
Vagrant its provider, and that, where it is Underlay's own, ``start``. ``check FILE|DIR`` calls
``start`` itself where no Vagrant is needed for it. The rest of Underlay knows a provider only as
this class. Nobody compares a provider's name: whoever wants to know
what it can do reads an attribute.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from underlay.cluster.ready import SSH_PORT
from underlay.errors import BadInput, listed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from underlay.cluster.requirements.machine import Row
    from underlay.plan import Plan


# What has to be said of figures that were measured between virtual machines.
VIRTUAL_MACHINES = (
    "The nodes are virtual machines on this one host, with emulated processors where KVM"
    " doesn't run their kernel: the figures compare drivers with each other and are no"
    " measure of what hardware does."
)


class Provider(ABC):
    """A way to run nodes. ``state`` is the lab's state folder throughout.

    A capability is False unless the provider says otherwise, and a method does nothing or
    refuses where most providers need nothing else.
    """

    # What users write, and the name of the provider's folder.
    name: ClassVar[str]
    # What people call it.
    title: ClassVar[str]

    # Whether it has lean nodes; where not, a lab's lean nodes are booted as full ones.
    lean_nodes: ClassVar[bool] = False
    # Whether running nodes can become another lab's: it implements ``change_segments``.
    can_switch: ClassVar[bool] = False
    # Whether one process can have several labs up at once, each in a thread of its own: it
    # implements ``free_mib`` and ``held_mib``.
    side_by_side: ClassVar[bool] = False
    # Whether a node can be booted again with its own disk: it implements ``start_again``.
    can_reboot: ClassVar[bool] = False
    # Whether it boots with the /usr of another image then: it implements ``replace_usr``.
    can_update: ClassVar[bool] = False
    # What a lab may have. One that has what its provider can't make is refused by name.
    external_hosts: ClassVar[bool] = False
    vlan_ports: ClassVar[bool] = False
    bonds: ClassVar[bool] = False
    multicast_snooping: ClassVar[bool] = False
    own_files: ClassVar[bool] = False
    ignition: ClassVar[bool] = False

    # Whether Vagrant alone can start its machines; where not, ``start`` does it by itself.
    needs_vagrant: ClassVar[bool] = True
    # Whether Vagrant must load the plugins that are installed; that takes it a while.
    loads_plugins: ClassVar[bool] = True
    # Whether ``prepare`` may be at work while Vagrant starts; where not, it comes before.
    prepares_beside_vagrant: ClassVar[bool] = False
    # What has to be said of figures that are measured on its nodes; empty for real hosts.
    caveat: ClassVar[str] = ""

    def build(  # noqa: B027 -- most need nothing
        self, plan: Plan, progress: Callable[[str], None]
    ) -> None:
        """Make what is kept for later labs, which may take minutes; by default nothing."""

    @abstractmethod
    def prepare(self, plan: Plan, state: Path, progress: Callable[[str], None]) -> None:
        """Make all that nodes need before they start, and write ``ssh_config``; idempotent."""

    @abstractmethod
    def stands(self, state: Path) -> bool:
        """Whether what ``prepare`` made is still there."""

    @abstractmethod
    def machine(self, plan: Plan, node: str, state: Path) -> dict[str, Any]:
        """Return the JSON object from which the Vagrantfile makes a machine.

        ``name`` is the node's. The other keys are for Vagrant's own providers: ``ssh``,
        ``settings``, ``calls``, ``networks``, and ``engine``, which says that Vagrant
        calls ``before`` and ``start`` around its ``up``. It may be asked for before
        ``prepare``.
        """

    @abstractmethod
    def start(self, plan: Plan, node: str, state: Path) -> None:
        """Start one node, unless Vagrant has, and return when it is ready; idempotent."""

    def boots_for(self, plan: Plan, node: str, state: Path) -> float:
        """Return the seconds in which a node that runs may still boot; 0 where nobody knows."""
        return 0.0

    def start_again(self, plan: Plan, node: str, state: Path) -> None:
        """Boot a node that ends itself, with the disk that it has, and return when ssh answers.

        Raises BadInput where the provider's nodes lose their disk when they end: by default.
        """
        self.refuse_to_reboot()

    def refuse_to_reboot(self) -> None:
        """Raise BadInput where a node can't be booted again as a machine is."""
        if not self.can_reboot:
            raise BadInput(
                f"nodes of provider {self.name} can't be rebooted as check --after reboot does it",
                hint="underlay check FILE --after reboot  without --provider: uml can",
            )

    def replace_usr(self, plan: Plan, node: str, state: Path, image: Path) -> None:
        """Have ``node`` boot again with the /usr of ``image``, read-only, until it's made anew.

        Raises BadInput where the provider's nodes can't: by default.
        """
        self.refuse_to_update(plan)

    def refuse_to_update(self, plan: Plan) -> None:
        """Raise BadInput where nodes of ``plan`` can't boot with another image's /usr."""
        if not self.can_update:
            raise BadInput(
                f"nodes of provider {self.name} can't boot with another image's /usr",
                hint="underlay check FILE --after upgrade=IMAGE  without --provider: uml can",
            )
        lean = [node.name for node in plan.nodes if node.profile == "lean"]
        if lean:
            raise BadInput(
                f"lean nodes are made anew at each boot, and have no update: {listed(lean)}",
                hint="profile: full  in the lab file's nodes",
            )

    @abstractmethod
    def stop(self, plan: Plan, node: str, state: Path) -> None:
        """Stop one node; its disk is lost."""

    @abstractmethod
    def states(self, plan: Plan, state: Path) -> dict[str, str]:
        """Return ``running``, ``poweroff`` or ``not_created`` for each node."""

    @abstractmethod
    def destroy(self, state: Path) -> None:
        """End whatever still runs of the lab, by identity."""

    def ssh(self, plan: Plan, node: str, state: Path) -> dict[str, object] | None:
        """Return how Vagrant reaches a node by ssh, or None where it doesn't run.

        By default it is the node's management address, in which this host has a leg.
        """
        if self.states(plan, state)[node] != "running":
            return None
        return {
            "host": plan.node(node).management.address.ip,
            "port": SSH_PORT,
            "username": plan.user,
            "private_key_path": [str(state / "key")],
        }

    def requirements(self) -> list[Row]:
        """Return the rows of ``doctor`` about what this provider alone needs; by default none."""
        return []

    def before(self, plan: Plan, node: str, state: Path) -> None:  # noqa: B027 -- most need nothing
        """Make what one node alone needs before Vagrant starts it; by default nothing."""

    def keep(self, state: Path) -> None:  # noqa: B027 -- most need nothing
        """Have what ``prepare`` made live on when this process ends: the lab is up.

        By default nothing has to be done: machines live on whoever started them.
        """

    def environment(self, state: Path) -> dict[str, str]:
        """Return what Vagrant's environment has to say to its provider; by default nothing."""
        return {}

    def free_mib(self) -> int:
        """Return how much memory this machine has for nodes, in MiB; 0 where nobody knows."""
        return 0

    def held_mib(self, state: Path) -> int:
        """Return how much of it the lab's nodes have taken by now, in MiB; 0 where nobody knows."""
        return 0

    def pace(self, state: Path) -> float:
        """Return how many times slower than ordinary the lab's nodes may be; 1 is ordinary."""
        return 1

    def change_segments(self, plan: Plan, state: Path) -> None:
        """Make the segments under running nodes, and ``ssh_config``, those of ``plan``; idempotent.

        Raises BadInput where the segments stay as the nodes were started with: by default.
        """
        self.refuse_to_switch()

    def at_switch(self, state: Path, arguments: list[str], *, tty: bool = False) -> list[str]:
        """Return what runs ``arguments`` as root where the segments' bridges are.

        With ``tty`` it gets a terminal where it hasn't this process's own.
        Raises BadInput where nobody can look at them: by default.
        """
        raise BadInput(f"{self.title} keeps its switch to itself", hint="underlay exec NODE -- …")

    def at_external_hosts(self, state: Path, arguments: list[str]) -> list[str]:
        """Return what runs ``arguments`` as root where external hosts' namespaces are.

        By default as at the switch: without ``external_hosts`` no lab that has any starts.
        """
        return self.at_switch(state, arguments)

    def refuse_to_switch(self) -> None:
        """Raise BadInput where running nodes can't become another lab's."""
        if not self.can_switch:
            raise BadInput(
                f"nodes of provider {self.name} can't become another lab's while they run",
                hint="underlay down  and  underlay up LAB",
            )

    def refuse_lacking(self, plan: Plan) -> None:
        """Raise BadInput where the lab of ``plan`` has what this provider can't make."""
        bonded = any(nic.bond for node in plan.nodes for nic in node.nics)
        snooping = any(segment.snooping for segment in plan.segments)
        ignited = any(node.config == "ignition" for node in plan.nodes)
        for needed, can, what in (
            (plan.hosts, self.external_hosts, "external hosts"),
            (plan.switch, self.vlan_ports, "switch ports with VLANs"),
            (bonded, self.bonds, "bonds"),
            (snooping, self.multicast_snooping, "multicast snooping"),
            (any(node.own for node in plan.nodes), self.own_files, "files of hosts' own, a fleet"),
            (ignited, self.ignition, "nodes that Ignition makes"),
        ):
            if needed and not can:
                raise BadInput(
                    f"the lab {plan.lab} has {what}, which {self.name} can't make",
                    hint="leave --provider out: uml can",
                )
