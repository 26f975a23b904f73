"""The section about what is there and wasn't asked for, for people and as JSON values.

What each kind means, why it isn't planned and where one looks for its cause stands here, once.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from underlay.errors import count
from underlay.plan import SWITCH
from underlay.report.page import Page
from underlay.storage.seated import in_seat, typed

if TYPE_CHECKING:
    from rich.text import Text

    from underlay.observe.unplanned import Kind, Unplanned
    from underlay.verdict import Verdict

# What is to be looked at where the segments' bridges are.
AT_SWITCH = "bridge vlan show"
# The word of a seat's shell that shows it.
AT_SWITCH_IN_SEAT = "switch vlans"
SHOWN = 5
NAMED = 3


@dataclass(frozen=True)
class Words:
    """What is said of a kind: of one and several, why it isn't planned, and who says so."""

    one: str
    several: str
    because: str
    reference: str
    cause: str
    look: str


KINDS: dict[Kind, Words] = {
    "address": Words(
        "address that isn't planned",
        "addresses that aren't planned",
        "The plan gives nobody this address, and filters and routes know nothing of it.",
        "RFC 826; RFC 4861, 7.2",
        "Somebody added it by hand: ip address add, or a program that manages networks.",
        "ip address show dev {interface}",
    ),
    "broadcast": Words(
        "end whose broadcasts leak",
        "ends whose broadcasts leak",
        "The ones that heard it are in another segment or VLAN, or are kept apart from it.",
        "RFC 919; IEEE 802.1Q, 6.9",
        "Something joins the two: a switch port in another VLAN, a bridge, or a filter of tc that "
        "mirrors frames.",
        AT_SWITCH + "; tc filter show dev {interface} ingress",
    ),
    "link-local": Words(
        "end whose link-local address leads beyond its link",
        "ends whose link-local addresses lead beyond their links",
        "A link-local address is for one link, and the ones that heard it are on another.",
        "RFC 4291, 2.5.6 and 2.7.1",
        "Something joins the two links: a switch port in another VLAN, a bridge, or a filter of "
        "tc that mirrors frames. No subnet has to be shared for this.",
        AT_SWITCH + "; tc filter show dev {interface} ingress",
    ),
    "proxy-arp": Words(
        "address of nobody's that somebody answers for",
        "addresses of nobody's that somebody answers for",
        "No end of the lab has this address.",
        "Linux net/ipv4/arp.c, arp_process; RFC 1027",
        "Somebody in the lab has it without being planned to, or an entry of ip neighbour add "
        "proxy.",
        "ip neighbour show proxy; ip address",
    ),
    "other-mac": Words(
        "address that another end answers for as well",
        "addresses that another end answers for as well",
        "The MAC address in the answer is none of the end that has this address.",
        "RFC 826; RFC 5227",
        "Two ends have one address, or somebody answers ARP in its stead.",
        "ip address; ip neighbour show proxy",
    ),
}
ADVERTISED = (
    "A router advertises the subnet, and this interface takes it (accept_ra): RFC 4862, 5.5.3."
)
ADVERTISED_LOOK = "sysctl net.ipv6.conf.{dotted}.accept_ra"
PROXYING = (
    "It answers ARP for all that it has a route to (net.ipv4.conf.{dotted}.proxy_arp or "
    "proxy_arp_pvlan is on)."
)
PROXYING_LOOK = (
    "sysctl net.ipv4.conf.{dotted}.proxy_arp; sysctl net.ipv4.conf.{dotted}.proxy_arp_pvlan"
)
HANDED_OUT = (
    "It has it since what happened to it in this run: nothing fixes its address, and the runtime "
    "handed out another one."
)


def cause(one: Unplanned) -> str:
    """Return what most likely makes it, in words."""
    known = {"advertisement": ADVERTISED, "proxy": PROXYING, "event": HANDED_OUT}
    words = known.get(one.brought, KINDS[one.kind].cause)
    return words.replace("{dotted}", _dotted(one.interface))


def look(one: Unplanned) -> str:
    """Return the command that shows it, to be run at the end; empty where there is no such end."""
    if not one.interface:
        return ""
    words = {"advertisement": ADVERTISED_LOOK, "proxy": PROXYING_LOOK}.get(
        one.brought, KINDS[one.kind].look
    )
    interface, dotted = one.interface, _dotted(one.interface)
    where = one.end.partition("@")[0]
    commands = words.replace("{interface}", interface).replace("{dotted}", dotted).split("; ")
    return "; ".join(
        _at_switch() if command == AT_SWITCH else typed(f"exec {where} -- {command}")
        for command in commands
    )


def _at_switch() -> str:
    return AT_SWITCH_IN_SEAT if in_seat() else typed(f"exec {SWITCH} -- {AT_SWITCH}")


def _dotted(interface: str) -> str:
    """Return an interface's name as sysctl(8) takes it: dots are slashes there."""
    return interface.replace(".", "/")


def unplanned_document(verdict: Verdict) -> dict[str, Any]:
    """Return the findings, and who couldn't look for any, as JSON values."""
    looked = verdict.looked
    return {
        "unplanned": [
            {
                **asdict(one),
                "interface": one.interface or None,
                "brought": one.brought or None,
                "heard_by": list(one.heard_by),
                "answered": list(one.answered),
                "because": KINDS[one.kind].because,
                "reference": KINDS[one.kind].reference,
                "cause": cause(one),
                "look": look(one) or None,
            }
            for one in verdict.unplanned
        ],
        "blind": [{"end": end, "reason": why} for end, why in looked.blind] if looked else [],
    }


def unplanned_text(verdict: Verdict, *, width: int) -> Text:
    """Return the section alone, wrapped at ``width`` columns; empty where there is none."""
    page = Page(width, ascii_only=False)
    unplanned_section(verdict, page)
    return page.text


def unplanned_section(verdict: Verdict, page: Page) -> None:
    """Append what was found to ``page``, kind by kind, and who couldn't look."""
    groups: dict[tuple[Kind, str], list[Unplanned]] = defaultdict(list)
    for one in verdict.unplanned:
        groups[one.kind, cause(one)].append(one)
    if groups:
        page.text.append("\nReachable, not planned\n", "bold")
    for (kind, why), found in groups.items():
        words = KINDS[kind]
        head = f"{len(found)} {words.one if len(found) == 1 else words.several}"
        page.line(head, "yellow", 4, "  !")
        for one in found[:SHOWN]:
            page.line(_described(one), indent=6, first="    ")
        if len(found) > SHOWN:
            where = "" if in_seat() else ", in --json"
            page.line(f"and {len(found) - SHOWN} alike{where}", indent=4, first="    ")
        page.line(f"{words.because} {why}", indent=4, first="    ")
        page.line(words.reference, "dim", 6, "      ")
        for command in filter(None, look(found[0]).split("; ")):
            page.text.append(f"      {command}\n", "dim")
    _blind(verdict, page)


def _described(one: Unplanned) -> str:
    """Say who is reachable by which address, and from where."""
    place = f" ({one.interface})" if one.interface else ""
    heard = f"heard by {_several(one.heard_by)}"
    if one.answered == one.heard_by:
        heard = f"answers {_several(one.answered)}"
    elif one.answered:
        heard += f", answers {_several(one.answered)}"
    return f"{one.end}{place} {one.address}: {heard}"


def _several(names: tuple[str, ...]) -> str:
    if len(names) <= NAMED + 1:
        return ", ".join(names)
    return f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"


def _blind(verdict: Verdict, page: Page) -> None:
    blind = verdict.looked.blind if verdict.looked else ()
    by_reason: dict[str, list[str]] = defaultdict(list)
    for end, why in blind:
        by_reason[why].append(end)
    if blind and not all(not cell.measured for cell in verdict.cells):
        page.text.append("\n")
        for why, names in by_reason.items():
            whose = _several(tuple(names))
            page.line(
                f"What isn't planned was not looked for at {count(len(names), 'end')} ({whose}): "
                f"{why}",
                "yellow",
                2,
            )
