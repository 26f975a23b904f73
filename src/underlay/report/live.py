"""What is said of a network of machines in use: that verdicts are warm, and what wasn't seen."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from underlay.errors import count
from underlay.report.matrix import DIFFERS, NOT_MEASURED

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from underlay.observe.live import Live, Way
    from underlay.report.page import Page
    from underlay.verdict import Verdict

WAYS_SHOWN = 5


def warmth(live: Live) -> str:
    """Return the sentence that every report of such a network has."""
    if live.flushed:
        return (
            f"measured as {live.tier} in a network that is in use; its neighbour tables were"
            " flushed, as --flush asked"
        )
    return (
        f"measured as {live.tier} in a network that is in use: verdicts are warm, as nobody flushed"
        " its neighbour tables, and what is known there from before may let more through than"
        " there would be after a restart"
    )


def live_document(verdict: Verdict) -> dict[str, Any]:
    """Return ``live`` as JSON values; nothing for nodes of Underlay's own."""
    live = verdict.live
    if live is None:
        return {}
    told = asdict(live)
    told["warm"] = not told.pop("flushed")
    for way in told["ways"]:
        way["mtu"] = way["mtu"] or None
        way["reason"] = way["reason"] or None
        way["reached"] = list(way["reached"])
    told["cannot"], told["ways"] = list(live.cannot), list(told["ways"])
    return {"live": told}


def unsized_words(verdict: Verdict) -> str:
    """Return how many sizes between machines weren't measured; nothing where all were."""
    many = len(verdict.unsized)
    return f"{count(many, 'size')} not measured" if many else ""


def live_section(verdict: Verdict, page: Page) -> None:
    """Append how the machines reach each other, and what is to be known of such a measurement."""
    live = verdict.live
    if live is None:
        return
    if live.ways:
        page.text.append("\nBetween machines\n", "bold")
        for words, ways in _alike(live.ways):
            sign, style = _sign(ways[0], page)
            names = dict.fromkeys(f"{way.source} → {way.destination}" for way in ways)
            shown = ", ".join(list(names)[:WAYS_SHOWN])
            more = f" and {len(names) - WAYS_SHOWN} more" if len(names) > WAYS_SHOWN else ""
            page.line(f"{count(len(ways), 'way')}: {words}", style, 2, sign)
            page.line(f"  {shown}{more}", "dim", 4)
    live_notes(verdict, page)


def live_notes(verdict: Verdict, page: Page) -> None:
    """Append that verdicts are warm, and what can't be seen with the rights that one had."""
    live = verdict.live
    if live is None:
        return
    page.text.append("\n")
    page.line(warmth(live)[:1].upper() + warmth(live)[1:] + ".", "" if live.flushed else "yellow")
    for words in live.cannot:
        page.line(f"Not seen as {live.tier}: {words}.")
    for words, machines in _by_value(live.unread).items():
        page.line(f"Not told to this user on {', '.join(machines)}: {words}.", "dim")


def _by_value(told: dict[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for name, words in told.items():
        if words:
            found[words].append(name)
    return found


def _sign(way: Way, page: Page) -> tuple[str, str]:
    if way.missed:
        return DIFFERS.text(page.ascii_only), DIFFERS.style
    if not way.mtu:
        return NOT_MEASURED.text(page.ascii_only), NOT_MEASURED.style
    return "", ""


def _alike(ways: Iterable[Way]) -> list[tuple[str, list[Way]]]:
    """Return the ways by what is said of them, those that aren't whole first."""
    groups: dict[Hashable, tuple[str, list[Way]]] = {}
    for way in ways:
        words = []
        if way.reached:
            words.append(f"reached by {', '.join(way.reached)}")
        words += [f"not by {protocol} ({stop})" for protocol, stop in way.missed.items()]
        if way.mtu:
            words.append(f"packets of {way.mtu} bytes come whole")
        elif way.reason:
            words.append(f"size not measured: {way.reason}" if way.reached else way.reason)
        text = "; ".join(words)
        groups.setdefault(text, (text, []))[1].append(way)
    return sorted(groups.values(), key=lambda group: not (group[1][0].missed or group[1][0].reason))
