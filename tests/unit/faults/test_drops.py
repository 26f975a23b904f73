"""What discards packets is read from the text of iptables, tc and nft, as these print it."""

from __future__ import annotations

import pytest

from underlay.expect.passages import Packet
from underlay.faults.evidence.drops import Drop
from underlay.faults.evidence.iptables import of_iptables
from underlay.faults.evidence.nft import of_nft
from underlay.faults.evidence.tc import of_filters, of_qdiscs

HEAD = ["*filter", ":INPUT ACCEPT [0:0]", ":FORWARD ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]"]


def packet(protocol: str = "icmp", *, request: bool = True, family: int = 4) -> Packet:
    return Packet(
        cell=("a", "b", protocol, family),
        request=request,
        sender="a",
        receiver="b",
        source="20.1.1.65" if family == 4 else "fd00::65",
        destination="20.1.1.129" if family == 4 else "fd00::129",
        source_mac="02:75:10:01:00:01",
        destination_mac="02:75:10:02:00:01",
        vlan=70,
    )


def rules(*lines: str, program: str = "iptables") -> list[Drop]:
    return list(of_iptables([*HEAD, *lines, "COMMIT"], program))


def test_a_rule_with_its_counter() -> None:
    (found,) = rules("[181:9576] -A INPUT -j DROP")
    assert (found.direction, found.hits, found.understood) == ("in", 181, True)
    assert found.lines == ("*filter", "[181:9576] -A INPUT -j DROP")
    assert found.takes(packet())
    assert found.takes(packet("tcp"))
    assert not found.takes(packet(family=6))


def test_a_policy() -> None:
    (found,) = of_iptables(["*filter", ":INPUT ACCEPT [1:2]", ":OUTPUT DROP [7:99]"])
    assert (found.direction, found.hits) == ("out", 7)


@pytest.mark.parametrize(
    ("rule", "taken", "left"),
    [
        ("-p icmp", packet(), packet("tcp")),
        ("! -p icmp", packet("tcp"), packet()),
        ("-s 20.1.1.64/26", packet(), packet(family=6)),
        ("-p icmp -m icmp --icmp-type 8", packet(), packet(request=False)),
        ("-p tcp -m tcp --dport 27007", packet("tcp"), packet("tcp", request=False)),
        ("-p tcp -m tcp --sport 27007", packet("tcp", request=False), packet("tcp")),
        ("-p udp -m udp --dport 27000:27010", packet("udp"), packet("tcp")),
    ],
)
def test_which_packets_a_rule_takes(rule: str, taken: Packet, left: Packet) -> None:
    (found,) = rules(f"[3:4] -A INPUT {rule} -j DROP")
    assert found.takes(taken)
    assert not found.takes(left)
    assert found.understood


def test_a_chain_is_followed() -> None:
    (found,) = rules(":mine - [0:0]", "[9:9] -A INPUT -p udp -j mine", "[5:5] -A mine -j REJECT")
    assert found.refuses
    assert found.hits == 5
    assert found.takes(packet("udp"))
    assert not found.takes(packet())


def test_a_word_that_is_not_known_is_admitted() -> None:
    (found,) = rules('[3:4] -A INPUT -m time --timestart "08:00" -j DROP')
    assert not found.understood


@pytest.mark.parametrize(
    "words",
    [
        "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN",
        "-m conntrack --ctstate INVALID,NEW",
        "-m limit --limit 5/sec",
        "-m mark ! --mark 0x7/0xff",
        "-m set ! --match-set them src,dst",
        "-m length --length 60:300",
    ],
)
def test_what_follows_words_that_are_not_known_is_read(words: str) -> None:
    """An option may have two values, and the rule's target stands behind them."""
    (found,) = rules(f"[3:4] -A INPUT {words} -j DROP")
    assert (found.hits, found.understood, found.alters) == (3, False, False)
    assert found.takes(packet("tcp"))
    assert found.takes(packet()) is not words.startswith("-p tcp")


def test_a_list_of_ports() -> None:
    (found,) = rules("[3:4] -A INPUT -p tcp -m multiport --dports 80,27007:27008 -j DROP")
    assert found.understood
    assert found.takes(packet("tcp"))
    (other,) = rules("[3:4] -A INPUT -p tcp -m multiport --dports 80,443 -j DROP")
    assert not other.takes(packet("tcp"))


def test_a_rule_that_leads_packets_elsewhere() -> None:
    (found,) = of_iptables(["*nat", "[3:4] -A OUTPUT -p tcp -j DNAT --to-destination 192.0.2.1:80"])
    assert (found.alters, found.understood, found.hits) == (True, False, 3)


def test_ipv6_rules_take_ipv6_only() -> None:
    (found,) = rules("[3:4] -A INPUT -p ipv6-icmp -j DROP", program="ip6tables")
    assert found.takes(packet(family=6))
    assert not found.takes(packet())


MATCHALL = """\
filter protocol all pref 49152 matchall chain 0
filter protocol all pref 49152 matchall chain 0 handle 0x1
  not_in_hw
\taction order 1: gact action drop
\t random type none pass val 0
\t index 1 ref 1 bind 1 installed 4 sec used 1 sec
 \tAction statistics:
\tSent 9576 bytes 181 pkt (dropped 181, overlimits 0 requeues 0)
\tbacklog 0b 0p requeues 0
""".splitlines()
FLOWER = """\
filter protocol ip pref 49152 flower chain 0
filter protocol ip pref 49152 flower chain 0 handle 0x1
  eth_type ipv4
  ip_proto icmp
  not_in_hw
\taction order 1: gact action drop
 \tAction statistics:
\tSent 952 bytes 17 pkt (dropped 17, overlimits 0 requeues 0)
""".splitlines()


def test_a_filter_of_tc_that_takes_everything() -> None:
    (found,) = of_filters({"eth1 ingress": MATCHALL})
    assert (found.direction, found.device, found.hits) == ("in", "eth1", 181)
    assert found.understood
    assert found.takes(packet())


def test_a_filter_of_tc_for_one_protocol() -> None:
    (found,) = of_filters({"eth0 egress": FLOWER})
    assert found.direction == "out"
    assert found.takes(packet())
    assert not found.takes(packet("udp"))


@pytest.mark.parametrize(("kind", "taken"), [("128", True), ("134", False)])
def test_a_filter_of_tc_for_one_message_of_icmpv6(kind: str, taken: bool) -> None:
    lines = "\n".join(FLOWER).replace("eth_type ipv4", "eth_type ipv6").replace(" ip ", " ipv6 ")
    words = f"ip_proto icmpv6\n  icmp_type {kind}"
    (found,) = of_filters({"eth1 ingress": lines.replace("ip_proto icmp", words).splitlines()})
    assert found.takes(packet(family=6)) is taken
    assert not found.takes(packet())
    assert not found.takes(packet("udp", family=6))


def test_a_filter_of_tc_that_only_counts() -> None:
    passing = [line.replace("drop", "pass") for line in MATCHALL]
    assert not list(of_filters({"eth1 ingress": passing}))


def test_a_queue_that_loses_everything() -> None:
    lines = [
        "qdisc noqueue 0: dev lo root refcnt 2",
        "qdisc netem 8001: dev eth0 root refcnt 2 limit 1000 loss 100%",
        " Sent 0 bytes 0 pkt (dropped 53, overlimits 0 requeues 0)",
    ]
    (found,) = of_qdiscs(lines)
    assert (found.device, found.direction, found.hits, found.understood) == (
        "eth0",
        "out",
        53,
        True,
    )


NFT = """\
table bridge mine {
\tchain c {
\t\ttype filter hook forward priority filter; policy accept;
\t\tiifname "lan-2" ether saddr != 02:75:10:01:00:01 counter packets 12 bytes 504 drop
\t\toifname "lan-1" vlan id 70 counter packets 4 bytes 168 drop
\t}
}
""".splitlines()


def test_rules_of_nft() -> None:
    policy, tag = of_nft(NFT)
    assert (policy.device, policy.direction, policy.hits) == ("lan-2", "in", 12)
    assert policy.source_mac == (False, "02:75:10:01:00:01")
    assert not policy.takes(packet())
    assert (tag.device, tag.direction, tag.vlan) == ("lan-1", "out", (True, "70"))
    assert tag.takes(packet())
    assert policy.understood
    assert tag.understood


def test_a_policy_of_nft() -> None:
    lines = [line.replace("policy accept", "policy drop") for line in NFT[:3]]
    (found,) = of_nft(lines)
    assert (found.direction, found.understood) == ("forward", True)


@pytest.mark.parametrize(("kind", "taken"), [("echo-request", True), ("nd-router-advert", False)])
def test_a_rule_of_nft_for_one_message_of_icmpv6(kind: str, taken: bool) -> None:
    rule = f"icmpv6 type {kind} counter packets 3 bytes 168 drop"
    lines = ["table bridge mine {", "chain c {", "type filter hook forward priority 0;", rule, "}"]
    (found,) = of_nft(lines)
    assert found.understood
    assert found.takes(packet(family=6)) is taken
    assert not found.takes(packet())


SETS = """\
table bridge mine {
\tset them {
\t\ttype ipv4_addr
\t\telements = { 20.1.1.65, 20.1.1.66 }
\t}

\tchain inner {
\t\tip saddr @them counter packets 7 bytes 300 drop
\t\tether saddr 02:75:10:01:00:01 counter packets 0 bytes 0 drop
\t}

\tchain c {
\t\ttype filter hook forward priority filter; policy accept;
\t\tiifname "lan-2" jump inner
\t\ttcp flags syn / syn,ack counter packets 5 bytes 300 drop
\t\tmeta l4proto udp limit rate 1/second counter packets 4 bytes 9 drop
\t\tct state invalid counter packets 2 bytes 9 drop
\t\tmeta l4proto vmap { icmp : drop, tcp : accept }
\t\tether daddr set 02:00:00:00:00:01 counter packets 3 bytes 9
\t\tcounter packets 9 bytes 9
\t}
}
""".splitlines()


def test_rules_of_nft_in_other_chains_and_with_words_that_are_not_known() -> None:
    found = list(of_nft(SETS))
    assert [(one.hits, one.understood, one.alters) for one in found] == [
        (7, False, False),
        (0, True, False),
        (5, False, False),
        (4, False, False),
        (2, False, False),
        (None, False, False),
        (3, False, True),
    ]
    assert (found[0].device, found[0].direction) == ("lan-2", "in")
    assert found[0].lines == (
        "table bridge mine",
        "ip saddr @them counter packets 7 bytes 300 drop",
    )
    assert not found[3].takes(packet("tcp"))


@pytest.mark.parametrize(
    ("rule", "request_", "family", "taken"),
    [
        ("ether type arp", True, 4, True),
        ("ether type arp", True, 6, False),
        ("arp operation request", True, 4, True),
        ("arp operation request", False, 4, False),
        ("arp operation reply", False, 4, True),
        ("icmpv6 type nd-neighbor-solicit", True, 6, True),
        ("icmpv6 type nd-neighbor-solicit", False, 6, False),
        ("icmpv6 type nd-neighbor-advert", False, 6, True),
        ("icmpv6 type nd-neighbor-solicit", True, 4, False),
        ("icmpv6 type nd-router-advert", True, 6, False),
    ],
)
def test_what_takes_the_finding_of_neighbours(
    rule: str, request_: bool, family: int, taken: bool
) -> None:
    """Who is asked learns who asks, so each message costs packets of one direction only."""
    text = (
        f"table bridge t {{\nchain c {{\ntype filter hook forward priority 0; \n{rule} drop\n}}\n}}"
    )
    (found,) = of_nft(text.splitlines())
    assert found.understood
    assert found.finding
    for protocol in ("icmp", "tcp", "udp"):
        assert found.takes(packet(protocol, request=request_, family=family)) is taken


def test_actions_that_change_frames_and_programs() -> None:
    lines = "\n".join(MATCHALL)
    for action in ("pedit action pass keys 1", "skbedit ptype otherhost pipe", "vlan push id 5"):
        text = lines.replace("gact action drop", action)
        (found,) = of_filters({"eth1 egress": text.splitlines()})
        assert (found.alters, found.understood, found.hits) == (True, False, 181)
    program = [
        "filter protocol all pref 49152 bpf chain 0",
        "filter protocol all pref 49152 bpf chain 0 handle 0x1 bytecode '1,6 0 0 2'"
        " direct-action not_in_hw",
    ]
    (found,) = of_filters({"eth1 ingress": program})
    assert (found.alters, found.understood, found.hits) == (True, False, None)


def test_a_queue_that_holds_packets_back() -> None:
    lines = [
        "qdisc tbf 8002: dev eth1 root refcnt 2 rate 8bit burst 10b lat 9s",
        " Sent 0 bytes 0 pkt (dropped 3, overlimits 7 requeues 0)",
        " backlog 300b 4p requeues 0",
    ]
    (found,) = of_qdiscs(lines)
    assert (found.hits, found.understood) == (7, False)
