"""The kinds of values in a lab file: words, interfaces, addresses, numbers.

Each says in its schema (``expected``) what it takes, for error messages and editors.
"""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
)

# What values of pydantic's formats look like, in words.
FORMATS = {
    "ipv4network": "an IPv4 network such as 192.168.70.0/24",
    "ipv4": "an IPv4 address such as 192.168.70.1",
    "ipv6network": "an IPv6 network such as fd00:70::/64",
    "ipv6": "an IPv6 address such as fd00:70::1",
}


def _written(value: object) -> object:
    """Refuse numbers: ``ipaddress`` would take 12 for 0.0.0.12."""
    if not isinstance(value, (str, IPv4Address, IPv4Network, IPv6Address, IPv6Network)):
        raise ValueError("not text")
    # In an IPv6 address ``ipaddress`` takes anything after a percent sign: lines and commands, too.
    if isinstance(value, str) and "%" in value:
        raise ValueError("a zone")
    return value


def _with_prefix(value: object) -> object:
    """Refuse a bare address: ``ipaddress`` would take 20.1.1.0 for 20.1.1.0/32."""
    if isinstance(value, str) and "/" not in value:
        raise ValueError("no prefix length")
    return _written(value)


def _network_text(value: str) -> str:
    return str(ipaddress.ip_network(str(_with_prefix(value))))


def _address_text(value: str) -> str:
    return str(ipaddress.ip_address(str(_written(value))))


def _interface_text(value: str) -> str:
    return str(ipaddress.ip_interface(str(_with_prefix(value))))


def _list_or_word(value: object) -> str:
    return "list" if isinstance(value, list) else "word"


def _expected(words: str) -> object:
    return Field(json_schema_extra={"expected": words})


Word = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=20),
    _expected(
        "a word of at most 20 small letters, digits and single hyphens, beginning with a letter"
    ),
]
Interface = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9]*(\.[0-9]{1,4})?$", max_length=15),
    _expected("an interface such as eth1 or eth1.70"),
]
FileName = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{2}-[a-z0-9-]+\.(conf|conflist)$", max_length=64),
    _expected("a file name such as 20-lannet.conf"),
]
# It stands in messages and in other programs' files of a line each.
HostPath = Annotated[
    str,
    StringConstraints(pattern=r"^[^\x00-\x1f\x7f-\x9f]+$"),
    _expected("a path without control characters"),
]
# The first octet is even: not a group's address (IEEE 802, 8.2).
Mac = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$"),
    _expected("a MAC address such as 02:00:00:00:00:01"),
]
Subnet = Annotated[IPv4Network, BeforeValidator(_with_prefix)]
Subnet6 = Annotated[IPv6Network, BeforeValidator(_with_prefix)]
Address = Annotated[IPv4Address, BeforeValidator(_written)]
Address6 = Annotated[IPv6Address, BeforeValidator(_written)]
AnySubnet = Annotated[
    str, AfterValidator(_network_text), _expected("a subnet such as 10.1.0.0/16 or fd00:1::/64")
]
AnyAddress = Annotated[
    str, AfterValidator(_address_text), _expected("an address such as 192.168.70.1 or fd00::1")
]
AnyInterface = Annotated[
    str,
    AfterValidator(_interface_text),
    _expected("an address with its prefix length, such as 192.168.70.254/24"),
]
Vlan = Annotated[int, Field(strict=True, ge=1, le=4094)]
Mtu = Annotated[int, Field(strict=True, ge=576, le=9000)]
SegmentMtu = Annotated[int, Field(strict=True, ge=576, le=1500)]
Vni = Annotated[int, Field(strict=True, ge=1, le=16777215)]
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
Key = Annotated[int, Field(strict=True, ge=0, le=4294967295)]
Switch = Annotated[bool, Field(strict=True)]
Place = Annotated[
    Annotated[Word, Tag("word")] | Annotated[list[Word], Field(min_length=1), Tag("list")],
    Discriminator(_list_or_word),
]


class Strict(BaseModel):
    """Base of every lab model: unknown keys and silent conversions are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
