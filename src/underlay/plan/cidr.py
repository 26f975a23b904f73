"""Addresses with their prefix lengths, as text that knows its parts."""

from __future__ import annotations

from functools import cache
from ipaddress import IPv4Interface, IPv6Interface, ip_interface
from typing import Literal

Family = Literal[4, 6]


def family_of(address: str) -> Family:
    """Return the family of an address or subnet, with or without a prefix length."""
    return 6 if ":" in address else 4


class Cidr(str):
    """An address with its prefix length, such as ``20.1.1.65/24``; empty where there is none.

    It is text, so that a plan's JSON holds it as it is.
    """

    __slots__ = ()

    @property
    def ip(self) -> str:
        """The address alone; empty for none."""
        return self.partition("/")[0]

    @property
    def prefix(self) -> str:
        """The prefix length's digits; empty for none."""
        return self.partition("/")[2]

    @property
    def family(self) -> Family:
        """4 for IPv4, 6 for IPv6."""
        return family_of(self)

    @property
    def subnet(self) -> str:
        """The subnet that the address is in, such as ``20.1.1.0/24``; ValueError for none."""
        return str(_parsed(self).network)


@cache
def _parsed(text: str) -> IPv4Interface | IPv6Interface:
    return ip_interface(text)
