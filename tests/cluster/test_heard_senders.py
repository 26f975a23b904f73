"""Who advertises a router or offers leases on a wire: `survey` names real daemons, and nobody else.

A machine that the survey's inventory lacks runs dnsmasq, as it comes: with a ping for the address
before it is offered. It speaks on one VLAN of a switch whose ports are of different ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cluster.commands import Done
from cluster.running import Checkout
from cluster.surveyed import ROOT_RIGHTS, SURVEY_DEADLINE
from foreign import Foreign, foreign_machines

pytestmark = pytest.mark.all

SPEAKER = "core-03"
LAB = """\
name: speakers
nodes: {count: 3, profile: lean}
protocols: [icmp]
segments:
  mixed:
    subnet: 192.168.60.0/24
    subnet6: fd00:60::/64
    ports:
      core-01: {trunk: [1, 10, 20], native: 1}
      core-02: {access: 20}
      core-03: {trunk: [1, 10, 20], native: 1}
  apart: {subnet: 192.168.61.0/24, subnet6: fd00:61::/64}
networks:
  apart: {driver: macvlan, segment: apart, subnet: 10.1.0.0/24, runtime: iproute2}
containers:
  - {on: all, networks: [apart]}
"""
# By the VLAN on which it speaks, 0 for none: the ports that it is heard at, with the tag there.
HEARD = {
    0: {"core-01:eth1": None},
    10: {"core-01:eth1": 10},
    20: {"core-01:eth1": 20, "core-02:eth1": None},
}
MIXED = ("--segment", "mixed=eth1", "--segment", "apart=eth2")
ADVERTISEMENT, OFFER = "router advertisement", "DHCP offer"
# Seconds: in its first minute dnsmasq advertises itself every 5 to 20 (radv.c, new_timeout).
LONGEST_SILENCE = "21"
RUN = """
nic=eth1
if [ "$1" != 0 ]; then
    nic=eth1.$1
    ip link add link eth1 name $nic type vlan id $1
    ip link set $nic up
    ip address add 192.168.$((100 + $1)).13/24 dev $nic
    ip address add fd00:$((100 + $1))::13/64 dev $nic nodad
fi
until ip -6 address show dev $nic scope link | grep inet6 | grep -qv tentative; do sleep 0.1; done
{ ip -6 -oneline address show dev $nic scope link; cat /sys/class/net/$nic/address; } |
    sed -E 's/.*inet6 ([^/]*).*/\\1/'
[ "$1" = 0 ] && net=60 || net=$((100 + $1))
dnsmasq --conf-file=/dev/null --user=root --port=0 --leasefile-ro --pid-file=/run/speaker.pid \\
    --interface=$nic --enable-ra --ra-param=$nic,4 \\
    --dhcp-range=fd00:$net::,ra-only --dhcp-range=192.168.$net.200,192.168.$net.220,10m
"""
STOP = """
process=$(cat /run/speaker.pid)
kill $process
while [ -d /proc/$process ]; do sleep 0.1; done
if [ "$1" != 0 ]; then ip link del eth1.$1; fi
"""
# Asks for a lease again and again, and takes it for nothing.
CLIENT = """
setsid sh -c '
    echo $$ >/run/client.pid
    while :; do
        busybox udhcpc -f -q -n -B -i eth1 -s /bin/true -t 3 -T 3
        sleep 1
    done
' >/dev/null 2>&1 </dev/null &
until [ -s /run/client.pid ]; do sleep 0.1; done
"""


@pytest.fixture(scope="module")
def machines(copy: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Foreign]:
    """Return three machines, whose user may become root."""
    folder = tmp_path_factory.mktemp("speakers")
    with (
        foreign_machines(copy, folder, "speakers", LAB) as found,
        found.sudoers(ROOT_RIGHTS),
    ):
        yield found


@contextmanager
def speaking(machines: Foreign, vlan: int) -> Iterator[tuple[str, str]]:
    """Have a router and DHCP server speak on a VLAN; yield its address and its MAC address."""
    said = machines.root(SPEAKER, RUN, str(vlan)).split()
    try:
        yield said[0], said[1]
    finally:
        machines.root(SPEAKER, STOP, str(vlan))


def surveyed(here: Checkout, inventory: Path, *words: str) -> Done:
    command = ("survey", "-i", str(inventory), "--json", *words)
    return here.underlay(*command, deadline=SURVEY_DEADLINE)


def told(done: Done, kind: str) -> list[dict[str, Any]]:
    return [one for one in done.document()["senders"] if one["kind"] == kind]


def places(senders: list[dict[str, Any]]) -> dict[str, int | None]:
    return {one["at"]: one["vlan"] for one in senders}


@pytest.mark.parametrize("vlan", HEARD)
def test_who_speaks_is_named_where_it_is_heard(
    here: Checkout, machines: Foreign, tmp_path: Path, vlan: int
) -> None:
    """And nobody is where it isn't: on another VLAN, on another segment, or once it is silent."""
    saved = tmp_path / "speaking.json"
    net = 100 + vlan if vlan else 60
    with machines.without(tmp_path, SPEAKER) as inventory:
        with speaking(machines, vlan) as (address, mac):
            listened = surveyed(here, inventory, *MIXED, "--listen", LONGEST_SILENCE)
            asked = surveyed(here, inventory, *MIXED, "--discover", "--save", str(saved))
        again = ("--discover", "--baseline", str(saved))
        silent = surveyed(here, inventory, *MIXED, *again)
    assert listened.code == asked.code == 0, f"{listened}\n{asked}"
    assert listened.document()["frames"] == 0
    for done in (listened, asked):
        found = told(done, ADVERTISEMENT)
        said = {(one["mac"], one["address"], one["said"]) for one in found}
        assert said <= {(mac, address, f"fd00:{net}::/64")}, str(done)
        assert places(found).items() <= HEARD[vlan].items(), str(done)
    assert places(told(listened, ADVERTISEMENT)) == HEARD[vlan], str(listened)
    assert told(listened, OFFER) == []
    # Who asked gets its answer, and an offer is for all to hear. Nobody asks on VLAN 10.
    assert {at for at, tag in HEARD[vlan].items() if tag is None} <= set(
        places(told(asked, ADVERTISEMENT))
    )
    assert places(told(asked, OFFER)) == (HEARD[vlan] if vlan != 10 else {}), str(asked)
    for one in told(asked, OFFER):
        assert (one["mac"], one["address"]) == (mac, f"192.168.{net}.13")
        assert one["said"].startswith(f"an offer of 192.168.{net}.2")
    prove_silent(silent)
    # Where the machine itself took the router's word, its route has gone as well.
    gone = [line for line in silent.document()["drift"] if line.startswith("gone: ")]
    assert silent.code == (1 if gone else 0), str(silent)
    assert len(gone) == len(asked.document()["senders"]), str(silent)
    assert all(mac in line for line in gone), gone


def test_an_interface_on_another_vlan_hears_nobody(
    here: Checkout, machines: Foreign, tmp_path: Path
) -> None:
    """Of two on one NIC, that on the VLAN of the server hears it, and the other one doesn't."""
    pair = ("--segment", "ten=core-01:eth1.10", "--segment", "twenty=core-01:eth1.20")
    add = "; ".join(
        f"ip link add link eth1 name eth1.{tag} type vlan id {tag}; ip link set eth1.{tag} up"
        for tag in (10, 20)
    )
    machines.root("core-01", add)
    try:
        with machines.without(tmp_path, SPEAKER) as inventory:
            with speaking(machines, 10) as (_, mac):
                asked = surveyed(here, inventory, *pair, "--discover")
            silent = surveyed(here, inventory, *pair, "--discover")
    finally:
        machines.root("core-01", "ip link del eth1.10; ip link del eth1.20")
    assert asked.code == silent.code == 0, f"{asked}\n{silent}"
    for kind in (ADVERTISEMENT, OFFER):
        assert places(told(asked, kind)) == {"core-01:eth1.10": None}, str(asked)
    assert {one["mac"] for one in asked.document()["senders"]} == {mac}
    prove_silent(silent)


def test_what_a_client_is_offered_is_heard_by_who_only_listens(
    here: Checkout, machines: Foreign, tmp_path: Path
) -> None:
    """The client wants its answers by broadcast, as those do that can't take them otherwise."""
    with machines.without(tmp_path, SPEAKER) as inventory, speaking(machines, 20) as (_, mac):
        machines.root("core-02", CLIENT)
        try:
            done = surveyed(here, inventory, *MIXED, "--listen", "10")
        finally:
            machines.root("core-02", "kill -- -$(cat /run/client.pid); rm /run/client.pid")
    assert done.code == 0, str(done)
    assert done.document()["frames"] == 0
    assert places(told(done, OFFER)) == HEARD[20], str(done)
    assert {one["mac"] for one in told(done, OFFER)} == {mac}


def prove_silent(done: Done) -> None:
    """Fail where a survey that asked names somebody, or doesn't say that it heard nobody."""
    document = done.document()
    assert document["senders"] == [], str(done)
    said = [one for one in document["sentences"] if one["id"] in ("sender", "senders")]
    assert [one["verdict"] for one in said] == ["works"], said
    assert "though they were asked for" in said[0]["text"]
