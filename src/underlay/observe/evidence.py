"""Evidence: what nodes, containers and the switch look like from inside, for explaining.

``gather`` starts one process on each node and one where the switch is (gather.py says what
they read). Everything is kept as the programs printed it; ``Space`` gives it names.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from underlay.errors import UnderlayError
from underlay.expect import machines
from underlay.observe.patience import SharedDeadline
from underlay.plan import SWITCH, Cidr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from underlay.plan import Plan

    Start = Callable[[str], subprocess.Popen[bytes]]

DEADLINE = 45.0  # s; less for those that lag behind most (deadline.py)
BRIEF, BRIEF_EACH = 15.0, 0.1  # s, where interfaces alone are asked for
END = 2.0  # s that a killed process gets
PER_CONTAINER = 1.0  # s more for each container of the node that has most


@dataclass(frozen=True)
class Space:
    """One network namespace as it was seen: a node's own, a container's, or the switch's.

    ``before`` is how it was seen before all cells were asked again, None without a second look.
    """

    name: str
    node: str
    raw: Mapping[str, Any]
    before: Space | None = None

    @property
    def links(self) -> dict[str, dict[str, Any]]:
        """The interfaces by name, as ``ip -json -details address`` shows them."""
        return {link["ifname"]: link for link in self.raw["links"] if "ifname" in link}

    def rows(self, part: str) -> list[dict[str, Any]]:
        """Return ``routes``, ``rules``, ``neighbours``, ``ports`` or ``fdb``, row by row."""
        return [row for row in self.raw.get(part, ()) if row]

    def lines(self, part: str) -> list[str]:
        """Return the text of ``iptables``, ``ip6tables``, ``nft`` or ``qdiscs``."""
        return list(self.raw.get(part, ()))

    @property
    def filters(self) -> dict[str, list[str]]:
        """The filters of tc with their counters, by "DEVICE ingress" or "DEVICE egress"."""
        return dict(self.raw.get("filters", {}))

    @property
    def sysctl(self) -> dict[str, str]:
        """The kernel's switches by their dotted names."""
        return dict(self.raw.get("sysctl", {}))

    @property
    def counters(self) -> dict[str, int]:
        """The protocol counters that aren't zero, such as IpOutNoRoutes."""
        return dict(self.raw.get("counters", {}))

    def addresses(self, interface: str) -> list[Cidr]:
        """Return an interface's global addresses with their prefix lengths, both families."""
        return [
            Cidr(f"{info['local']}/{info['prefixlen']}")
            for info in self.links.get(interface, {}).get("addr_info", ())
            if info.get("scope") == "global" and "local" in info
        ]


@dataclass(frozen=True)
class Evidence:
    """What was gathered. ``failed`` says why a node or container could not be looked into.

    ``earlier`` is what was gathered before all cells were asked again, for what counts packets.
    ``untried`` are those of ``failed`` into which nobody may look with the rights that one has.
    """

    documents: dict[str, dict[str, Any]]
    failed: dict[str, str] = field(default_factory=dict)
    earlier: Evidence | None = None
    untried: frozenset[str] = frozenset()

    def space(self, name: str) -> Space | None:
        """Return the namespace of a node, a container or ``switch``; None where it wasn't seen."""
        for node, document in self.documents.items():
            if name in document["spaces"]:
                before = self.earlier.space(name) if self.earlier else None
                return Space(name, node, document["spaces"][name], before)
        return None

    def spaces(self) -> Iterator[Space]:
        """Yield every namespace that was seen, node by node."""
        for document in self.documents.values():
            for name in document["spaces"]:
                space = self.space(name)
                if space is not None:
                    yield space

    def unread(self, node: str) -> tuple[str, ...]:
        """Return what of a machine's namespaces whoever looked into it was not told."""
        return tuple(self.documents.get(node, {}).get("unread", ()))

    def runtime(self, node: str) -> dict[str, Any]:
        """Return services, net.d files and Docker's containers of a node; empty where unseen."""
        found: dict[str, Any] = self.documents.get(node, {}).get("runtime", {})
        return found


def gather(plan: Plan, start: Start, *, pace: float = 1, brief: bool = False) -> Evidence:
    """Look into every node, container, external host and the switch of ``plan``, all at once.

    ``start(name)`` starts gather.py as root on a node or host, or at the switch for
    ``switch``, with its streams piped; what is ``brief`` gets less time. What fails or is late
    is named in ``failed``; nothing is raised.
    """
    looks = {name: _Look(name, start) for name in (*machines(plan), SWITCH)}
    most = max(Counter(container.node for container in plan.containers).values(), default=0)
    limit, each = (BRIEF, BRIEF_EACH) if brief else (DEADLINE, PER_CONTAINER)
    more = pace * each * most
    _await(looks, SharedDeadline([node.name for node in plan.nodes], pace * limit + more, more))
    failed = {name: look.error for name, look in looks.items() if look.error}
    documents = {name: look.document for name, look in looks.items() if name not in failed}
    for document in documents.values():
        failed |= document["missing"]
    return Evidence(documents, failed)


def _await(looks: dict[str, _Look], deadline: SharedDeadline) -> None:
    """Wait for all looks to end. Give up those that lag behind, and all of them on Ctrl-C."""
    try:
        deadline.wait_for(looks)
    finally:
        for look in looks.values():
            if not look.wait(0):
                look.give_up(deadline.patience)


class _Look:
    """A look into one machine, in a thread; ``error`` says why it shows nothing."""

    def __init__(self, name: str, start: Start) -> None:
        self.name = name
        self.error = ""
        self.document: dict[str, Any] = {}
        self._start = start
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._process = self._start(self.name)
            out, complaint = self._process.communicate()
            self.document = _document(out, complaint)
        except (OSError, UnderlayError, ValueError) as error:
            self.error = self.error or str(error)

    def wait(self, seconds: float) -> bool:
        """Wait for the end of the look for so long; return whether it has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def give_up(self, seconds: float) -> None:
        """End the process, which had its ``seconds``."""
        self.error = f"did not answer within {seconds:.0f} s"
        if self._process:
            self._process.kill()
        self._thread.join(END)


def _document(out: bytes, complaint: bytes) -> dict[str, Any]:
    """Return what a process printed; raise ValueError where that is no document."""
    try:
        found: dict[str, Any] = json.loads(out)
    except ValueError:
        last = complaint.decode(errors="replace").strip().splitlines()[-1:]
        raise ValueError(": ".join(["gave no answer", *last])) from None
    return found
