"""What became of a lab after what happens in production, for people and as JSON values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from underlay.errors import count
from underlay.report.markdown import as_text
from underlay.report.page import Page
from underlay.report.terminal import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from underlay.proof.runs.schema import Event, NodeEvent, Reason

TITLES = {
    "recreate": "containers made anew",
    "restart": "runtimes restarted",
    "reboot": "nodes rebooted",
    "upgrade": "switched to",
    "update": "nodes rebooted, one by one, with the /usr of",
}
# The worst first.
ORDER = ("usr-lacks", "not-started", "interface-lost", "address-changed", "stale-neighbour", "away")
SHOWN = 12
NOT_MEASURED = "not measured by now"


def after_text(events: Sequence[Event], *, width: int, ascii_only: bool = False) -> Text:
    """Return what each event did to the lab, wrapped at ``width`` columns."""
    page = Page(width, ascii_only)
    for number, event in enumerate(events):
        if number:
            page.line("")
        bad = event.lost or event.error is not None
        page.line(head(event), "bold red" if bad else "bold", hang=2)
        for words in lines(event):
            page.line(words.lstrip(), "", 2 + len(words) - len(words.lstrip()) + 2, _indent(words))
    return plain(page)


def after_markdown(events: Sequence[Event]) -> list[str]:
    """Return the lines of a Markdown list: each event, and below it what it did to the lab."""
    found = []
    for event in events:
        found.append(f"- **{as_text(head(event))}**")
        found += [f"  {_indent(words)[2:]}- {as_text(words.lstrip())}" for words in lines(event)]
    return found


def _indent(words: str) -> str:
    return "  " + " " * (len(words) - len(words.lstrip()))


def head(event: Event) -> str:
    """Return what happened, and what that comes to, in one line."""
    what = f"{TITLES[event.event]} {event.file or event.image}".strip()
    told = f"it failed: {event.error.message}" if event.error else sum_of(event)
    return f"After {event.event} ({what}): {told}"


def sum_of(event: Event) -> str:
    """Return how many cells fell silent, healed and were lost for good, in words."""
    silent = event.silent
    never = sum(one.healed is None for one in silent)
    healed = [one.healed for one in silent if one.healed is not None]
    told = [f"{count(event.same, 'cell')} as before"]
    for what in ("worse", "better", "changed", "new", "gone", "unknown"):
        alike = [one for one in event.cells if one.what == what]
        if alike or what == "worse":
            told.append(f"{len(alike)} {NOT_MEASURED if what == 'unknown' else what}")
        elsewhere = sum(_unreachable(one.before) and _unreachable(one.now) for one in alike)
        if elsewhere:
            told[-1] += f" ({elsewhere} unreachable as before, but stopped elsewhere)"
    if healed:
        told.append(f"{len(healed)} silent for a while and healed within {max(healed):.1f} s")
    if never:
        told.append(f"{never} silent and not healed within {event.limit:.0f} s")
    return ", ".join(told)


def _unreachable(words: str) -> bool:
    return words.startswith("unreachable")


def lines(event: Event) -> list[str]:
    """Return the lines below the head; what is below another is indented by two more."""
    found: list[str] = []
    if event.error:
        # Of a node that is lost it stands with that one's turn.
        lost = any(node.lost for node in event.nodes)
        found += [] if lost else event.error.detail.splitlines()
        found += filter(None, [event.error.hint])
        found.append("The lab wasn't measured after it: cells are told as they were before it.")
    for node in event.nodes:
        found.append(_node(node))
        found += [f"  failed: {words}" for words in node.failed]
        if node.lost:
            found += [f"  {words}" for words in (node.lost.message, *node.lost.detail.splitlines())]
        found += [f"  {name} couldn't ask: {why}" for name, why in node.unasked.items()]
        found += [
            f"  announced after {one.after:.1f} s by"
            f" {'gratuitous ARP' if one.how == 'arp' else 'ND'}: {one.address} is at {one.mac}"
            + (f" ({one.container})" if one.container else "")
            for one in node.announced[:SHOWN]
        ]
    found += [
        f"{one.container} {one.interface}: {one.what} {one.before or 'none'} → {one.now or 'none'}"
        for one in event.changed[:SHOWN]
    ]
    if len(event.changed) > SHOWN:
        found.append(f"and {len(event.changed) - SHOWN} more addresses and MAC addresses")
    known: set[str] = set()
    for reason in sorted(event.reasons, key=lambda one: ORDER.index(one.id)):
        found += _reason(reason, known)
    return found


def _node(node: NodeEvent) -> str:
    never = sum(one.healed is None for one in node.silent)
    silent = f"{len(node.silent)} of {count(node.asked, 'cell')} fell silent"
    lost = f", {never} for good" if never else ""
    return f"{node.node}: {'; '.join(node.did)}: {node.seconds:.1f} s; {silent}{lost}"


def by_kind(reasons: Sequence[Reason]) -> list[tuple[Reason, list[tuple[str, str]]]]:
    """Return the first reason of each kind, the worst first, with where it is and what it did."""
    found: dict[str, tuple[Reason, list[tuple[str, str]]]] = {}
    for reason in sorted(reasons, key=lambda one: ORDER.index(one.id)):
        evidence = "; ".join(reason.evidence)
        told = _cells(reason) + (f"; {evidence}" if evidence else "")
        found.setdefault(reason.id, (reason, []))[1].append((reason.where, told))
    return list(found.values())


def _reason(reason: Reason, known: set[str]) -> list[str]:
    """Return the lines of a reason; what is the same of all of its kind is said once."""
    found = [] if reason.id in known else [f"{reason.title}"]
    if reason.id not in known and reason.id != "away":
        found += [f"  {reason.because}", f"  cure: {reason.cure}", f"  {reason.reference}"]
    known.add(reason.id)
    evidence = f"; {'; '.join(reason.evidence)}" if reason.id != "away" and reason.evidence else ""
    return [*found, f"  {reason.where}: {_cells(reason)}{evidence}"]


def _cells(reason: Reason) -> str:
    told = [count(reason.cells, "cell")]
    if reason.least is not None and reason.most is not None:
        told.append(f"healed after {reason.least:.1f} to {reason.most:.1f} s")
    if reason.never:
        told.append(f"{reason.never} not healed")
    return ", ".join(told)


def after_document(events: Sequence[Event]) -> dict[str, Any]:
    """Return what ``--json`` has beside the rest where something happened; else nothing."""
    return {"after": [one.model_dump(mode="json") for one in events]} if events else {}
