"""Documents about labs that are up, their faults, and what is seen on the wire."""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from underlay.report.documents.matrix import CellName, Hop, Span, Stop, Stranger

Seen = Literal["as_planned", "differs", "missing", "not_asked"]


class Up(TypedDict):
    """A lab that has been started; ``timings`` are seconds by phase."""

    lab: str
    provider: str
    nodes: list[str]
    containers: list[str]
    timings: dict[str, float]
    spans: NotRequired[list[Span]]


class Down(TypedDict):
    """Labs that were stopped, and those that were only rendered and whose files were removed."""

    labs: list[str]
    rendered: list[str]
    seconds: float


class Switched(TypedDict):
    """A lab that runs on the nodes that another ran on before."""

    lab: str
    was: str
    provider: str
    nodes: list[str]
    containers: list[str]
    timings: dict[str, float]


class Converged(TypedDict):
    """What was changed of a running lab, by node; the host's side is ``switch``."""

    lab: str
    check: bool
    changed: int
    changes: dict[str, list[str]]
    looked_at: dict[str, dict[str, int]]
    diff: NotRequired[dict[str, list[dict[str, str]]]]
    seconds: float


class NodeStatus(TypedDict):
    """A node; ``found`` says what differs, or why it wasn't asked."""

    name: str
    state: Literal["running", "poweroff", "not_created"]
    address: str
    parents: dict[str, str]
    seen: Seen
    found: str | None


class ContainerStatus(TypedDict):
    """An attachment of a container to a network."""

    name: str
    node: str
    network: str
    runtime: str
    address: str
    addresses: list[str]
    mac: str
    seen: Seen
    found: str | None


class HostStatus(TypedDict):
    """A port of an external host."""

    name: str
    segment: str
    vlan: int | None
    interface: str
    port: str
    addresses: list[str]
    mac: str


class Machine(TypedDict):
    """The machine that holds the bridges."""

    name: str
    state: str
    address: str


class SegmentStatus(TypedDict):
    """A segment's bridge in the switch, with the port of each node."""

    name: str
    bridge: str
    ports: dict[str, str]
    vlans: dict[str, str] | None
    seen: Seen
    found: str | None


class Switch(TypedDict):
    """The switch; ``machine`` is null where the bridges are in the lab's sandbox."""

    machine: Machine | None
    segments: list[SegmentStatus]


class Status(TypedDict):
    """A running lab, and what was seen of it."""

    lab: str
    provider: str
    state: Literal["running", "partly", "stopped"]
    asked: list[str]
    not_asked: dict[str, str]
    strangers: list[Stranger]
    put_aside: dict[str, list[str]]
    nodes: list[NodeStatus]
    containers: list[ContainerStatus]
    hosts: list[HostStatus]
    switch: Switch


class Broken(TypedDict):
    """A fault that was brought about: the cells that must differ now, and all that may."""

    fault: str
    where: str
    cells: list[CellName]
    possible: list[CellName]


class FittingFault(TypedDict):
    """A fault that fits a lab: its first place, and how many cells may change there."""

    id: str
    where: str
    cells: int
    places: int
    title: str


class FittingFaults(TypedDict):
    """What ``break --list`` prints."""

    faults: list[FittingFault]


class Undone(TypedDict):
    """A fault that was taken back."""

    fault: str
    where: str


class Mended(TypedDict):
    """What was taken back, and whether every cell is as expected since."""

    lab: str
    mended: list[Undone]
    green: bool


class TracedThere(TypedDict):
    """How machines that exist were asked for a packet's way.

    ``cannot`` is what the tier can't see, in words; ``stopped_at`` is where the packet stopped as
    its source's probe says, and ``reason`` its own word for that.
    """

    tier: Literal["probe", "lab"]
    warm: bool
    cannot: list[str]
    stopped_at: Stop | None
    reason: str | None


class Traced(TypedDict):
    """Where one packet and its answer were seen; ``live`` is of machines that exist.

    ``expected`` is whether the answer should come back; none for a port that the matrix lacks.
    """

    source: str
    destination: str
    protocol: Literal["icmp", "tcp", "udp"]
    port: int | None
    answer: Literal["replied", "accepted", "refused"] | None
    reached: bool
    expected: NotRequired[bool | None]
    last_seen: str
    hops: list[Hop]
    live: NotRequired[TracedThere]


class Captured(TypedDict):
    """A file of captured frames."""

    file: str
    frames: int
    bytes: int
    lost: int
    cut_short: str | None


class Forwarded(TypedDict):
    """A container's port that answers here for as long as the command runs."""

    lab: str
    container: str
    node: str
    port: int
    local_port: int
    address: str


class Variables(TypedDict):
    """What Vagrant and Ansible take from the environment."""

    UNDERLAY_LAB: str
    UNDERLAY_PROVIDER: str
    UNDERLAY_PYTHON: str
    VAGRANT_DOTFILE_PATH: NotRequired[str]
    VAGRANT_CWD: str
    ANSIBLE_INVENTORY: str


class Environment(TypedDict):
    """Variables for using Vagrant by hand on a lab."""

    variables: Variables


class HostRights(TypedDict):
    """A machine of an inventory, and the most that can be measured there."""

    name: str
    address: str
    tier: Literal["none", "reader", "probe", "lab"]
    user: str | None
    python: str | None
    probe: Literal["allowed", "not there", "another version", "not allowed"] | None
    icmp: Literal["datagram", "ping", "none"] | None
    error: str | None
    hint: str | None


class Hosts(TypedDict):
    """What ``hosts`` says: machines, and the ``digest`` of the program that lies at ``path``."""

    path: str
    digest: str
    machines: list[HostRights]


class AppliedConflict(TypedDict):
    """What is in a lab's way on a machine, and what to do about it."""

    found: str
    cure: str


class AppliedChanges(TypedDict):
    """What was changed on a machine, or would be, in words.

    ``repaired`` says what an earlier command had left there, which was undone first, and ``left``
    what of that wasn't, as it is somebody else's by now.
    """

    name: str
    changes: list[str]
    conflicts: list[AppliedConflict]
    repaired: str | None
    left: list[str]


class Applied(TypedDict):
    """A lab on machines that exist; ``changed`` is on how many of them something was changed.

    With ``dry_run`` nothing was, and all of it is what would be.
    """

    lab: str
    provider: Literal["hosts"]
    dry_run: bool
    changed: int
    machines: list[AppliedChanges]
    seconds: float


class AppliedState(TypedDict):
    """What is applied on a machine; ``lab`` is null where nothing is.

    ``told`` says what became of a command that was cut short, and ``lost`` what isn't there any
    more as it was made. ``error`` is why nothing is known.
    """

    name: str
    lab: str | None
    since: str | None
    by: str | None
    told: str | None
    lost: list[str]
    containers: list[str]
    error: str | None
    hint: str | None


class StatusOfMachines(TypedDict):
    """What is applied on the machines of an inventory."""

    machines: list[AppliedState]


class UndoneOnMachine(TypedDict):
    """What was undone on a machine, and what was left there, as it is somebody else's by now."""

    name: str
    lab: str | None
    undone: list[str]
    left: list[str]
    error: str | None
    hint: str | None


class DownOnMachines(TypedDict):
    """What was undone on the machines of an inventory."""

    machines: list[UndoneOnMachine]
    seconds: float
