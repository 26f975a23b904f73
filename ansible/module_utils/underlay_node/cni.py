"""Containers of runtime ``cni``: attached by libcni to the networks in /etc/cni/net.d."""

from __future__ import annotations

from . import namespaces
from .commands import Failed, run

PROGRAM = "/usr/libexec/underlay/cni"


def start(container: dict, networks: dict[str, dict]) -> None:
    """Start the container; give back what was attached when the rest of it fails."""
    name = container["name"]
    attached = []
    try:
        run([*namespaces.enter(name), "ip", "link", "set", "lo", "up"])
        for attachment in container["attachments"]:
            words = _words(container, attachment, networks[attachment["network"]])
            attached.append(words)
            run([PROGRAM, "add", *words])
        namespaces.start(name)
    except Failed:
        for words in attached:
            run([PROGRAM, "del", *words], check=False)
        namespaces.remove(name)
        raise


def stop(container: dict, networks: dict[str, dict]) -> None:
    """End the container and give its addresses back.

    A plugin that fails to detach is no hindrance: what it made ends with the namespace.
    """
    name = container["name"]
    namespaces.end(name)
    for attachment in container["attachments"]:
        words = _words(container, attachment, networks[attachment["network"]])
        run([PROGRAM, "del", *words], check=False)
    namespaces.remove(name)


def _words(container: dict, attachment: dict, network: dict) -> list[str]:
    """Return the arguments of the cni program: NETWORK CONTAINER NETNS IFNAME KEY=VALUE …."""
    name = container["name"]
    words = [attachment["network"], name, namespaces.path(name), attachment["interface"]]
    words.append(f"IP={attachment['address'].partition('/')[0]}")
    # An ipvlan child can't be given a MAC address: it has its parent's.
    if network["driver"] != "ipvlan":
        words.append(f"MAC={attachment['mac']}")
    return words
