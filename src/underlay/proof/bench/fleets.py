"""Fleets that are timed: folders of hosts as people keep them, of any number, and what is wanted.

Every host has a NIC and a shim by systemd-networkd, and a Compose file with two macvlan networks,
one of them on a VLAN. So each brings a node and three containers to the matrix.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# How many hosts the fleets have that are timed.
SIZES = (3, 20, 100)
# The first host's range of sixteen addresses, and what a host's own are counted from.
LAN_RANGE, IOT_RANGE = ip_address("10.40.64.0"), ip_address("10.90.64.0")
OWN, SHIM = ip_address("10.40.1.0"), ip_address("10.40.2.0")
RANGE = 16

_LAB = """\
name: {name}
fleet:
{fleet}
hosts:
  router:
    on: {{enp1s0: [{{addresses: [10.40.0.1/16]}}, {{vlan: 90, addresses: [10.90.0.1/16]}}]}}
protocols: [icmp, tcp]
expect:
  - web* -> cache*
  - cache* -> web*
  - lan -> router
  - router -> lan
  - web* -> nodes
  - nodes -> web*
  - iot -> iot
  - iot -x lan
  - lan -x iot
  - iot -x nodes
"""
_NIC = """\
[Match]
Name=enp1s0

[Network]
Address={address}/16
Gateway=10.40.0.1
MACVLAN=lan-shim
"""
_SHIM_DEVICE = """\
[NetDev]
Name=lan-shim
Kind=macvlan

[MACVLAN]
Mode=bridge
"""
_SHIM = """\
[Match]
Name=lan-shim

[Network]
Address={address}/32
"""
_ROUTE = """
[Route]
Destination=10.40.64.0/18
"""
_COMPOSE = """\
services:
  web:
    image: nginx:1.27
    container_name: web-{number:03}
    networks:
      lan:
        ipv4_address: {web}
  cache:
    image: redis:7
    container_name: cache-{number:03}
    networks: [lan]
  sensor:
    image: eclipse-mosquitto:2
    container_name: sensor-{number:03}
    networks: [iot]
networks:
  lan:
    name: lan
    driver: macvlan
    driver_opts:
      parent: enp1s0
      macvlan_mode: {mode}
    ipam:
      config:
        - subnet: 10.40.0.0/16
          gateway: 10.40.0.1
          ip_range: {lan}/28
  iot:
    name: iot
    driver: macvlan
    driver_opts:
      parent: enp1s0.90
    ipam:
      config:
        - subnet: 10.90.0.0/16
          gateway: 10.90.0.1
          ip_range: {iot}/28
"""


def fleet(folder: Path, hosts: int, *, mode: str = "bridge", routed: bool = True) -> Path:
    """Write a fleet of so many ``hosts`` into ``folder``, and return its lab file.

    ``mode`` is the macvlan mode of the containers in the LAN, and ``routed`` says whether the first
    host, too, has the route that leads to them by its shim.
    """
    names = [f"host-{number:03}" for number in range(1, hosts + 1)]
    for number, name in enumerate(names, 1):
        _host(folder / "hosts" / name, number, mode, routed=routed or number > 1)
    file = folder / "lab.yml"
    lines = "\n".join(f"  {name}: hosts/{name}" for name in names)
    file.write_text(_LAB.format(name=f"bench-fleet-{hosts}", fleet=lines), encoding="utf-8")
    return file


def _host(folder: Path, number: int, mode: str, *, routed: bool) -> None:
    lan, iot = LAN_RANGE + RANGE * number, IOT_RANGE + RANGE * number
    compose = _COMPOSE.format(number=number, web=lan + 2, lan=lan, iot=iot, mode=mode)
    networkd = "etc/systemd/network"
    shim = _SHIM.format(address=SHIM + number)
    files = {
        f"{networkd}/10-enp1s0.network": _NIC.format(address=OWN + number),
        f"{networkd}/20-lan-shim.netdev": _SHIM_DEVICE,
        f"{networkd}/20-lan-shim.network": shim + (_ROUTE if routed else ""),
        "srv/shop/compose.yml": compose,
    }
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
