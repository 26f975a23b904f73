"""Routes as evidence shows them: of which family they are, and which one a packet takes."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

from underlay.plan import Cidr, family_of

if TYPE_CHECKING:
    from underlay.observe.evidence import Space


def contains(network: str, address: str, family: int = 4) -> bool:
    """Whether a route's destination, such as ``default`` or 20.1.1.0/24, holds an address.

    ``family`` is that of the route: ``default`` doesn't say it.
    """
    if family_of(address) != (6 if family_of(network) == 6 else family):
        return False
    if network == "default":
        return True
    return ip_address(address) in ip_network(network, strict=False)


def route_family(row: dict[str, Any]) -> int:
    """Return a route's family; only IPv6's have a router preference."""
    six = 6 in (family_of(row["dst"]), family_of(row.get("gateway", "")))
    return 6 if six or "pref" in row else 4


def main_routes(space: Space, family: int = 4) -> list[dict[str, Any]]:
    """Return the routes of one family in a namespace's main table."""
    return [
        row
        for row in space.rows("routes")
        if row.get("table", "main") == "main" and "dst" in row and route_family(row) == family
    ]


def every_route(space: Space) -> list[dict[str, Any]]:
    """Return the main table's routes of both families."""
    return [*main_routes(space), *main_routes(space, 6)]


def best(space: Space, address: str) -> dict[str, Any] | None:
    """Return the route of the main table that the kernel takes to ``address``, or None."""
    family = family_of(address)
    whole = "128" if family == 6 else "32"
    rows = main_routes(space, family)
    fitting = [row for row in rows if contains(row["dst"], address, family)]

    def length(row: dict[str, Any]) -> tuple[int, int]:
        prefix = Cidr(row["dst"]).prefix or ("0" if row["dst"] == "default" else whole)
        return int(prefix), -int(row.get("metric", 0))

    return max(fitting, key=length, default=None)
