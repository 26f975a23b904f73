"""`up`, `check`, `status`, `converge` and `down` with an inventory: a lab on machines that exist.

The user may do everything there by sudo; see foreign.py. Containers of somebody else run beside.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import documents
from cluster.commands import Done
from cluster.running import CHECK_DEADLINE, Checkout
from foreign import EVERYTHING, USER, Foreign
from underlay.plan.naming import macs_apart

# In the segments of RACK (foreign.py), on spare addresses. Its networks come in the same order, so
# that MAC addresses which didn't depend on the lab would be those of RACK's containers.
GUESTS = """\
name: guests
nodes: {count: 3, profile: lean}
segments:
  lan: {subnet: 192.168.70.0/24}
  wan: {subnet: 192.168.80.0/24}
networks:
  guestnet: {driver: macvlan, segment: lan, subnet: 20.1.2.0/24, runtime: cni}
  visitnet: {driver: ipvlan, segment: wan, subnet: 30.1.2.0/24, runtime: iproute2}
  tagged: {driver: macvlan, segment: lan, vlan: 70, subnet: 20.1.3.0/24, runtime: cni}
containers:
  - {on: all, networks: [visitnet]}
  - {on: all, networks: [guestnet]}
  - {on: all, networks: [tagged]}
"""
DIGESTS = """
find /etc /var/lib /usr/local /root /home -xdev -path /var/lib/dpkg -prune -o -type f \
    -exec sha256sum {} + | sort
"""
# Holds one command of ip's, which a line of the file `at` is in, until it is released or killed.
HOLDING = """\
#!/bin/sh
words="$*"
case " $words " in *" -batch "*) given=$(cat); words="$words $given";; esac
if [ -p /run/held/release ] && at=$(cat /run/held/at) && mkdir /run/held/once 2>/dev/null; then
    case "$words" in
        *"$at"*) echo $PPID $$ >/run/held/pids.new; mv /run/held/pids.new /run/held/pids
            read -r _ </run/held/release;;
        *) rmdir /run/held/once;;
    esac
fi
printf '%s\\n' "$given" | exec /usr/sbin/ip "$@"
"""
HOLD = 'mkdir /run/held; mkfifo /run/held/release; printf %s "$1" >/run/held/at'
KILL = "while [ ! -f /run/held/pids ]; do sleep 0.05; done; kill -9 $(cat /run/held/pids)"


@pytest.fixture(scope="module")
def allowed(foreign: Foreign) -> Iterator[Foreign]:
    """The machines, whose user sudo lets do everything."""
    with foreign.sudoers(EVERYTHING):
        yield foreign


@pytest.fixture(scope="module")
def guests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("guests") / "guests.yml"
    file.write_text(GUESTS)
    return file


@pytest.fixture
def down_after(here: Checkout, allowed: Foreign) -> Iterator[None]:
    """Leave nothing applied, whatever became of the test."""
    yield
    done = verb(here, allowed, "down")
    assert done.code == 0, str(done)


def verb(here: Checkout, machines: Foreign, name: str, *words: str) -> Done:
    command = (name, *words, "-i", str(machines.inventory))
    return here.underlay(*command, deadline=CHECK_DEADLINE)


def listed(machines: Foreign) -> dict[str, list[str]]:
    """Return all that the machines have on them, with their files' digests, by lines."""
    found = machines.listing()
    return {
        name: [*text.splitlines(), *machines.root(name, DIGESTS).splitlines()]
        for name, text in found.items()
    }


def document(done: Done, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = done.document()
    assert not documents.problems(kind, found)
    return found


def changes(done: Done) -> dict[str, list[str]]:
    return {one["name"]: one["changes"] for one in done.document()["machines"]}


def test_a_lab_is_applied_measured_and_undone_exactly(
    here: Checkout, allowed: Foreign, guests: Path, down_after: None
) -> None:
    """Beside it lies what is the user's own, in the same folders, made meanwhile: it stays."""
    rights = document(verb(here, allowed, "hosts", "--json"), "hosts")["machines"]
    assert {(one["tier"], one["probe"]) for one in rights} == {("lab", "not there")}
    before = listed(allowed)
    done = verb(here, allowed, "up", str(guests), "--provider", "hosts", "--json")
    assert done.code == 0, str(done)
    assert document(done, "up")["dry_run"] is False
    assert {len(one) for one in changes(done).values()} == {10}
    measured = verb(here, allowed, "check", str(guests), "--sudo", "--json")
    assert measured.code == 0, str(measured)
    summary = measured.document()["summary"]
    assert summary["cells"] == summary["as_expected"] == 378
    state = verb(here, allowed, "status", "--json")
    assert state.code == 0, str(state)
    for one in document(state, "status")["machines"]:
        assert (one["lab"], one["by"], one["told"], one["lost"]) == ("guests", USER, None, [])
        assert len(one["containers"]) == 3

    own = "/etc/rkt/net.d/90-own.conf"
    first = allowed.names[0]
    allowed.root(first, f"echo own >{own}; ip route add 20.1.9.0/24 dev eth1")
    try:
        gone = verb(here, allowed, "down", "--json")
        assert gone.code == 0, str(gone)
        assert {len(one["undone"]) for one in document(gone, "down")["machines"]} == {10}
        assert allowed.root(first, f"cat {own}; ip route show 20.1.9.0/24").split()[0] == "own"
    finally:
        allowed.root(first, f"rm -f {own}; ip route del 20.1.9.0/24 dev eth1")
    assert listed(allowed) == before


@pytest.mark.all
def test_a_dry_run_lists_what_up_would_change_and_changes_nothing(
    here: Checkout, allowed: Foreign, guests: Path, down_after: None
) -> None:
    before = listed(allowed)
    dry = verb(here, allowed, "up", str(guests), "--dry-run", "--json")
    assert dry.code == 0, str(dry)
    planned = document(dry, "up")
    assert planned["dry_run"] is True
    assert [one["conflicts"] for one in planned["machines"]] == [[], [], []]
    assert listed(allowed) == before
    state = verb(here, allowed, "status", "--json")
    assert {one["lab"] for one in document(state, "status")["machines"]} == {None}
    assert changes(verb(here, allowed, "up", str(guests), "--json")) == changes(dry)


@pytest.mark.all
def test_a_second_up_changes_nothing_and_converge_what_differs(
    here: Checkout, allowed: Foreign, guests: Path, tmp_path: Path, down_after: None
) -> None:
    before = listed(allowed)
    assert verb(here, allowed, "up", str(guests)).code == 0
    again = verb(here, allowed, "up", str(guests), "--json")
    assert (again.code, changes(again)) == (0, {key: [] for key in allowed.names})
    # Somebody takes a container's interface away: it is missing, and made anew.
    name = allowed.names[1]
    allowed.root(name, "ip -n guestnet-2a link delete eth0")
    state = verb(here, allowed, "status", "--json").document()["machines"]
    lost = {one["name"]: one["lost"] for one in state}
    assert lost == {**{key: [] for key in allowed.names}, name: ["container guestnet-2a"]}
    mended = verb(here, allowed, "converge", str(guests), "--json")
    assert mended.code == 0, str(mended)
    assert [words.partition(":")[0] for words in changes(mended)[name]] == [
        "container guestnet-2a",
        "container guestnet-2a",
    ]
    # The lab file changes: what sits on a VLAN goes, and nothing else.
    other = tmp_path / "guests.yml"
    other.write_text(GUESTS.replace("vlan: 70", "vlan: 71"))
    tried = verb(here, allowed, "converge", str(other), "--check", "--json")
    changed = verb(here, allowed, "converge", str(other), "--json")
    assert (changed.code, changes(changed)) == (0, changes(tried))
    assert not any("visitnet" in words for each in changes(changed).values() for words in each)
    assert verb(here, allowed, "check", str(other), "--sudo").code == 0
    assert verb(here, allowed, "down", "--lab", "another").code == 3
    assert verb(here, allowed, "down", "--lab", "guests").code == 0
    assert listed(allowed) == before


# As every one begins in a lab of this name.
MACS = macs_apart("guests")
SETTLED = 10.0  # s until what a test has set right is as before
CONFLICTS = {
    "an address on the wire": (
        "ip -n ipnet-2a address add 30.1.2.65/24 dev eth0",
        "ip -n ipnet-2a address del 30.1.2.65/24 dev eth0",
        1,
        "core-01",
        "the address 30.1.2.65 of visitnet-1a is in use: ",
    ),
    "an address here": (
        "ip -n lannet-1a address add 20.1.2.65/24 dev eth0",
        "ip -n lannet-1a address del 20.1.2.65/24 dev eth0",
        0,
        "core-01",
        "the address 20.1.2.65 of guestnet-1a is in use here: eth0 in lannet-1a has it",
    ),
    "a MAC address on the wire": (
        f"ip link add link eth1 name own address {MACS}:10:01:00:01 type macvlan mode bridge;"
        " ip link set own up",
        "ip link delete own",
        1,
        "core-01",
        f"the MAC address {MACS}:10:01:00:01 of guestnet-1a is in use: ",
    ),
    "a file": (
        "echo own >/etc/rkt/net.d/10-guestnet.conf",
        "rm /etc/rkt/net.d/10-guestnet.conf",
        0,
        "core-01",
        "/etc/rkt/net.d/10-guestnet.conf is there, and isn't this lab's",
    ),
    "a CNI network's name": (
        'echo \'{"name": "tagged"}\' >/etc/rkt/net.d/90-own.conf',
        "rm /etc/rkt/net.d/90-own.conf",
        0,
        "core-01",
        "/etc/rkt/net.d/90-own.conf names a CNI network tagged as well",
    ),
    "a container's name": (
        "ip netns add guestnet-3a",
        "ip netns del guestnet-3a",
        2,
        "core-03",
        "the container name guestnet-3a is taken: /run/netns/guestnet-3a is there",
    ),
    "a VLAN by another name": (
        "ip link add link eth1 name own type vlan id 70",
        "ip link delete own",
        1,
        "core-02",
        "the interface own is there, and isn't this lab's",
    ),
    "a route": (
        "ip route add 30.1.2.0/24 dev eth1",
        "ip route del 30.1.2.0/24 dev eth1",
        1,
        "core-02",
        "a route to 30.1.2.0/24 by eth1 is there",
    ),
    "a missing parent": (
        "ip link set eth2 down; ip link set eth2 name own",
        "ip link set own name eth2; ip link set eth2 up; ip route replace 30.1.1.0/24 dev eth2",
        2,
        "core-03",
        "the parent eth2 is missing",
    ),
    "a parent that is down": (
        "ip link set eth2 down",
        "ip link set eth2 up; ip route replace 30.1.1.0/24 dev eth2",
        2,
        "core-03",
        "eth2 is down",
    ),
    "NetworkManager": (
        "mkdir -p /run/NetworkManager/devices; "
        "echo managed=true >/run/NetworkManager/devices/$(cat /sys/class/net/eth1/ifindex)",
        "rm -r /run/NetworkManager",
        0,
        "core-01",
        "NetworkManager owns eth1",
    ),
    "a missing plugin": (
        "mv /usr/lib/cni/macvlan /usr/lib/cni/own",
        "mv /usr/lib/cni/own /usr/lib/cni/macvlan",
        0,
        "core-01",
        "there is no CNI plugin macvlan in ",
    ),
}


@pytest.fixture(scope="module")
def untouched(allowed: Foreign) -> Iterator[None]:
    """See that after all tests that use it the machines are as they were."""
    before = listed(allowed)
    yield
    # An IPv6 address is tentative for a second once its link is up again.
    end = time.monotonic() + SETTLED
    while (now := listed(allowed)) != before and time.monotonic() < end:
        time.sleep(0.5)
    assert now == before


@pytest.mark.all
@pytest.mark.parametrize("case", CONFLICTS)
def test_what_is_in_the_way_is_named_and_nothing_is_done_anywhere(
    here: Checkout, allowed: Foreign, guests: Path, case: str, untouched: None
) -> None:
    begin, end, number, where, words = CONFLICTS[case]
    allowed.root(allowed.names[number], begin)
    try:
        done = verb(here, allowed, "up", str(guests), "--json")
    finally:
        allowed.root(allowed.names[number], end)
    assert done.code == 3, str(done)
    found = {one["name"]: [c["found"] for c in one["conflicts"]]
             for one in done.document()["machines"]}  # fmt: skip
    assert [each for each in found[where] if each.startswith(words)], found
    assert all(c["cure"] for one in done.document()["machines"] for c in one["conflicts"])
    assert f"{where}: in the way: {words}" in done.err


@contextmanager
def held(machines: Foreign, name: str, at: str) -> Iterator[None]:
    """Hold the first command of ip's on a machine that has ``at`` among its words."""
    machines.root(name, HOLD, at)
    try:
        yield
    finally:
        machines.root(name, "rm -rf /run/held")


@pytest.fixture
def holding(allowed: Foreign) -> Iterator[Foreign]:
    """The machines, with a program before ip that can hold it: none of them boots with that."""
    allowed.install("/usr/local/sbin/ip", HOLDING)
    try:
        yield allowed
    finally:
        for name in allowed.names:
            allowed.root(name, "rm -f /usr/local/sbin/ip")


@pytest.mark.all
@pytest.mark.parametrize("following", ["up", "down"])
@pytest.mark.parametrize(
    "at",
    ["type vlan id 70", "route add", "link set lo up", "address add 30.1.2", "route delete"],
)
def test_what_a_killed_machine_s_side_has_left_is_repaired_by_the_next_command(
    here: Checkout,
    holding: Foreign,
    guests: Path,
    at: str,
    following: str,
    down_after: None,
    started: list[subprocess.Popen[str]],
) -> None:
    """Both are killed: the program on the machine at a known point, and the command itself."""
    undoing = at == "route delete"
    name = holding.names[1]
    before = listed(holding)
    command = ("up", str(guests)) if not undoing else ("down",)
    if undoing:
        assert verb(here, holding, "up", str(guests)).code == 0
    with held(holding, name, at):
        started.append(here.start(*command, "-i", str(holding.inventory)))
        holding.root(name, "while [ ! -f /run/held/pids ]; do sleep 0.05; done")
        started[-1].kill()
        holding.root(name, KILL)
    state = verb(here, holding, "status", "--json").document()["machines"]
    told = {one["name"]: one["told"] for one in state}
    assert "cut short" in (told[name] or ""), state
    if following == "up":
        done = verb(here, holding, "up", str(guests), "--json")
        assert done.code == 0, str(done)
        repaired = {one["name"]: one["repaired"] for one in done.document()["machines"]}
        assert "cut short" in repaired[name]
        assert verb(here, holding, "check", str(guests), "--sudo").code == 0
    done = verb(here, holding, "down", "--json")
    assert done.code == 0, str(done)
    assert [one["left"] for one in done.document()["machines"]] == [[], [], []]
    assert listed(holding) == before


# What a machine's sshd holds while `up` is at it: what is done there by then, by its word.
PHASES = {"look": "looking at", "ask": "asking whether", "apply": "applying"}


@pytest.mark.all
@pytest.mark.parametrize("phase", PHASES)
def test_a_command_that_is_killed_in_any_phase_is_undone_by_down(
    here: Checkout,
    allowed: Foreign,
    guests: Path,
    phase: str,
    down_after: None,
    started: list[subprocess.Popen[str]],
) -> None:
    """It alone is killed, with its ssh: what it has started there ends by itself, or is done."""
    before = listed(allowed)
    words = ("up", str(guests), "-i", str(allowed.inventory))
    started.append(here.start(*words, stderr=subprocess.PIPE))
    said = started[-1].stderr
    assert said is not None
    for line in said:
        if PHASES[phase] in line:
            break
    else:
        pytest.fail(f"`up` never said {PHASES[phase]!r}")
    os.killpg(started[-1].pid, signal.SIGKILL)
    started[-1].wait(timeout=10)
    done = verb(here, allowed, "down", "--json")
    assert done.code == 0, str(done)
    assert [one["left"] for one in done.document()["machines"]] == [[], [], []]
    assert listed(allowed) == before


@pytest.mark.all
def test_what_is_somebody_else_s_by_now_is_left_and_said(
    here: Checkout, allowed: Foreign, guests: Path
) -> None:
    """A file of the lab's was changed, and a namespace of its name is another one."""
    name = allowed.names[0]
    file, space = "/etc/rkt/net.d/10-guestnet.conf", "guestnet-1a"
    assert verb(here, allowed, "up", str(guests)).code == 0
    allowed.root(name, f"echo own >{file}; ip netns del {space}; ip netns add {space}")
    try:
        done = verb(here, allowed, "down", "--json")
        assert done.code == 0, str(done)
        assert done.document()["machines"][0]["left"] == [
            f"container {space}: left, as the namespace is another one by now",
            f"{file}: left, as it was changed since",
        ]
        assert allowed.root(name, f"cat {file}; ls /run/netns").split()[0] == "own"
        assert space in allowed.root(name, "ls /run/netns").split()
    finally:
        allowed.root(name, f"rm -f {file}; ip netns del {space}")


@pytest.mark.all
def test_whom_sudo_refuses_changes_nothing(here: Checkout, foreign: Foreign, guests: Path) -> None:
    # The module's own rights are put aside for the while.
    for name in foreign.names:
        foreign.root(name, "mv /etc/sudoers.d/visitor /root/aside 2>/dev/null || :")
    try:
        done = verb(here, foreign, "up", str(guests), "--json")
    finally:
        for name in foreign.names:
            foreign.root(name, "mv /root/aside /etc/sudoers.d/visitor 2>/dev/null || :")
    assert done.code == 3, str(done)
    assert "sudo" in json.dumps(done.document()), str(done)


@pytest.mark.all
def test_a_machine_that_reboots_in_between_is_repaired_by_the_next_command(
    here: Checkout, allowed: Foreign, guests: Path, down_after: None
) -> None:
    """Its journal is on its disk; links, namespaces and routes are gone with its kernel."""
    assert verb(here, allowed, "up", str(guests)).code == 0
    name = allowed.names[1]
    allowed.reboot(name)
    state = verb(here, allowed, "status", "--json").document()["machines"]
    lost = {one["name"]: one["lost"] for one in state}
    assert lost[name], state
    assert not lost[allowed.names[0]], state
    done = verb(here, allowed, "up", str(guests), "--json")
    assert done.code == 0, str(done)
    assert changes(done)[name]
    measured = verb(here, allowed, "check", str(guests), "--sudo", "--json")
    assert measured.code == 0, str(measured)
    gone = verb(here, allowed, "down", "--json")
    assert gone.code == 0, str(gone)
    assert [one["left"] for one in gone.document()["machines"]] == [[], [], []]
    state = verb(here, allowed, "status", "--json").document()["machines"]
    assert {one["lab"] for one in state} == {None}
    kept = "ip -br link; ip netns; ip route show table all proto 117; ls /var/lib/cni/networks"
    assert "guestnet" not in allowed.root(name, f"{kept} 2>/dev/null || :")
