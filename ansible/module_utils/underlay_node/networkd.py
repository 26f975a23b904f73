"""networkd's files for the node's NICs and VLANs, so that it agrees with what is made here.

At first boot cloud-init writes them from network-config. When a node becomes another
lab's, they are written anew: networkd would otherwise bring the old addresses back as
soon as a link goes down and up again.
"""

from __future__ import annotations

import os

from .commands import run, write
from .links import Links

FOLDER = "/etc/systemd/network"
RUNS = "/run/systemd/netif"


def hand_over(wanted: Links, before: Links) -> None:
    """Write the files of ``wanted``, remove those of ``before``, and have networkd read them.

    A lean node has no networkd, and nothing to hand over.
    """
    if not os.path.isdir(RUNS):
        return
    for link in before.vlans:
        if link not in wanted.vlans and os.path.exists(path(link["interface"])):
            os.unlink(path(link["interface"]))
    addresses = wanted.addresses()
    for link in [*wanted.nics, *wanted.vlans]:
        name = link["interface"]
        write(path(name), content(name, link["mtu"], addresses[name], wanted))
    run(["networkctl", "reload"])


def path(interface: str) -> str:
    """Return the file of an interface, under the name that cloud-init gives it."""
    return f"{FOLDER}/10-cloud-init-{interface}.network"


def content(name: str, mtu: int, addresses: list[str], wanted: Links) -> str:
    """Return the text of one file; see systemd.network(5)."""
    lines = ["[Match]", f"Name={name}", "", "[Link]", f"MTUBytes={mtu}", "RequiredForOnline=no"]
    # A bridge that the node program puts the interface into isn't networkd's.
    lines += ["", "[Network]", "DHCP=no", "IPv6AcceptRA=no", "KeepMaster=yes"]
    for address in addresses:
        lines += ["", "[Address]", f"Address={address}"]
    for route in wanted.routes:
        if route["interface"] == name:
            lines += ["", "[Route]", f"Destination={route['to']}"]
            lines += [f"Gateway={route['via']}", "GatewayOnLink=yes"] if route.get("via") else []
            lines += [f"PreferredSource={route['source']}"] if route.get("source") else []
    return "\n".join(lines) + "\n"
