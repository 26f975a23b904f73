"""The ``libvirt`` provider: what Underlay does around vagrant-libvirt's machines."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING, Any

from underlay.cluster import ready, ssh
from underlay.cluster.boot_files import Boot, boot_files, ensure_boot_files
from underlay.cluster.image import build as image
from underlay.cluster.port_policies import policies
from underlay.cluster.process import run, tail
from underlay.cluster.providers.base import VIRTUAL_MACHINES, Provider
from underlay.cluster.providers.libvirt import kvm, machine, own, wiring
from underlay.cluster.providers.libvirt.own import has_own, uri_of
from underlay.cluster.providers.libvirt.virsh import (
    DEFAULT_URI,
    PACKAGES,
    URI,
    identity,
    known,
    qemu_user,
    require,
    running,
    virsh,
)
from underlay.cluster.providers.uml import sandbox
from underlay.cluster.ready import SSH_PORT
from underlay.cluster.requirements.machine import Row, package_rows
from underlay.cluster.state.lab import plan_in
from underlay.cluster.watching import console_end
from underlay.errors import Infrastructure, UnderlayError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from underlay.plan import Plan

# s; three emulated ones needed 600 s where fifteen others wanted the two processors.
NODE_DEADLINE, EMULATED_DEADLINE = 420.0, 900.0
CONSOLE_LINES = 15
PANIC = re.compile(r"Kernel panic - not syncing: (.*)")
SEARCHED = 1 << 16  # bytes of the console
SWITCH_DEADLINE = 30.0
EMULATED_PACE = 3.0
ACCELERATION = "acceleration"
ACL = "system.posix_acl_access"


class Libvirt(Provider):
    """Nodes are libvirt's machines, started by vagrant-libvirt; the rest is made here."""

    name = "libvirt"
    title = "libvirt"
    caveat = VIRTUAL_MACHINES

    def requirements(self) -> list[Row]:
        """Return a row per package, and whether libvirtd answers and KVM runs the kernel."""
        rows = list(package_rows(PACKAGES))
        if all(row.ok for row in rows):
            rows += [_daemon(), _kvm()]
        return rows

    def prepare(self, plan: Plan, state: Path, progress: Callable[[str], None]) -> None:
        """Make the image, networks, pool and ssh_config; find out whether KVM works."""
        own.ensure(state, progress)
        boot = ensure_boot_files(plan, progress)
        _check_access(state, boot)
        ssh.write_config(plan, state, _proxies(plan, state))
        progress("making the lab's networks in libvirt")
        wiring.make(plan, state)
        progress("booting the kernel under KVM to see whether it runs")
        answer = kvm.probe(boot.kernel, boot.initrd)
        if not answer.works:
            progress(f"KVM does not run the kernel ({answer.reason}): emulating processors")
        (state / "libvirt" / ACCELERATION).write_text("kvm" if answer.works else "tcg")

    def stands(self, state: Path) -> bool:
        """Whether libvirtd has the lab's networks and pool."""
        return not _ended(state) and wiring.stands(plan_in(state), state)

    def machine(self, plan: Plan, node: str, state: Path) -> dict[str, Any]:
        """Return what the Vagrantfile sets; the processor is emulated until KVM was probed."""
        kvm_works = _accelerated(state)
        return machine.describe(plan, plan.node(node), state, boot_files(plan), kvm=kvm_works)

    def before(self, plan: Plan, node: str, state: Path) -> None:
        """Give the node fresh disks, unless it runs, before Vagrant starts it."""
        if self.states(plan, state)[node] != "running":
            machine.fresh_disks(plan, plan.node(node), state, boot_files(plan))

    def start(self, plan: Plan, node: str, state: Path) -> None:
        """Wait for the proof of readiness of a node that Vagrant has started."""
        patience = NODE_DEADLINE if _accelerated(state) else EMULATED_DEADLINE
        limit = time.monotonic() + patience + ready.for_containers(plan)
        address = plan.node(node).management.address.ip
        console = machine.console(state, node)
        try:
            if not ready.wait_for_ssh(
                address, limit, lambda: self._check_running(plan, node, state), _reach(state)
            ):
                raise Infrastructure(f"{node}: ssh did not answer within the deadline")
            self._set_ports(plan, node, state)
            left = limit - time.monotonic()
            starving = ready.Starving(node, console)
            ready.prove(state / "ssh_config", node, left, starving)
        except Infrastructure as error:
            printed = console.read_text(errors="replace")
            told = ready.with_console(error, tail(printed, CONSOLE_LINES))
            raise ready.out_of_memory(told, plan, plan.node(node), printed) from error

    def stop(self, plan: Plan, node: str, state: Path) -> None:
        """End one node's machine and forget it; nothing happens where there is none."""
        if _ended(state):
            return
        uri, domain = uri_of(state), identity(state, "domain", node)
        if domain in running(uri):
            virsh(uri, "destroy", domain, check=False)
        if domain in known(uri, "domain"):
            virsh(uri, "undefine", domain)

    def states(self, plan: Plan, state: Path) -> dict[str, str]:
        """Ask libvirtd what each node does."""
        if _ended(state):
            return {node.name: "not_created" for node in plan.nodes}
        uri = uri_of(state)
        alive = running(uri)
        there = known(uri, "domain")
        ids = {node.name: identity(state, "domain", node.name) for node in plan.nodes}
        return {
            node: "running" if i in alive else "poweroff" if i in there else "not_created"
            for node, i in ids.items()
        }

    def pace(self, state: Path) -> float:
        """An emulated processor may need seconds where another one needs a tenth of one."""
        return 1 if _accelerated(state) else EMULATED_PACE

    def ssh(self, plan: Plan, node: str, state: Path) -> dict[str, object] | None:
        """Return how Vagrant reaches a node: where the daemon is the lab's own, by its sandbox."""
        settings = super().ssh(plan, node, state)
        if settings is not None and has_own(state):
            settings["proxy_command"] = ssh.proxy_text(_proxies(plan, state)[node])
        return settings

    def environment(self, state: Path) -> dict[str, str]:
        """Return what tells Vagrant's plugin which libvirtd is the lab's."""
        return {URI: uri_of(state)} if has_own(state) else {}

    def keep(self, state: Path) -> None:
        """Have a libvirtd of the lab's own live on when its starter ends."""
        sandbox.keep(state)

    def at_switch(self, state: Path, arguments: list[str], *, tty: bool = False) -> list[str]:
        """Return what runs ``arguments`` as root where the bridges are: on this host, or inside."""
        living = sandbox.find(state)
        if living is not None:
            return living.enter(arguments)
        return arguments if os.geteuid() == 0 else ["sudo", "--", *arguments]

    def destroy(self, state: Path) -> None:
        """End the shared ssh connections, all machines, the pool and the networks."""
        plan = plan_in(state)
        ssh.close(state)
        if has_own(state):
            living = sandbox.find(state)
            if living is not None:
                living.stop()
            return
        if not (state / "libvirt").exists():
            # Nothing was made yet: a libvirtd that can't be used is no reason to keep the lab.
            return
        require(uri_of(state))
        for node in plan.nodes:
            self.stop(plan, node.name, state)
        wiring.remove(plan, state)

    def _set_ports(self, plan: Plan, node: str, state: Path) -> None:
        """Give a running node's ports what libvirt has no words for; it needs root."""
        if any(s.hairpin or s.isolated or s.locked for s in plan.segments):
            for arguments, text in policies(plan, [plan.node(node)]):
                run(self.at_switch(state, arguments), deadline=SWITCH_DEADLINE, input_text=text)

    def _check_running(self, plan: Plan, node: str, state: Path) -> None:
        word = self.states(plan, state)[node]
        if word != "running":
            raise Infrastructure(f"{node}: its machine ended while booting ({word})")
        refuse_panicked(node, machine.console(state, node))


def refuse_panicked(node: str, console: Path) -> None:
    """Raise Infrastructure where the kernel of ``node`` has said on ``console`` that it gives up.

    Its machine runs on, and says nothing more.
    """
    panic = PANIC.search(console_end(console, SEARCHED))
    if panic:
        raise Infrastructure(f"{node}: its kernel gave up while booting: {panic[1].strip()}")


def _ended(state: Path) -> bool:
    """Whether the lab had a libvirtd of its own, which has ended, and its machines with it."""
    return has_own(state) and sandbox.find(state) is None


def _proxies(plan: Plan, state: Path) -> dict[str, list[str]]:
    """Return by what each node is reached; nothing where this host has a leg in their networks."""
    if not has_own(state):
        return {}
    return {n.name: sandbox.proxy(state, n.management.address.ip) for n in plan.nodes}


def _reach(state: Path) -> Callable[[str], bool] | None:
    """Return what tries a node's ssh port where the lab's own libvirtd is; None where it's here."""
    living = sandbox.find(state)
    if living is None:
        return None
    return lambda address: bool(
        living.ask({"do": "reach", "address": address, "port": SSH_PORT})["ok"]
    )


def _accelerated(state: Path) -> bool:
    file = state / "libvirt" / ACCELERATION
    return file.exists() and file.read_text() == "kvm"


def _check_access(state: Path, boot: Boot) -> None:
    """Raise Infrastructure where libvirt's qemu may not enter the folders of what it boots.

    Debian's homes are closed to other users, and the system's libvirtd runs qemu as one.
    """
    user = qemu_user(uri_of(state))
    if user == 0:
        return
    closed = {
        folder
        for path in (state / "libvirt", boot.disk, boot.kernel, boot.initrd)
        for folder in (path.parent, *path.parent.parents)
        if folder.exists() and not _enterable(folder)
    }
    if closed:
        raise Infrastructure(
            "libvirt's qemu runs as a user of its own, who may not enter "
            + ", ".join(str(folder) for folder in sorted(closed)),
            hint="\n".join(f"setfacl --modify u:{user}:x {folder}" for folder in sorted(closed)),
        )


def _enterable(folder: Path) -> bool:
    if folder.stat().st_mode & 0o001:
        return True
    try:
        # Whom the list lets in isn't looked at: somebody has thought of it.
        return bool(os.getxattr(folder, ACL))
    except OSError:
        return False


def _daemon() -> Row:
    chosen = os.environ.get(URI)
    needed = (
        f"the libvirtd that {URI} names" if chosen else "one that answers, or one of a lab's own"
    )
    try:
        require(chosen or DEFAULT_URI)
    except UnderlayError as error:
        if chosen:
            return Row("libvirtd", error.message, needed, error.hint, ok=False)
        return Row("libvirtd", f"{error.message}: each lab starts its own", needed, "", ok=True)
    return Row("libvirtd", "answers", needed, "", ok=True)


def _kvm() -> Row:
    """KVM is a matter of speed alone: the row is well either way."""
    ours = image.current()
    if not ours.exists:
        return Row("KVM", "unknown before the image is built", "", "", ok=True)
    answer = kvm.probe(ours.kernel, ours.initrd)
    said = "runs the kernel" if answer.works else f"unusable ({answer.reason}): emulating instead"
    return Row("KVM", said, "", "", ok=True)


PROVIDER = Libvirt
