"""Names that a host's own files have for an interface which every node calls alike."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from underlay.lab.own import Own
    from underlay.plan.values import PlannedNetwork

# What a node has besides what the plan makes: no other interface has such a name.
TAKEN = frozenset({"lo", "docker0", "podman0", "bond0", "eth0"})
# What makes an interface: a unit of networkd, also one that user-data writes, or a script.
_MADE = r"^\s*Name\s*=\s*{name}\s*$"
_ADDED = r"\badd\b.*(?<![\w.]){name}(?![\w.])"
# Alternative names are as long as the kernel lets them be (ALTIFNAMSIZ); units of networkd match
# by them, and netlink finds an interface by any: systemd.network(5), net/core/dev.c.
LONGEST = 127


def also(
    own: Own, node: str, named: Collection[str], networks: Iterable[PlannedNetwork]
) -> tuple[tuple[str, str], ...]:
    """Return the other names that a node's interfaces have: each with the interface's own one.

    ``named`` are all interfaces that the plan has there. A name that is one of these is none that
    another may have, and what the host's own files make themselves they call as they say. podman
    looks a parent up among all names that interfaces have by themselves (Go's net.Interfaces), and
    refuses one that is another's second name.
    """
    strict = {n.parent for n in networks if n.runtime == "podman" and node in dict(n.made_by)}
    found = {}
    for one in own.renamed:
        free = one.name not in named and one.name not in TAKEN and len(one.name) <= LONGEST
        able = free and one.called in named and one.called not in strict
        if one.node == node and able and not _is_made(own, node, one.name):
            found[one.name] = one.called
    return tuple(sorted(found.items()))


def _is_made(own: Own, node: str, name: str) -> bool:
    """Whether a file of the host's own makes the interface itself."""
    for file in own.files.get(node, ()):
        netdev = file.path.endswith(".netdev") or file.program == "user-data"
        form = _MADE if netdev else _ADDED
        able = netdev or file.program.endswith("script")
        if able and re.search(form.format(name=re.escape(name)), file.text, re.MULTILINE):
            return True
    return False
