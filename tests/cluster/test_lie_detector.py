"""Check can fail: each fault makes exactly the cells differ that it must, and no other.

Which those are is written out here from ``status`` alone, without the prediction.
After each fault its cure is run. What that didn't heal, the next test would see among the cells
that differ for it, since it compares them all; after the last one check must be green again.
"""

from __future__ import annotations

import pytest

from cluster.running import Cast, Lab

on_coreos = pytest.mark.parametrize("lab", ["coreos"], indirect=True)
on_docker_vlan = pytest.mark.parametrize("lab", ["docker-vlan"], indirect=True)

# networkd takes a downed link's addresses away and gives them back once it is up again.
LINK_UP = """
ip link set "$1" up
tries=0
until ip route show 20.1.1.0/24 | grep -q "dev $1" && ip -4 address show "$1" | grep -q inet; do
    tries=$((tries + 1)); test $tries -lt 100 || { networkctl status "$1" >&2; exit 1; }
    sleep 0.1
done
"""
DROP = 'tc qdisc add dev "$1" clsact && tc filter add dev "$1" "$2" matchall action drop'
NO_DROP = 'tc qdisc delete dev "$1" clsact'

NODE_RULES = """
for chain in INPUT FORWARD; do
    iptables "$1" $chain --source 20.1.1.0/24 --jump DROP
    iptables "$1" $chain --destination 20.1.1.0/24 --jump DROP
done
"""

# Run in a Docker container, whose tools are its node's: gives it a new eth0 on a VLAN of
# the node, which is made where it isn't there. The child is born in the shell's namespace.
MOVE_TO_VLAN = """
on_node="nsenter --target 1 --net --"
parent="eth1.$1" mac="$2" address="$3"
if ! $on_node ip link show "$parent" >/dev/null 2>&1; then
    $on_node ip link add link eth1 name "$parent" type vlan id "$1"
    $on_node ip link set "$parent" up
fi
ip link delete eth0
$on_node ip link add link "$parent" name moved address "$mac" netns $$ type macvlan mode bridge
ip link set moved name eth0
ip address add "$address/24" dev eth0
ip link set eth0 up
ip route add default dev eth0
"""
REMOVE_VLAN = 'nsenter --target 1 --net -- ip link delete "eth1.$1"'


@pytest.fixture(scope="module")
def cast(lab: Lab) -> Cast:
    """Return who is in the lab, asked once: `status` costs three full nodes as much as `check`."""
    return Cast(lab.status())


@on_coreos
def test_nothing_differs_at_first(lab: Lab, cast: Cast) -> None:
    matrix = lab.check()
    matrix.prove_green()
    reached = {name for name, cell in matrix.cells.items() if cell["observed"] == "reachable"}
    assert reached == cast.healthy("lannet") | cast.healthy("ipnet")


@on_coreos
def test_a_parent_that_is_down(lab: Lab, cast: Cast) -> None:
    """Siblings on that node lose each other too: macvlan sends nothing over a downed parent."""
    expected = {
        (source, destination, protocol)
        for source, destination, protocol in cast.healthy("lannet")
        if "core-02" in (cast.host(source), cast.host(destination))
    }
    down = 'ip link set "$1" down'
    with lab.broken("core-02", down, LINK_UP, "eth1", prove_cured=False) as matrix:
        assert matrix.differing == expected
        assert matrix.done.code == 1


# The tutorial breaks a lab so every day.
@pytest.mark.all
@on_coreos
@pytest.mark.parametrize(
    ("container", "network"),
    [("lannet-2a", "lannet"), ("ipnet-1b", "ipnet")],
)
def test_a_container_that_drops_what_comes_in(
    lab: Lab, cast: Cast, container: str, network: str
) -> None:
    """It can't ask either: the answers to its own requests come in the same way."""
    expected = {cell for cell in cast.healthy(network) if container in cell[:2]}
    drop = "iptables --append INPUT --jump DROP"
    cure = drop.replace("--append", "--delete")
    with lab.broken(container, drop, cure, prove_cured=False) as matrix:
        assert matrix.differing == expected
        assert matrix.done.code == 1
        assert {matrix.cells[cell]["stopped_at"] for cell in expected} == {"no_answer"}


# A parent that is down costs a whole node's cells so every day.
@pytest.mark.all
@on_coreos
@pytest.mark.parametrize(
    ("parent", "network", "direction", "siblings_too"),
    [
        # A macvlan sibling's frames come in again through the parent; an ipvlan one's never do.
        ("eth1", "lannet", "ingress", True),
        ("eth1", "lannet", "egress", False),
        ("eth2", "ipnet", "ingress", False),
        ("eth2", "ipnet", "egress", False),
    ],
)
def test_a_parent_that_drops_frames(
    lab: Lab, cast: Cast, parent: str, network: str, direction: str, siblings_too: bool
) -> None:
    expected = {
        (source, destination, protocol)
        for source, destination, protocol in cast.healthy(network)
        if "core-01" in (cast.host(source), cast.host(destination))
        and (siblings_too or cast.host(source) != cast.host(destination))
    }
    with lab.broken("core-01", DROP, NO_DROP, parent, direction, prove_cured=False) as matrix:
        assert matrix.differing == expected
        assert matrix.done.code == 1


@on_docker_vlan
def test_a_container_on_the_wrong_vlan(lab: Lab, cast: Cast) -> None:
    row = cast.containers["mac70-2a"]
    expected = {cell for cell in cast.healthy("mac70") if "mac70-2a" in cell[:2]}
    identity = (row["mac"], row["address"])
    cure = f'set -- 70 "$2" "$3"\n{MOVE_TO_VLAN}\n{REMOVE_VLAN.replace("$1", "71")}'
    with lab.broken("mac70-2a", MOVE_TO_VLAN, cure, "71", *identity) as matrix:
        assert matrix.differing == expected
        assert matrix.done.code == 1


@on_coreos
def test_an_address_that_two_containers_have(lab: Lab, cast: Cast) -> None:
    owners = {"lannet-1a", "lannet-3b"}
    address = cast.containers["lannet-1a"]["address"]
    fault = 'ip address add "$1/24" dev eth0'
    cure = 'ip address delete "$1/24" dev eth0'
    with lab.broken("lannet-3b", fault, cure, address, prove_cured=False) as matrix:
        assert matrix.differing
        assert all("lannet-1a" in cell[:2] for cell in matrix.differing), matrix.differing
        assert matrix.done.code == 1
        named = {
            (cell[1], matrix.cells[cell]["answered_by"])
            for cell in matrix.differing
            if matrix.cells[cell]["answered_by"]
        }
        assert named == {("lannet-1a", "lannet-3b")}
        told = lab.verb("check")
        assert told.code == 1, str(told)
        assert "answered by lannet-3b" in told.out, str(told)
        assert f"{address} has 2 owners: {', '.join(sorted(owners))}" in told.out, str(told)


@on_coreos
def test_a_rule_of_the_node_that_macvlan_never_sees(lab: Lab, cast: Cast) -> None:
    """No cell between containers changes; the node's own cells do, so the rule is in force.

    The last one: it looks whether all is healed.
    """
    expected = {cell for cell in cast.healthy("lannet") if "core-01" in cell[:2]}
    fault, cure = (f"set -- {word}\n{NODE_RULES}" for word in ("--insert", "--delete"))
    with lab.broken("core-01", fault, cure) as matrix:
        assert matrix.differing == expected
