"""Faults by hand of filters whose words aren't understood, and of what takes packets otherwise.

Each has a counter that rises with the cells' own packets, or stands on their way without one.
"""

from __future__ import annotations

from cluster.hand import BY_NFT, NO_NFT, one

CLSACT = "tc qdisc add dev {0} clsact; tc filter add dev {0} {1} {2}"
NO_CLSACT = "tc qdisc delete dev {0} clsact"


def rule(words: str) -> tuple[str, str]:
    """Return the commands that put a rule of iptables first, and that delete it."""
    chain, _, rest = words.partition(" ")
    return f"iptables -I {chain} {rest}", f"iptables -D {chain} {rest}"


# A container is entered with a /sys of its own. mountpoint(1) goes by names, and takes what lies
# under it for mounted in it.
XDP = """
ip link set dev eth0 xdp off 2>/dev/null || :
[ "$(stat -f -c %T /sys/fs/bpf)" = bpf_fs ] || mount -t bpf bpf /sys/fs/bpf
python3 - <<'END'
import ctypes, os, struct
code = struct.pack("<BBhi", 0xb7, 0, 0, 1) + struct.pack("<BBhi", 0x95, 0, 0, 0)
held = ctypes.create_string_buffer(code), ctypes.create_string_buffer(b"GPL\\0")
words = struct.pack("<IIQQ", 6, 2, *(ctypes.addressof(one) for one in held)) + bytes(96)
libc = ctypes.CDLL(None, use_errno=True)
number = libc.syscall(321, 5, words, len(words))
assert number >= 0, os.strerror(ctypes.get_errno())
path = ctypes.create_string_buffer(b"/sys/fs/bpf/taker\\0")
pin = struct.pack("<QI", ctypes.addressof(path), number) + bytes(4)
assert libc.syscall(321, 6, pin, len(pin)) == 0, os.strerror(ctypes.get_errno())
END
"""

UNREAD = (
    one(
        "container-drops-protocol", "lannet-2a", "lannet-2a",
        *rule("INPUT -p tcp --tcp-flags SYN,ACK SYN -j DROP"), other=True, word="flags",
    ),
    one(
        "container-drops-incoming", "lannet-2a", "lannet-2a",
        *rule("INPUT -m conntrack --ctstate NEW -j DROP"), other=True, word="state",
    ),
    one(
        "container-drops-incoming", "lannet-2a", "lannet-2a",
        *rule("INPUT -m limit --limit 10000/second --limit-burst 9999 -j DROP"),
        other=True, word="limit",
    ),
    one(
        "container-drops-outgoing", "lannet-2a", "lannet-2a",
        "iptables -t mangle -I OUTPUT -j MARK --set-mark 7;"
        " iptables -I OUTPUT -m mark --mark 7 -j DROP",
        "iptables -D OUTPUT -m mark --mark 7 -j DROP;"
        " iptables -t mangle -D OUTPUT -j MARK --set-mark 7", other=True, word="mark",
    ),
    one(
        "switch-drops", "switch, lan-2", "switch",
        BY_NFT.format(rule='iifname "lan-2" tcp flags syn / syn,ack counter drop'), NO_NFT,
        other=True, word="flags",
    ),
    one(
        "switch-drops", "switch, lan-2", "switch",
        'nft add table bridge mine; nft "add set bridge mine them { type ipv4_addr; elements = '
        '{ 20.1.1.129, 20.1.1.130 }; }"; '
        "nft 'add chain bridge mine c { type filter hook forward priority 0; }'; "
        "nft 'add chain bridge mine inner'; "
        "nft 'add rule bridge mine inner ip saddr @them counter drop'; "
        "nft 'add rule bridge mine c iifname \"lan-2\" jump inner'",
        NO_NFT, other=True, word="set",
    ),
    one(
        "switch-drops", "switch, lan-2", "switch",
        BY_NFT.format(rule='iifname "lan-2" ip protocol tcp drop'), NO_NFT, other=True,
        word="uncounted",
    ),
    one(
        "packets-altered", "lannet-2a, eth0", "lannet-2a",
        CLSACT.format("eth0", "egress", "protocol ip matchall action pedit ex munge ip dst set"
                      " 192.0.2.1"),
        NO_CLSACT.format("eth0"),
    ),
    one(
        "packets-altered", "lannet-2a, eth0", "lannet-2a",
        CLSACT.format("eth0", "ingress", "protocol ip matchall action skbedit ptype otherhost"),
        NO_CLSACT.format("eth0"), other=True, word="skbedit",
    ),
    one(
        "packets-altered", "core-02, eth1", "core-02",
        CLSACT.format("eth1", "egress", "protocol ip matchall action vlan push id 5"),
        NO_CLSACT.format("eth1"), other=True, word="vlan",
    ),
    one(
        "packets-altered", "lannet-2a", "lannet-2a",
        "iptables -t nat -I OUTPUT -p tcp -j DNAT --to-destination 20.1.1.222",
        "iptables -t nat -D OUTPUT -p tcp -j DNAT --to-destination 20.1.1.222", other=True,
        word="dnat",
    ),
    one(
        "parent-drops-outgoing", "core-02, eth1", "core-02",
        "ip link add sink type dummy; ip link set sink up;"
        + CLSACT.format("eth1", "egress", "protocol ip matchall action mirred egress redirect"
                        " dev sink"),
        NO_CLSACT.format("eth1") + "; ip link delete sink", other=True, word="mirred",
    ),
    one(
        "parent-drops-outgoing", "core-02, eth1", "core-02",
        "tc qdisc add dev eth1 root tbf rate 8bit burst 10b limit 10b",
        "tc qdisc delete dev eth1 root", other=True, word="tbf",
    ),
    one(
        "xfrm-blocks", "lannet-2a", "lannet-2a",
        "ip xfrm policy add dir out src 0.0.0.0/0 dst 20.1.1.65 action block",
        "ip xfrm policy delete dir out src 0.0.0.0/0 dst 20.1.1.65",
    ),
    one(
        "xfrm-blocks", "lannet-2a", "lannet-2a",
        "ip xfrm policy add dir in src 0.0.0.0/0 dst 0.0.0.0/0 tmpl proto esp mode tunnel",
        "ip xfrm policy delete dir in src 0.0.0.0/0 dst 0.0.0.0/0", other=True, word="template",
    ),
    one(
        "bpf-program", "lannet-2a, eth0", "lannet-2a",
        CLSACT.format("eth0", "ingress", "protocol ip bpf da bytecode '1,6 0 0 2'"),
        NO_CLSACT.format("eth0"),
    ),
    one(
        "bpf-program", "lannet-2a, eth0", "lannet-2a",
        f"{XDP}ip link set dev eth0 xdpgeneric pinned /sys/fs/bpf/taker; rm /sys/fs/bpf/taker",
        "ip link set dev eth0 xdpgeneric off", other=True, word="xdp",
    ),
)  # fmt: skip
