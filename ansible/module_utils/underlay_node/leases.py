"""Addresses of the node's own interfaces that a DHCP server gives: asked for once, by udhcpc."""

from __future__ import annotations

import os

from .commands import Failed, run, show

SCRIPT = "/run/underlay/udhcpc"
# udhcpc calls it with what it has found out in the environment; `mask` is a prefix length there.
WORDS = """\
#!/bin/sh
[ "$1" = bound ] || exit 0
exec ip address replace "$ip/$mask" broadcast + dev "$interface"
"""
TRIES = 10


def ask(name: str, address: str) -> None:
    """Get ``name`` its lease, and return once it has ``address``; raise Failed if it hasn't.

    It isn't renewed: the address stays for as long as the interface does.
    """
    os.makedirs(os.path.dirname(SCRIPT), exist_ok=True)
    with open(SCRIPT, "w", encoding="ascii") as file:
        file.write(WORDS)
    os.chmod(SCRIPT, 0o700)
    run(["ip", "link", "set", name, "up"])
    words = ["busybox", "udhcpc", "-i", name, "-f", "-n", "-q", "-t", str(TRIES), "-T", "1"]
    run([*words, "-s", SCRIPT])
    compare(name, address)


def compare(name: str, address: str, enter: list[str] | None = None) -> None:
    """Raise Failed where ``name`` hasn't ``address``; ``enter`` leads into its namespace."""
    found = [
        f"{entry['local']}/{entry['prefixlen']}"
        for row in show(["-4", "address", "show", "dev", name], enter)
        for entry in row["addr_info"]
    ]
    if address not in found:
        leased = ", ".join(found) or "no address"
        raise Failed(f"{name} was leased {leased}, and {address} is the planned one")
