"""Waiting for what a container gets from the wire by itself: IPv6 addresses by SLAAC."""

from __future__ import annotations

import time

from .commands import Failed, show

# Linux solicits a router within a second and then every four (RFC 4861, 6.3.7); the
# detection of duplicates takes one more.
DEADLINE = 20.0


def wait(container: dict, networks: dict[str, dict]) -> None:
    """Return when each advertised subnet has led to its planned address; raise Failed if not."""
    for attachment in container["attachments"]:
        if not networks[attachment["network"]].get("slaac"):
            continue
        end = time.monotonic() + DEADLINE
        while not _has(attachment, container["name"]):
            if time.monotonic() > end:
                raise Failed(
                    f"{attachment['interface']} has no {attachment['address6']} after"
                    f" {DEADLINE:.0f} s: {_why(attachment, container['name'])}"
                )
            time.sleep(0.2)


def _has(attachment: dict, name: str) -> bool:
    return attachment["address6"] in _addresses(attachment, name)


def _why(attachment: dict, name: str) -> str:
    made = _addresses(attachment, name)
    if made:
        return f"it made {', '.join(made)} of its MAC address and its number on the parent"
    return "no router advertises its subnet"


def _addresses(attachment: dict, name: str) -> list[str]:
    """Return the interface's own global addresses that have proved to be nobody else's."""
    words = ["-netns", name, "-6", "address", "show", "dev", attachment["interface"]]
    return [
        f"{entry['local']}/{entry['prefixlen']}"
        for row in show(words)
        for entry in row["addr_info"]
        if entry.get("scope") != "link" and not entry.get("tentative")
    ]
