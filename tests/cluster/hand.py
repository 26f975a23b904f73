"""What is done by hand to a running lab, what undoes it, and which fault it amounts to."""

from __future__ import annotations

from dataclasses import dataclass

Steps = tuple[tuple[str, str], ...]
OVER_IPV4, OVER_IPV6 = ("icmp", "tcp", "udp"), ("icmp6", "tcp6", "udp6")


@dataclass(frozen=True)
class Hand:
    """Scripts by target. ``other`` says that the mechanism isn't the catalogue's own.

    ``word`` tells entries apart that are about one fault in one lab. ``pairs`` are the very
    pairs of ends that it parts, both ways and over ``over``, where the catalogue has no place
    that is just this one: as pairs of words that a space parts. If it is ``one_way``, only the
    first of each no longer reaches the second. It may part them over ``perhaps`` as well, which
    goes by who has talked before. ``beside`` are cells of other ends, each as three words.
    """

    fault: str
    where: str
    steps: Steps
    cure: Steps
    other: bool = False
    lab: str = "coreos"
    word: str = ""
    pairs: tuple[str, ...] = ()
    over: tuple[str, ...] = OVER_IPV4
    one_way: bool = False
    perhaps: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()

    @property
    def cells(self) -> set[tuple[str, str, str]]:
        """The cells of ``pairs`` and ``beside``, by the names that a matrix has for them."""
        beside = {(source, to, asked) for source, to, asked in map(str.split, self.beside)}
        return beside | self._cells_over(self.over)

    @property
    def possible(self) -> set[tuple[str, str, str]]:
        """Those, and the cells of ``pairs`` that may be lost as well."""
        return self.cells | self._cells_over(self.perhaps)

    def _cells_over(self, protocols: tuple[str, ...]) -> set[tuple[str, str, str]]:
        ends = [pair.split() for pair in self.pairs]
        ways = [(one, other) for one, other in ends]
        ways += [] if self.one_way else [(other, one) for one, other in ends]
        return {(*way, protocol) for way in ways for protocol in protocols}

    def __str__(self) -> str:
        word = f"-{self.word}" if self.word else ""
        return f"{self.lab}-{self.fault}{word}{'-otherwise' if self.other else ''}"


def one(fault: str, where: str, target: str, script: str, cure: str, **more: object) -> Hand:
    """Return an entry of one command and its opposite, both in one target."""
    return Hand(fault, where, ((target, script),), ((target, cure),), **more)  # type: ignore[arg-type]


BY_NFT = """
nft add table bridge mine
nft 'add chain bridge mine c {{ type filter hook forward priority 0; }}'
nft 'add rule bridge mine c {rule}'
"""
BY_NFT_AT = """
nft add table netdev mine
nft 'add chain netdev mine c {{ type filter hook ingress device "{port}" priority 0; }}'
nft 'add rule netdev mine c {rule}'
"""
NO_NFT_AT = "nft delete table netdev mine"
NO_NFT = "nft delete table bridge mine"
TC_IN = "tc qdisc add dev {0} ingress; tc filter add dev {0} parent ffff: {1} action drop"
NO_TC_IN = "tc qdisc delete dev {0} ingress"
TC_OUT = "tc qdisc add dev {0} clsact; tc filter add dev {0} egress {1} action drop"
NO_TC_OUT = "tc qdisc delete dev {0} clsact"
