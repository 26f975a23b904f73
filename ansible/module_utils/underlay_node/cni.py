"""Containers of runtime ``cni``: attached by libcni to the networks in /etc/cni/net.d."""

from __future__ import annotations

from . import namespaces, routes
from .commands import Failed, batch, run

PROGRAM = "/usr/libexec/underlay/cni"


def start(container: dict, networks: dict[str, dict]) -> None:
    """Start the container; give back what was attached when the rest of it fails."""
    name = container["name"]
    attached = []
    try:
        for attachment in container["attachments"]:
            words = _words(container, attachment, networks[attachment["network"]])
            attached.append(words)
            run([PROGRAM, "add", *words])
        batch(_afterwards(container, networks), space=name)
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
    four, six = attachment["address"], attachment.get("address6")
    # CNI_ARGS ask for one address; several are asked for by the capability "ips".
    words.append(f"IPS={four},{six}" if six else f"IP={four.partition('/')[0]}")
    # An ipvlan child and a VLAN link can't be given a MAC address: they have their parent's.
    if network["driver"] not in ("ipvlan", "vlan"):
        words.append(f"MAC={attachment['mac']}")
    return words


def _afterwards(container: dict, networks: dict[str, dict]) -> list[str]:
    """IPv6 routes without a gateway, which plugins can't express; see the role's template."""
    return [x for x in routes.lines(container, networks) if ":" in x and " via " not in x]
