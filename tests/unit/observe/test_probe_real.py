"""The real probe over real macvlan children, in namespaces on this machine's kernel.

Nodes are network namespaces on a bridge here, so ipvlan and 802.1q wait for the
cluster tests; everything else about measuring is what it is on a node.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from underlay.expect import ends, predict
from underlay.expect.expectation import existing
from underlay.lab import Lab
from underlay.observe import Observation, Seen, observation_from_json
from underlay.observe.observation import STRANGER
from underlay.plan import Plan, make_plan
from underlay.verdict import NEVER_LEFT, NEVER_SENT, Cell, judge

SANDBOX = Path(__file__).with_name("probe_sandbox.py")
SOURCE = Path(__file__).resolve().parents[3] / "src"
UNSHARE = ["unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork"]
PROTOCOLS = ("icmp", "tcp", "udp")


def plan_of(mode: str = "bridge", count: int = 2, nodes: int = 3, **more: object) -> Plan:
    network = {"driver": "macvlan", "mode": mode, "segment": "lan", "subnet": "20.1.1.0/24"}
    lab = {
        "name": "real",
        "nodes": nodes,
        "segments": {"lan": {"subnet": "192.168.70.0/24"}},
        "networks": {"net": network | more},
        "containers": [{"count": count, "networks": ["net"]}],
    }
    return make_plan(Lab.model_validate(lab))


def run(plan: Plan, folder: Path, *commands: str) -> Observation:
    file = folder / "plan.json"
    file.write_text(plan.to_json())
    done = subprocess.run(
        [*UNSHARE, "--kill-child", sys.executable, str(SANDBOX), str(file), *commands],
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    return observation_from_json(done.stdout)


def cells(seen: Observation, source: str, destination: str) -> list[Seen]:
    found = [c for c in seen.cells if (c.source, c.destination) == (source, destination)]
    assert tuple(cell.protocol for cell in found) == PROTOCOLS
    return found


def differing(plan: Plan, seen: Observation) -> list[Seen]:
    return [
        cell
        for cell, expected in zip(seen.cells, predict(plan), strict=True)
        if (cell.observed == "reachable") != expected.reachable
    ]


@pytest.mark.parametrize("killed", ["", " core-02"])
def test_probes_that_were_started_before_see_what_is_there_now(killed: str, tmp_path: Path) -> None:
    """The address goes after they have started; where one has ended, others are started."""
    plan = plan_of(count=1)
    (address,) = (c.attachments[0].address for c in plan.containers if c.name == "net-2a")
    gone = f"-n net-2a address delete {address} dev eth0"
    seen = run(plan, tmp_path, f"ahead{killed}", gone)
    assert not seen.failed
    assert {"net-2a"} == set.intersection(
        *({cell.source, cell.destination} & {"net-2a"} for cell in differing(plan, seen))
    )
    assert not differing(plan, run(plan, tmp_path, f"ahead{killed}"))


def test_what_is_asked_again_is_a_flow_of_its_own(tmp_path: Path) -> None:
    """An end that drops what is established answers each request, and hears no answer itself."""
    plan = plan_of(count=1)
    seen = run(plan, tmp_path, "established net-2a", "together")
    differ = [cell for cell in differing(plan, seen) if cell.protocol != "tcp"]
    assert {(cell.source, cell.stopped_at) for cell in differ} == {("net-2a", "no_answer")}


@pytest.mark.parametrize("mute", [True, False])
def test_what_a_filter_takes_was_never_sent_though_its_next_hop_is_asked_for(
    mute: bool, tmp_path: Path
) -> None:
    """Its other packets have the kernel ask for an end that answers no ARP."""
    plan = plan_of(count=1, nodes=2)
    interface = plan.containers[1].attachments[0].interface
    deaf = f"-n net-2a link set {interface} arp off"
    seen = run(plan, tmp_path, "together", deaf, *(["mute net-1a"] if mute else []))
    stops = {cell.protocol: cell.stopped_at for cell in cells(seen, "net-1a", "net-2a")}
    tcp = "not_sent" if mute else "no_neighbour"
    assert stops == {"icmp": "no_neighbour", "tcp": tcp, "udp": "no_neighbour"}


@pytest.mark.parametrize(("times", "helped"), [(2, False), (50, True)])
def test_an_end_that_is_overheard_is_not_found(times: int, helped: bool, tmp_path: Path) -> None:
    """It answers no ARP. Whoever looks for it takes what it asks somebody else for an answer.

    So it is in the phase in which all ask together, and once more as each asks by itself.
    """
    plan = plan_of(count=1, nodes=2)
    seen = run(plan, tmp_path, "together", f"tells net-2a {times}")
    to = {cell.protocol: cell for cell in cells(seen, "net-1a", "net-2a")}
    assert {cell.observed for cell in to.values()} == {"reachable" if helped else "unreachable"}
    assert helped or {cell.stopped_at for cell in to.values()} == {"no_neighbour"}
    assert {cell.observed for cell in cells(seen, "net-2a", "net-1a")} == {"reachable"}


@pytest.mark.parametrize("mode", ["bridge", "private", "vepa", "passthru"])
def test_the_kernel_does_what_the_macvlan_table_says(mode: str, tmp_path: Path) -> None:
    plan = plan_of(mode, count=1 if mode == "passthru" else 2)
    seen = run(plan, tmp_path)
    assert len(seen.cells) == len(predict(plan)) > 0
    for cell, expected in zip(seen.cells, predict(plan), strict=True):
        assert cell.observed == ("reachable" if expected.reachable else "unreachable"), cell
        assert cell.stopped_at in (expected.stop, *expected.also), (cell, expected)
        assert cell.arrived or not expected.reachable
    assert all(c.rtt_ms and c.rtt_ms > 0 for c in seen.cells if c.observed == "reachable")
    assert set(seen.timings) == {"start", "probe", "collect"}


@pytest.mark.parametrize(
    "more",
    [{"default_route": "none"}, {"default_route": "gateway", "gateway": "20.1.1.1"}],
    ids=["no default route", "a gateway that nobody has"],
)
def test_the_kernel_routes_as_predicted(more: dict[str, str], tmp_path: Path) -> None:
    plan = plan_of(count=1, nodes=2, **more)
    seen = run(plan, tmp_path)
    for cell, expected in zip(seen.cells, predict(plan), strict=True):
        assert cell.observed == ("reachable" if expected.reachable else "unreachable"), cell
        assert cell.stopped_at in (expected.stop, *expected.also), (cell, expected)


def test_a_machine_that_checks_sources_hides_from_whom_it_cannot_answer(tmp_path: Path) -> None:
    """What systemd sets on most machines; a lab's nodes are as the kernel boots, as above."""
    plan = plan_of(count=1, nodes=2, default_route="none")
    seen = run(plan, tmp_path, *(f"sysctl net-{n}a net.ipv4.conf.all.rp_filter" for n in (1, 2)))
    cold = predict(plan)
    silent = [number for number, one in enumerate(cold) if one.rule == "no-route-answer"]
    assert silent
    for number, (cell, one, other) in enumerate(zip(seen.cells, cold, existing(cold), strict=True)):
        assert cell.observed == ("reachable" if one.reachable else "unreachable"), cell
        assert cell.stopped_at in (other.stop, *other.also), (cell, other)
        assert (cell.stopped_at in (one.stop, *one.also)) is (number not in silent), (cell, one)


def test_containers_in_two_networks_do_as_predicted(tmp_path: Path) -> None:
    macvlan = {"driver": "macvlan"}
    lab = {
        "name": "both",
        "nodes": 2,
        "segments": {"lan": {"subnet": "192.168.70.0/24"}, "wan": {"subnet": "192.168.80.0/24"}},
        "networks": {
            "net": macvlan | {"segment": "lan", "subnet": "20.1.1.0/24"},
            "far": macvlan | {"segment": "wan", "subnet": "20.2.2.0/24", "mode": "private"},
            "tie": macvlan | {"segment": "wan", "subnet": "20.3.3.0/24", "default_route": "none"},
        },
        "containers": [{"networks": ["net", "far"]}, {"networks": ["net"]}, {"networks": ["tie"]}],
    }
    plan = make_plan(Lab.model_validate(lab))
    seen = run(plan, tmp_path)
    assert "net-1a@far" in {cell.source for cell in seen.cells}
    for cell, expected in zip(seen.cells, predict(plan), strict=True):
        assert cell.observed == ("reachable" if expected.reachable else "unreachable"), cell
        assert cell.stopped_at in (expected.stop, *expected.also), (cell, expected)


def test_faults_are_seen_where_they_are(tmp_path: Path) -> None:
    plan = plan_of()
    address = {end.name: end.address for end in ends(plan)}
    seen = run(
        plan,
        tmp_path,
        # Another namespace, which no probe enters, takes net-1b's address.
        "netns add stranger",
        "link add wire type veth peer name eth0 netns stranger",
        "link set wire master br-lan up",
        f"-n net-1b address del {address['net-1b']}/24 dev eth0",
        f"-n stranger address add {address['net-1b']}/24 dev eth0",
        "-n stranger link set eth0 up",
        # net-2a has no route left but the one to itself; net-2b answers nobody on node 3.
        "-n net-2a route flush table main",
        f"-n net-2b route add blackhole {address['net-3a']}",
        "-n net-3b link set eth0 down",
    )
    asker = "net-1a"
    icmp, tcp, udp = cells(seen, asker, "net-1b")
    assert (icmp.observed, icmp.answered_by, icmp.arrived) == ("unreachable", STRANGER, False)
    assert [tcp.stopped_at, udp.stopped_at] == ["refused", "refused"]
    for cell in cells(seen, "net-1b", asker):
        assert (cell.observed, cell.stopped_at) == ("unreachable", "no_route")
        assert address["net-1b"] in cell.reason
    for cell in cells(seen, "net-2a", asker) + cells(seen, "net-2b", "net-3a"):
        assert (cell.observed, cell.stopped_at) == ("unreachable", "no_route")
    for cell in cells(seen, "net-3a", "net-2b"):
        assert (cell.observed, cell.stopped_at) == ("unreachable", "no_answer")
        assert cell.arrived  # of TCP its SYN
        assert cell.attempts > 1
    for cell in cells(seen, asker, "net-3b"):
        assert (cell.observed, cell.stopped_at) == ("unreachable", "no_neighbour")
    for cell in cells(seen, asker, "net-2b") + cells(seen, "core-03", "net-1a"):
        assert (cell.observed, cell.lost) == ("reachable", 0)


def test_a_word_of_refusal_on_the_way_is_told_from_silence(tmp_path: Path) -> None:
    plan = plan_of(count=1, nodes=2)
    one, two = plan.containers
    address = two.attachments[0].address.partition("/")[0]
    seen = run(
        plan,
        tmp_path,
        # net-2a no longer takes its address as its own, and says so as a router would.
        f"-n net-2a route del local {address} table local",
        f"-n net-2a route add prohibit {address}",
        "sysctl net-2a net.ipv4.ip_forward",
        # By the ms. By the second, a route's limit and that of ICMP take from what one peer is
        # told, and the third request in a moment hears nothing: ip_error and icmpv4_xrlim_allow.
        "sysctl net-2a net.ipv4.icmp_ratelimit",
        f"-n net-1a neigh add {address} dev eth0 nud permanent lladdr {two.attachments[0].mac}",
    )
    for cell in cells(seen, one.name, two.name):
        assert (cell.observed, cell.stopped_at) == ("unreachable", "refused"), cell
        assert "code 13" in cell.reason


def test_more_is_refused_than_a_kernel_tells_one_peer(tmp_path: Path) -> None:
    # By IPv6, as IPv4 counts what a route refuses by a limit of the machine's own.
    plan = plan_of(count=6, nodes=2, subnet6="2001:db8:1::/64")
    address = {c.name: c.attachments[0].address6.partition("/")[0] for c in plan.containers}
    others = ["net-2b", "net-2c", "net-2d", "net-2e", "net-2f"]
    via = address["net-2a"]
    commands = [f"-n net-1a route add {address[other]} via {via} dev eth0" for other in others]
    commands += [f"-n net-2a route add prohibit {address[other]}" for other in others]
    seen = run(plan, tmp_path, "sysctl net-2a net.ipv6.conf.all.forwarding", *commands)
    refused = [
        cell
        for cell in seen.cells
        if (cell.source, cell.family) == ("net-1a", 6) and cell.destination in others
    ]
    assert len(refused) == 3 * len(others)
    for cell in refused:
        assert (cell.observed, cell.stopped_at) == ("unreachable", "refused"), cell


def test_of_two_owners_of_an_address_the_wrong_one_is_named(tmp_path: Path) -> None:
    plan = plan_of()
    meant, other = "net-1a", "net-2a"
    address = plan.container(meant).attachments[0].address
    seen = run(plan, tmp_path, f"-n {other} address add {address} dev eth0")
    assert {cell.answered_by for cell in cells(seen, other, meant)} == {other}
    bad = differing(plan, seen)
    assert bad
    assert all(meant in (cell.source, cell.destination) for cell in bad)
    assert {cell.answered_by for cell in seen.cells} == {"", other}


def serving(*ports: int) -> Plan:
    """Return a plan in which a program of the user's own listens at ``ports`` of ``web``."""
    lan = {"driver": "macvlan", "segment": "lan", "subnet": "20.1.1.0/24", "runtime": "iproute2"}
    web = {"on": "core-01", "name": "web", "networks": ["net"], "command": ["serve"]}
    lab = {
        "name": "real",
        "nodes": 2,
        "protocols": ["icmp", "tcp:80"],
        "segments": {"lan": {"subnet": "192.168.70.0/24"}},
        "networks": {"net": lan},
        "containers": [web | {"ports": list(ports)}, {"networks": ["net"]}],
    }
    return make_plan(Lab.model_validate(lab))


def test_a_program_of_its_own_answers_at_its_port(tmp_path: Path) -> None:
    plan = serving(80)
    seen = run(plan, tmp_path, "serve web 80")
    assert differing(plan, seen) == []
    taken = {c.source for c in seen.cells if c.protocol == "tcp:80" and c.observed == "reachable"}
    # Its own host's interface below it isn't one of them, and nobody else has the port.
    assert taken == {"net-1b", "net-2a", "core-02"}
    assert all(c.rtt_ms for c in seen.cells if c.observed == "reachable")


def test_nobody_takes_its_place_where_it_does_not_listen(tmp_path: Path) -> None:
    plan = serving(80)
    bad = differing(plan, run(plan, tmp_path))
    assert {(cell.source, cell.destination, cell.protocol, cell.stopped_at) for cell in bad} == {
        (source, "web", "tcp:80", "refused") for source in ("net-1b", "net-2a", "core-02")
    }


def test_a_program_that_nobody_told_of_is_a_finding(tmp_path: Path) -> None:
    plan = serving()
    bad = differing(plan, run(plan, tmp_path, "serve web 80"))
    assert {(cell.source, cell.destination, cell.observed, cell.answered_by) for cell in bad} == {
        (source, "web", "reachable", "") for source in ("net-1b", "net-2a", "core-02")
    }


def test_a_program_at_a_doubled_address_is_named_by_where_it_is(tmp_path: Path) -> None:
    plan = serving(80)
    address = plan.container("web").attachments[0].address
    seen = run(plan, tmp_path, f"-n net-2a address add {address} dev eth0", "serve net-2a 80")
    at_port = [c for c in seen.cells if c.destination == "web" and c.protocol == "tcp:80"]
    own = next(cell for cell in at_port if cell.source == "net-2a")
    assert (own.observed, own.answered_by) == ("unreachable", "net-2a")
    assert all(cell.observed == "unreachable" for cell in at_port)


def test_a_dead_parent_costs_its_own_node(tmp_path: Path) -> None:
    plan = plan_of(count=1)
    seen = run(plan, tmp_path, "-n core-02 link set eth1 down")
    lost = {"core-02", "net-2a"}
    expected = {(e.source, e.destination) for e in predict(plan) if e.reachable} & {
        (s, d) for s in seen_names(seen) for d in seen_names(seen) if lost & {s, d}
    }
    assert {(cell.source, cell.destination) for cell in differing(plan, seen)} == expected


def seen_names(seen: Observation) -> set[str]:
    return {cell.source for cell in seen.cells}


def test_what_is_gone_is_not_measured_and_the_rest_is(tmp_path: Path) -> None:
    plan = plan_of(count=1)
    seen = run(plan, tmp_path, "netns del net-1a", "silent core-03")
    gone = {"net-1a", "net-3a", "core-03"}
    for cell in seen.cells:
        touched = gone & {cell.source, cell.destination}
        assert (cell.observed == "not_measured") == bool(touched), cell
        assert bool(cell.reason) == bool(touched) or cell.observed == "unreachable"
    assert "out of order" in seen.failed["core-03"]
    assert "net-1a has no network namespace" in cells(seen, "net-1a", "net-2a")[0].reason


# A queue for no frame at all: whatever is to leave by it is discarded.
NO_ROOM = "qdisc add dev eth0 root pfifo limit 0"
REFUSE = "xfrm policy add src {} dst 0.0.0.0/0 dir out action block"
DEAF = ("deaf-1a", "deaf-1b", "deaf-2a", "deaf-2b", "deaf-3a", "deaf-3b")


@pytest.fixture(scope="module")
def deaf(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], list[Cell]]:
    """Return the judged cells of ends that hear nobody, by end and family: most of them broken.

    They reach nobody either way, so no cell that should be reached speaks for them. By plan they
    look in vain for each other, and have no route to anybody else.
    """
    network = {"mode": "source", "allow": [], "default_route": "none"}
    lan = {"driver": "macvlan", "segment": "lan", "runtime": "iproute2"}
    both = {"subnet": "20.2.2.0/24", "subnet6": "2001:db8:2::/64"}
    lab = {
        "name": "real",
        "nodes": 3,
        "segments": {"lan": {"subnet": "192.168.70.0/24", "subnet6": "2001:db8:70::/64"}},
        "networks": {"net": lan | {"subnet": "20.1.1.0/24"}, "deaf": lan | network | both},
        "containers": [{"count": 2, "networks": ["deaf"]}, {"on": "core-03", "networks": ["net"]}],
    }
    plan = make_plan(Lab.model_validate(lab))
    seen = run(
        plan,
        tmp_path_factory.mktemp("deaf"),
        "-n deaf-1a link set eth0 down",
        "-n deaf-1b link delete eth0",
        f"-n deaf-2a address del {plan.container('deaf-2a').attachments[0].address} dev eth0",
        f"tc -n deaf-2b {NO_ROOM}",
        f"-n deaf-3a {REFUSE.format('0.0.0.0/0')}",
        f"-n deaf-3b {REFUSE.format('192.0.2.0/24')}",
    )
    found = defaultdict(list)
    for cell in judge("real", "none", predict(plan), seen).cells:
        if cell.source in DEAF:
            found[cell.source, cell.family].append(cell)
            assert cell.expected == "unreachable"
            assert cell.expected_stop == planned_stop(cell)
    return found


def planned_stop(cell: Cell) -> str:
    return "no_neighbour" if cell.destination in DEAF else "no_route"


@pytest.mark.parametrize(
    ("end", "family", "stop", "reason"),
    [
        ("deaf-1a", 4, "no_route", "Network is unreachable"),
        ("deaf-1a", 6, "no_route", "its link is down or the address is gone"),
        ("deaf-1b", 4, "no_route", "its link is down or the address is gone"),
        ("deaf-1b", 6, "no_route", "its link is down or the address is gone"),
        ("deaf-2a", 4, "no_route", "its link is down or the address is gone"),
        ("deaf-3a", 4, "not_sent", "Operation not permitted"),
    ],
)
def test_where_a_deaf_end_can_send_nothing_its_kernels_word_differs(
    deaf: dict[tuple[str, int], list[Cell]], end: str, family: int, stop: str, reason: str
) -> None:
    """Another stop was planned. Where that very word was, it says nothing any more."""
    for cell in deaf[end, family]:
        if planned_stop(cell) == "no_neighbour":
            assert (cell.observed, cell.stopped_at, cell.elsewhere) == ("unreachable", stop, True)
            assert reason in cell.reason
        else:
            assert (cell.observed, cell.reason) == ("not_measured", NEVER_SENT), cell


@pytest.mark.parametrize("family", [4, 6])
def test_where_a_deaf_ends_frames_are_discarded_nothing_is_measured(
    deaf: dict[tuple[str, int], list[Cell]], family: int
) -> None:
    for cell in deaf["deaf-2b", family]:
        why = NEVER_LEFT if planned_stop(cell) == "no_neighbour" else NEVER_SENT
        assert (cell.observed, cell.reason) == ("not_measured", why), cell


@pytest.mark.parametrize(("end", "family"), [("deaf-3b", 4), ("deaf-3b", 6), ("deaf-2a", 6)])
def test_a_deaf_end_that_sends_is_green(
    deaf: dict[tuple[str, int], list[Cell]], end: str, family: int
) -> None:
    """One with a policy about others' addresses; and in IPv6 one that lacks its IPv4 address."""
    assert {cell.stopped_at for cell in deaf[end, family]} == {"no_neighbour", "no_route"}
    for cell in deaf[end, family]:
        assert cell.measured, cell
        assert not cell.differs, cell


@pytest.mark.all
def test_a_slow_kernels_word_of_no_neighbour_is_none_where_nobody_was_asked(tmp_path: Path) -> None:
    """Where silence is waited for longer, the kernel says before that it has found nobody.

    That it has asked, it doesn't say: net-1a hasn't. net-2a has, and is the twin.
    """
    plan = plan_of("source", count=1, nodes=2, allow=[], runtime="iproute2")
    seen = run(plan, tmp_path, "pace 2", f"tc -n net-1a {NO_ROOM}")
    found = judge("real", "none", predict(plan), seen).cells
    for cell in (cell for cell in found if cell.source == "net-1a"):
        assert (cell.observed, cell.reason) == ("not_measured", NEVER_LEFT), cell
    twin = [cell for cell in found if cell.source == "net-2a"]
    assert "from 20.1.1" in "".join(cell.reason for cell in twin)
    for cell in twin:
        assert (cell.observed, cell.stopped_at, cell.differs) == (
            "unreachable", "no_neighbour", False
        ), cell  # fmt: skip
