"""What a segment's switch ports must be to make sense, and what can't be on such a segment."""

from __future__ import annotations

from collections.abc import Iterator

from underlay.lab import Segment, SwitchPort
from underlay.lab.text import Place, Problem
from underlay.lint.keys.parts import Parts
from underlay.plan import switch


def port_vlans(parts: Parts) -> Iterator[Problem]:
    """A port is an access port or a trunk; a native VLAN is a trunk's."""
    for name, segment in parts.segments.items():
        if segment.trunk is not None or segment.native is not None:
            unnamed = SwitchPort(trunk=segment.trunk, native=segment.native)
            yield from _kind(parts, ("segments", name), unnamed)
        for station, port in segment.ports.items():
            place: Place = ("segments", name, "ports", station)
            yield from _kind(parts, place, port)


def _kind(parts: Parts, place: Place, port: SwitchPort) -> Iterator[Problem]:
    if port.access is not None:
        for key in ("trunk", "native"):
            if getattr(port, key) is not None:
                hint = "an access port has one VLAN, and no tags on its cable"
                yield parts.text.problem(
                    (*place, key), f"{key} beside access", "one of the two", hint, at_key=True
                )
    elif port.trunk is None and port.native is not None:
        yield parts.text.problem(
            (*place, "native"),
            "native without trunk",
            f"trunk beside it, or `access: {port.native}`",
            at_key=True,
        )
    elif port.trunk is None:
        yield parts.text.problem(place, "a port without VLANs", "access or trunk", at_key=True)
    for position, vlan in enumerate(port.trunk or ()):
        if vlan in (port.trunk or ())[:position]:
            spot: Place = (*place, "trunk", position)
            yield parts.text.problem(spot, f"the VLAN {vlan} a second time", "it once")


def port_overlay(parts: Parts) -> Iterator[Problem]:
    """Tunnels go from node to node, without a tag: those must be in one VLAN."""
    for name, network in parts.loose_networks.items():
        segment = parts.segments.get(parts.segment_of(network))
        if network.traits.overlay is None or segment is None or not switch.has_vlans(segment):
            continue
        if len(_untagged(segment, parts.node_names)) > 1:
            yield parts.text.problem(
                ("networks", name, "driver"),
                f"{network.driver} over switch ports with different VLANs for untagged frames",
                "one VLAN for all nodes' untagged frames, or another segment",
                "access or native of the segment's `ports`",
            )


def _untagged(segment: Segment, nodes: list[str]) -> set[int | str]:
    """The nodes' VLANs for untagged frames; one without any is alone."""
    vlans = switch.port_vlans(segment, nodes)
    return {own.untagged or node for node, own in vlans.items()}


def snooping(parts: Parts) -> Iterator[Problem]:
    """Who asks for members, and what becomes of unknown groups, is a snooping switch's matter."""
    for name, segment in parts.segments.items():
        for key in ("querier", "unknown_multicast"):
            if key in segment.model_fields_set and not segment.snooping:
                yield parts.text.problem(
                    ("segments", name, key),
                    f"{key} without snooping",
                    "`snooping: true` beside it",
                    at_key=True,
                )
        if segment.hairpin and segment.unknown_multicast == "drop":
            yield parts.text.problem(
                ("segments", name, "unknown_multicast"),
                "dropped multicast on hairpin ports",
                "one of the two",
                "what is reflected would have to be in the table, too",
                at_key=True,
            )


def bond(parts: Parts) -> Iterator[Problem]:
    """A bond's nodes are lean, whose NICs nothing else configures, and both its ports are open."""
    for name, segment in parts.segments.items():
        place: Place = ("segments", name, "bond")
        if segment.bond and parts.nodes and parts.nodes.profile != "lean":
            yield parts.text.problem(
                place, "a bond on full nodes", "lean nodes", "nodes: {profile: lean}", at_key=True
            )
        if segment.bond and segment.locked:
            hint = "the port knows the MAC address of one NIC, and a bond has it on either"
            yield parts.text.problem(
                place, "a bond on locked ports", "one of the two", hint, at_key=True
            )
