"""Reads the kernel's switches that decide who reaches whom, as any user may.

Runs on the machine: standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def sysctls(
    names: Iterable[str], links: Iterable[str], per_link: Iterable[str], per_link6: Iterable[str]
) -> dict[str, str]:
    """Return the values of ``names`` and of each interface's switches, by their dotted names.

    ``names`` are paths below /proc/sys; ``per_link`` and ``per_link6`` are keys of IPv4's conf and
    of IPv6's, which ``all`` has as well. What this kernel hasn't is left out. An interface's name
    may have a dot, which is a slash in the dotted name (sysctl(8)).
    """
    keys, keys6 = list(per_link), list(per_link6)
    paths = list(names)
    for link in ("all", *links):
        paths += [f"net/ipv4/conf/{link}/{key}" for key in keys]
        paths += [f"net/ipv6/conf/{link}/{key}" for key in keys6]
    found = {}
    for path in paths:
        with contextlib.suppress(OSError), open(f"/proc/sys/{path}") as file:
            found[path.replace(".", "\0").replace("/", ".").replace("\0", "/")] = (
                file.read().strip()
            )
    return found
