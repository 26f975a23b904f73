"""A lab's own filters that have gone: which of its chains, what of them, and what fills them."""

from __future__ import annotations

import json
import lzma
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from confusion import EVIDENCE, GREEN
from underlay.expect import Prediction
from underlay.faults import Finding, Scene, running_fault
from underlay.faults.evidence.own_filters import Chain, changed
from underlay.lint.read import read_lab
from underlay.observe.evidence import Evidence
from underlay.plan import make_plan
from underlay.report.pasted import pasted
from underlay.storage.paths import root

LAB = "filters"
Lines = list[str]
JUMP = "-A INPUT -j UNDERLAY-IN"


@cache
def healthy() -> str:
    with lzma.open(EVIDENCE / f"{LAB}.json.xz", "rt") as lines:
        return json.dumps(json.load(lines)["faults"][GREEN]["documents"])


@cache
def scene() -> Scene:
    return Scene(Prediction(make_plan(read_lab(root() / "labs" / f"{LAB}.yml"))))


def gone(space: str, change: Callable[[Lines], Lines]) -> list[Finding]:
    documents: dict[str, Any] = json.loads(healthy())
    there = next(d["spaces"][space] for d in documents.values() if space in d["spaces"])
    there["iptables"] = change(there["iptables"])
    return list(running_fault("filter-gone").find(scene(), Evidence(documents)))


def emptied(lines: Lines) -> Lines:
    return [line for line in lines if "-A UNDERLAY-" not in line]


def unhooked(lines: Lines) -> Lines:
    return [line for line in lines if JUMP not in line]


def added(rule: str) -> Callable[[Lines], Lines]:
    def change(lines: Lines) -> Lines:
        where = next(n for n, line in enumerate(lines) if "-A UNDERLAY-" in line)
        return [*lines[:where], f"[0:0] -A UNDERLAY-IN {rule}", *lines[where:]]

    return change


def backwards(lines: Lines) -> Lines:
    own = [line for line in lines if "-A UNDERLAY-" in line]
    return [own.pop() if "-A UNDERLAY-" in line else line for line in lines]


def cured(finding: Finding) -> list[str]:
    return [pasted(step, LAB).partition(" -- ")[2] for step in finding.steps]


def said(finding: Finding) -> str:
    return "\n".join(finding.proofs[0].lines)


FILL = "iptables-restore --wait --noflush /etc/underlay/filters/closed.v4"
HOOK = "iptables -w 5 -I INPUT -j UNDERLAY-IN"


def test_a_healthy_lab_lacks_nothing() -> None:
    assert not gone("closed", lambda lines: lines)
    # What discards there besides is a fault of its own.
    assert not gone("closed", added("-p icmp -j DROP"))


@pytest.mark.parametrize(
    ("change", "words", "cure"),
    [
        (emptied, "UNDERLAY-IN is empty: the lab has 6 rules in it", [FILL]),
        (unhooked, "nothing in INPUT jumps to UNDERLAY-IN", [HOOK]),
        (lambda _: [], "there is no chain UNDERLAY-IN", [FILL, HOOK]),
        (lambda lines: emptied(unhooked(lines)), "UNDERLAY-IN is empty", [FILL, HOOK]),
    ],
)
def test_what_is_missing_is_said_and_given_back(
    change: Callable[[Lines], Lines], words: str, cure: list[str]
) -> None:
    (finding,) = gone("closed", change)
    assert words in said(finding)
    assert ("nothing in INPUT jumps" in said(finding)) == (HOOK in cure)
    assert cured(finding) == cure
    assert finding.sureness == "proven"
    cells = finding.effect.certain
    assert not finding.effect.possible
    # With a listener they are reachable then, and refused without one.
    assert ("front-1a", "closed", "tcp:5432", 4) in cells
    assert ("front-1a", "closed", "udp:53", 4) in cells
    assert ("front-1a", "closed", "icmp", 4) not in cells


def test_a_rule_that_lacks_is_told_from_an_empty_chain() -> None:
    (finding,) = gone("closed", lambda lines: [x for x in lines if "filters[5]" not in x])
    assert "UNDERLAY-IN lacks 1 of 6 rules:\n-A UNDERLAY-IN -m comment" in said(finding)
    assert finding.effect == gone("closed", emptied)[0].effect
    (finding,) = gone("db", lambda lines: [x for x in lines if "filters[1]" not in x])
    assert {cell[2] for cell in finding.effect.certain} == {"tcp:5432"}


def test_a_rule_in_other_words_may_change_what_it_took() -> None:
    def spared(lines: Lines) -> Lines:
        words = ("-m comment", "! -p 17 -m comment")
        return [x.replace(*words) if "filters[5]" in x else x for x in lines]

    (finding,) = gone("closed", spared)
    assert "UNDERLAY-IN has what isn't the lab's:\n-A UNDERLAY-IN ! -p 17" in said(finding)
    assert cured(finding) == [FILL]
    assert finding.sureness == "likely"
    assert not finding.effect.certain
    assert ("front-1a", "closed", "udp:53", 4) in finding.effect.possible


def test_what_lets_pass_before_the_labs_rules_and_another_order_are_seen() -> None:
    (finding,) = gone("closed", added("-j ACCEPT"))
    assert ("front-1a", "closed", "udp:53", 4) in finding.effect.possible
    (finding,) = gone("db", backwards)
    assert "UNDERLAY-IN has its rules in another order" in said(finding)
    # Who was let in by the first rule meets the second one before it.
    assert finding.effect.certain == {("front-1a", "db", "tcp:5432", 4)}


def compared(asked: str, printed: str) -> list[Chain]:
    text = f"*filter\n:UNDERLAY-IN - [0:0]\n-A UNDERLAY-IN {asked}\nCOMMIT\n"
    here = [":UNDERLAY-IN - [0:0]", f"[3:180] {JUMP}", f"[1:60] -A UNDERLAY-IN {printed}"]
    return list(changed(text, here))


@pytest.mark.parametrize(
    ("asked", "printed"),
    [
        ("-p igmp -j RETURN", "-p 2 -j RETURN"),
        ("-p icmpv6 --icmpv6-type 130 -j RETURN",
         "-p ipv6-icmp -m icmp6 --icmpv6-type 130 -j RETURN"),
        ("-s 10.0.0.1/32 -p tcp --dport 5 -j REJECT",
         "-s 10.0.0.1/32 -p tcp -m tcp --dport 5 -j REJECT --reject-with icmp-port-unreachable"),
        ("-s fd00:1::/64 -j REJECT",
         "-s fd00:1::/64 -j REJECT --reject-with icmp6-port-unreachable"),
        ("-m conntrack --ctstate ESTABLISHED,RELATED -j DROP",
         "-m conntrack --ctstate RELATED,ESTABLISHED -j DROP"),
    ],
)  # fmt: skip
def test_a_rule_is_known_as_it_is_printed(asked: str, printed: str) -> None:
    assert not compared(asked, printed)
    assert compared(asked, printed.replace("-j ", "-i eth0 -j "))
    for option in ("-p ", "-s ", "--ctstate "):
        negated = printed.replace(option, f"! {option}")
        assert (negated == printed) != bool(compared(asked, negated))
