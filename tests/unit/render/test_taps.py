"""Guests behind taps: the relay between real devices, in a sandbox of this machine's kernel."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys

import pytest
from underlay_node import taps

from underlay.storage.paths import root

SANDBOX = ["unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork",
           "--mount-proc", "--kill-child"]  # fmt: skip
# A sandbox with a /run of its own, whose `say` prints what a test compares. `wire` is the node's
# NIC, and its other end is in the namespace `far`.
PREPARE = f"""
import json, os, socket, subprocess, sys, time
sys.path.insert(0, {str(root() / "ansible" / "module_utils")!r})
from underlay_node import commands, crun, iproute2, namespaces, taps

def does(*words):
    done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)
    return done.returncode == 0

def within(space, work):
    found = []
    def there():
        with open(namespaces.path(space)) as file:
            os.setns(file.fileno(), os.CLONE_NEWNET)
        try:
            found.append(work())
        except OSError:
            found.append(None)
    namespaces.aside(there)
    return found[0]

def reaches(space, other, address):
    # A TCP connection that carries as much as some fifty packets.
    serve = lambda: socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    with within(other, serve) as server:
        port, got = server.getsockname()[1], 0
        client = within(space, lambda: socket.create_connection((address, port), timeout=2))
        if client is None:
            return False
        with client, server.accept()[0] as taken:
            client.sendall(bytes(70000))
            client.shutdown(socket.SHUT_WR)
            taken.settimeout(5)
            while part := taken.recv(65536):
                got += len(part)
        return got == 70000

def relay():
    try:
        pid, since = (int(word) for word in open(taps.NOTE).read().split())
        return crun.started(pid) == since
    except (OSError, ValueError):
        return False

def until(condition):
    end = time.monotonic() + 10
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()

def attach(name, number, mode="bridge"):
    network = {{"driver": "macvtap", "mode": mode, "parent": "wire", "mtu": 1500, "own_mac": True}}
    attachment = {{"interface": "eth0", "mac": f"02:aa:00:00:00:0{{number}}"}}
    namespaces.make([name])
    assert not taps.create([(name, attachment, network)], passing="eth")
    commands.batch([
        "link set eth0 up",
        f"address add 10.1.1.{{number}}/24 dev eth0",
        f"address add fd00::{{number}}/64 nodad dev eth0",
    ], space=name)
    return taps.device(name, attachment)

say = lambda **found: print(json.dumps(found))
"""
WIRE = """
taps.prepare()
namespaces.make(["far"])
commands.batch([
    "link add wire type veth peer name eth0 netns far",
    "link set wire up",
])
commands.batch([
    "link set eth0 up",
    "address add 10.1.1.9/24 dev eth0",
    "address add fd00::9/64 nodad dev eth0",
], space="far")
"""


def inside(code: str) -> dict[str, object]:
    """Run ``code`` after PREPARE in a sandbox; return what it said."""
    mounted = f'mount -t tmpfs tmpfs /run && exec {sys.executable} -c "$CODE"'
    # /dev/tapN has an interface's number, and numbers begin anew in each namespace: two
    # sandboxes at once would open each other's devices.
    with open(__file__, encoding="utf-8") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        done = subprocess.run(
            [*SANDBOX, "sh", "-c", mounted],
            capture_output=True, text=True, timeout=60, check=False,
            env=dict(os.environ, CODE=PREPARE + code),
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def _can(kind: str, *more: str) -> bool:
    """Whether a sandbox here may make an interface of the kind."""
    words = ["ip", "link", "add", "probe", *more, "type", kind]
    if kind == "tun":
        words = ["ip", "tuntap", "add", "dev", "probe", "mode", "tap"]
    script = " ".join(words)
    if more:
        # The device's file appears by itself only where /dev is the kernel's own (devtmpfs).
        number = "$(ip -o link show probe | cut -d: -f1)"
        script = f"ip link add wire type veth peer name other && {script}"
        script += f" && test -c /dev/tap{number}"
    done = subprocess.run(
        [*SANDBOX, "sh", "-c", script],
        capture_output=True, timeout=20, check=False,
    )  # fmt: skip
    return done.returncode == 0


needs_tap = pytest.mark.skipif(
    not _can("tun"),
    reason="no TAP interface can be made here: that takes a /dev/net/tun open to this user",
)
needs_macvtap = pytest.mark.skipif(
    not (_can("tun") and _can("macvtap", "link", "wire") and os.geteuid() == 0),
    reason="no macvtap device can be opened here: it takes root, the driver, and devtmpfs",
)


@needs_tap
def test_the_relay_joins_two_tap_interfaces_and_ends_with_them() -> None:
    found = inside("""
namespaces.make(["one", "two"])
taps.prepare()
ends = [taps._make(f"end{n}", f"02:aa:00:00:00:0{n}") for n in (1, 2)]
shown = does("ip", "link", "show", "end1")
taps._hand_over(*ends)
for end in ends:
    os.close(end)
for n, space in ((1, "one"), (2, "two")):
    commands.batch([f"link set end{n} netns {space} name eth0"], space=taps.HOLDER)
    commands.batch(["link set eth0 up", f"address add 10.1.1.{n}/24 dev eth0"], space=space)
reached = reaches("one", "two", "10.1.1.2"), reaches("two", "one", "10.1.1.1")
running = relay()
namespaces.delete_links({"one": ["eth0"]})
say(reached=reached, running=running, ended=until(lambda: not relay()), shown=shown,
    other=does("ip", "-netns", "two", "link", "show", "eth0"))
""")
    # The node's udev sees none of them: it would give them other MAC addresses.
    assert found == {
        "reached": [True, True], "running": True, "ended": True, "other": False, "shown": False,
    }  # fmt: skip


@needs_macvtap
def test_guests_of_one_parent_reach_each_other_and_the_wire_by_one_relay() -> None:
    found = inside(
        WIRE
        + """
attach("one", 1)
pid = open(taps.NOTE).read()
attach("two", 2)
say(four=[reaches("one", "two", "10.1.1.2"), reaches("one", "far", "10.1.1.9"),
          reaches("far", "two", "10.1.1.2")],
    six=[reaches("two", "one", "fd00::1"), reaches("far", "one", "fd00::1")],
    same=open(taps.NOTE).read() == pid)
"""
    )
    assert found == {"four": [True] * 3, "six": [True, True], "same": True}


@needs_macvtap
def test_private_guests_reach_the_wire_alone() -> None:
    found = inside(
        WIRE
        + """
attach("one", 1, "private")
attach("two", 2, "private")
say(sibling=reaches("one", "two", "10.1.1.2"), wire=reaches("one", "far", "10.1.1.9"))
"""
    )
    assert found == {"sibling": False, "wire": True}


@needs_macvtap
def test_a_filter_that_does_not_know_its_guests_groups_breaks_ipv6_alone() -> None:
    found = inside(
        WIRE
        + """
commands.batch([f"link set {attach('one', 1)} allmulticast off"], space=taps.HOLDER)
say(four=reaches("far", "one", "10.1.1.1"), six=reaches("far", "one", "fd00::1"))
"""
    )
    assert found == {"four": True, "six": False}


@needs_macvtap
def test_the_devices_are_gone_with_their_containers_and_the_next_ones_get_a_relay() -> None:
    found = inside(
        WIRE
        + """
first = attach("one", 1)
namespaces.delete_links({"one": ["eth0"], taps.HOLDER: [first]})
namespaces.remove(["one"])
ended = until(lambda: not relay())
left = does("ip", "-netns", taps.HOLDER, "link", "show", first)
attach("one", 1)
say(ended=ended, left=left, again=reaches("one", "far", "10.1.1.9"))
"""
    )
    assert found == {"ended": True, "left": False, "again": True}


@needs_macvtap
def test_a_runtime_makes_containers_behind_taps_and_leaves_nothing_of_them() -> None:
    found = inside(
        WIRE
        + """
def specified(name, number, parent="wire"):
    network = {"driver": "macvtap", "mode": "bridge", "parent": parent, "mtu": 1500,
               "attach": "tap", "own_mac": True}
    attachment = {"interface": "eth0", "network": "net", "mac": f"02:aa:00:00:00:0{number}"}
    container = {"name": name, "attachments": [attachment]}
    return {"container": container, "networks": {"net": network}}

wanted = [specified("one", 1), specified("two", 2), specified("lost", 3, "nowhere")]
namespaces.make([one["container"]["name"] for one in wanted])
failed = iproute2.create(wanted)
one, two = (w["container"] for w in wanted[:2])
up = [taps.up(c["name"], c["attachments"]) for c in (one, two)]
commands.batch([f"link set {taps.device('two', two['attachments'][0])} down"], space=taps.HOLDER)
down = taps.up("two", two["attachments"])
first = iproute2.stop_all(wanted[:1])
holding = os.path.exists(namespaces.path(taps.HOLDER)), relay()
second = iproute2.stop_all(wanted[1:2])
say(failed=list(failed), up=up, down=down, stopped=[first, second], holding=holding,
    ended=until(lambda: not does("pgrep", "-f", taps.PROGRAM)),
    left=[os.listdir("/run/netns"), os.listdir(crun.BUNDLES)])
"""
    )
    assert found == {
        "failed": ["lost"], "up": [True, True], "down": False, "stopped": [{}, {}],
        "holding": [True, True], "ended": True, "left": [["far"], []],
    }  # fmt: skip


ATTACHMENT = {
    "interface": "eth0",
    "mac": "02:75:10:01:00:01",
    "address": "20.1.1.65/24",
    "address6": "fd00:1::41/64",
}


def network(**more: object) -> dict:
    common = {"parent": "eth1", "mtu": 1500, "own_mac": True}
    return {"driver": "macvtap", "mode": "bridge", **common, **more}


IPVTAP = {"driver": "ipvtap", "own_mac": False}


def test_a_macvtap_device_has_the_guests_mac_address_but_in_passthru_its_parents() -> None:
    assert taps.creation("box", ATTACHMENT, network()) == [
        "link add link eth1 name tp-785ff2b5 address 02:75:10:01:00:01 mtu 1500"
        " netns underlay-taps type macvtap mode bridge"
    ]
    (line,) = taps.creation("box", ATTACHMENT, network(mode="passthru"))
    assert "address" not in line


def test_an_ipvtap_device_has_the_guests_addresses_and_no_routes() -> None:
    lines = taps.holding("box", ATTACHMENT, network(**IPVTAP, mode="l2"))
    assert lines == [
        "address add 20.1.1.65/32 dev tp-785ff2b5 noprefixroute",
        "address add fd00:1::41/128 nodad dev tp-785ff2b5 noprefixroute",
        f"address add {taps.link_local('box', ATTACHMENT).partition('/')[0]}/128 nodad"
        " dev tp-785ff2b5 noprefixroute",
        "link set tp-785ff2b5 allmulticast on up",
    ]


def test_a_guest_of_an_l3_device_asks_for_no_neighbours() -> None:
    asks = network(**IPVTAP, mode="l2")
    asks_not = network(**IPVTAP, mode="l3")
    assert "arp off" not in taps.card("box", ATTACHMENT, asks, passing="new0")[0]
    assert "arp off" in taps.card("box", ATTACHMENT, asks_not, passing="new0")[0]


def test_an_ipvtap_guest_makes_no_link_local_address_of_the_mac_address_that_all_have() -> None:
    own = taps.link_local("box", ATTACHMENT)
    lines = taps.inside("box", ATTACHMENT, network(**IPVTAP, mode="l2"), passing="new0")
    assert lines == ["link set new0 addrgenmode none", f"address add {own} nodad dev new0"]
    assert taps.inside("box", ATTACHMENT, network(), passing="new0") == []
