"""Packet filters and closed ports, predicted for labs of a few lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from underlay.expect import Expectation, Prediction
from underlay.lint import load

Predict = Callable[..., dict[tuple[str, str, str], Expectation]]

HEAD = """\
name: made
nodes: 2
segments:
  lan: {subnet: 192.168.70.0/24}
networks:
"""
MAC = "driver: macvlan, segment: lan, subnet: 10.1.0.0/24"
L3 = "driver: ipvlan, mode: l3, routed: true, segment: lan, subnet: 10.3.0.0/24"
L3S = L3.replace("mode: l3,", "mode: l3s,")
BRIDGE = "driver: bridge, segment: lan, subnet: 10.5.0.0/24, runtime: iproute2"
VXLAN = "driver: vxlan, vni: 7, segment: lan, subnet: 10.6.0.0/24, runtime: iproute2"


@pytest.fixture
def predict(tmp_path: Path) -> Predict:
    """Return the cells of a lab with a network a on both nodes, two containers on each."""

    def predicted(
        network: str,
        *filters: str,
        protocols: str = "icmp, tcp, udp",
        listens: str = "",
        more: str = "",
    ) -> dict[tuple[str, str, str], Expectation]:
        group = f"networks: [a], count: 2{f', listens: [{listens}]' if listens else ''}"
        lines = [f"  a: {{{network}}}", "containers:", f"  - {{{group}}}", more]
        lines += ["filters:", *(f"  - {{{text}}}" for text in filters)] if filters else []
        path = tmp_path / "made.yml"
        path.write_text(HEAD + "\n".join([*lines, f"protocols: [{protocols}]"]) + "\n")
        cells = Prediction(load(path).plan).reach
        return {(c.source, c.destination, c.protocol): c for c in cells}

    return predicted


def rules(cells: dict[tuple[str, str, str], Expectation], *names: str) -> list[tuple[str, str]]:
    """Return rule and stop of the cells ``source destination protocol``."""
    found = (cells[tuple(name.split())] for name in names)  # type: ignore[index]
    return [(cell.rule, cell.stop) for cell in found]


def test_a_filter_needs_only_one_of_both_ways(predict: Predict) -> None:
    cells = predict(MAC, "on: a-1a, protocol: udp, action: drop")
    asked, asks = cells["a-2a", "a-1a", "udp"], cells["a-1a", "a-2a", "udp"]
    assert (asked.rule, asked.stop) == ("filter-in", "no_answer")
    assert (asks.rule, asks.stop) == ("filter-in-answer", "no_answer")
    assert "filters[0], line 11 (drop in udp), at a-1a" in asked.because
    assert cells["a-2a", "a-1a", "tcp"].reachable


def test_the_first_rule_that_matches_decides(predict: Predict) -> None:
    drop = "on: a-1a, protocol: tcp, action: drop"
    accept = "on: a-1a, protocol: tcp, from: a-2a, action: accept"
    first, second = predict(MAC, accept, drop), predict(MAC, drop, accept)
    assert first["a-2a", "a-1a", "tcp"].reachable
    assert not first["a-2b", "a-1a", "tcp"].reachable
    assert not second["a-2a", "a-1a", "tcp"].reachable


def test_a_list_without_state_takes_answers_too(predict: Predict) -> None:
    cells = predict(MAC, "on: a-1a, action: drop")
    assert not cells["a-1a", "a-2a", "icmp"].reachable
    known = predict(MAC, "on: a-1a, state: established, action: accept", "on: a-1a, action: drop")
    assert known["a-1a", "a-2a", "icmp"].reachable
    assert known["a-1a", "a-2a", "tcp"].reachable
    assert not known["a-2a", "a-1a", "icmp"].reachable


def test_a_connection_is_more_than_its_first_packet(predict: Predict) -> None:
    new = "on: a-1a, state: new, protocol: tcp, action: accept"
    cells = predict(MAC, new, "on: a-1a, protocol: tcp, action: drop")
    assert rules(cells, "a-2a a-1a tcp") == [("filter-in", "no_answer")]
    assert cells["a-2a", "a-1a", "tcp"].arrives
    # The twin: of what is taken at once nothing arrives.
    cells = predict(MAC, "on: a-1a, protocol: tcp, action: drop")
    assert not cells["a-2a", "a-1a", "tcp"].arrives


def test_refused_is_not_unanswered(predict: Predict) -> None:
    reject = "on: a-1a, protocol: udp, action: reject"
    deaf = "on: a-2b, action: drop, direction: in"
    cells = predict(MAC, reject, deaf)
    assert rules(cells, "a-2a a-1a udp", "a-2b a-1a udp") == [
        ("filter-rejects", "refused"),
        ("filter-in-answer", "no_answer"),
    ]


def test_a_port_is_refused_where_nobody_listens(predict: Predict) -> None:
    ports = 'icmp, "tcp:5432", "udp:53"'
    cells = predict(MAC, protocols=ports, listens='"tcp:5432"')
    assert cells["a-1a", "a-2a", "tcp:5432"].reachable
    assert rules(cells, "a-1a a-2a udp:53", "a-1a core-02 tcp:5432") == [
        ("nobody-listens", "refused"),
        ("nobody-listens", "refused"),
    ]
    assert cells["a-1a", "core-01", "tcp:5432"].stop == "no_neighbour"


def test_a_port_is_the_one_asked_for(predict: Predict) -> None:
    ports = 'tcp, "tcp:5432"'
    drop = "on: a-1a, protocol: tcp, port: 5432, action: drop"
    cells = predict(MAC, drop, protocols=ports, listens='"tcp:5432"')
    assert cells["a-2a", "a-1a", "tcp"].reachable
    assert rules(cells, "a-2a a-1a tcp:5432") == [("filter-in", "no_answer")]
    # Its own question's answers go to another port.
    assert cells["a-1a", "a-2a", "tcp:5432"].reachable


@pytest.mark.parametrize(
    ("network", "direction", "across", "answer", "siblings"),
    [
        (MAC, "in", "", "", ""),
        (MAC, "out", "", "", ""),
        (MAC, "forward", "", "", ""),
        (L3, "in", "", "", ""),
        (L3, "out", "filter-l3-out-answer", "filter-l3-out", ""),
        (L3S, "in", "filter-l3s-in", "filter-l3s-in-answer", ""),
        (L3S, "out", "filter-l3-out-answer", "filter-l3-out", ""),
        (BRIDGE, "forward", "", "", ""),
        (BRIDGE, "forward, bridged: true", "filter-bridged", "filter-bridged", "filter-bridged"),
        (VXLAN, "in", "filter-tunnel", "filter-tunnel-answer", ""),
    ],
)
def test_which_packets_a_node_s_filter_sees(
    predict: Predict, network: str, direction: str, across: str, answer: str, siblings: str
) -> None:
    cells = predict(network, f"on: core-01, direction: {direction}, protocol: udp, action: drop")
    for names, rule in (
        ("a-2a a-1a udp", across),
        ("a-1a a-2a udp", answer),
        ("a-1a a-1b udp", siblings),
    ):
        cell = cells[tuple(names.split())]  # type: ignore[index]
        assert (cell.rule if not cell.reachable else "") == rule, names
    # A VXLAN is UDP, whatever travels in it.
    assert cells["a-2a", "a-1a", "icmp"].reachable is (network != VXLAN)


def test_an_l3s_child_s_own_filter_sees_its_siblings_alone(predict: Predict) -> None:
    cells = predict(L3S, "on: a-1a, protocol: icmp, action: drop")
    assert cells["a-2a", "a-1a", "icmp"].reachable
    assert rules(cells, "a-1b a-1a icmp") == [("filter-in", "no_answer")]


def test_containers_of_one_kind_differ_by_their_filters(predict: Predict) -> None:
    cells = predict(MAC, "on: a, protocol: tcp, from: a-2b, action: drop")
    assert cells["a-2a", "a-1a", "tcp"].reachable
    assert not cells["a-2b", "a-1a", "tcp"].reachable
