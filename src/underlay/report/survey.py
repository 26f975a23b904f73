"""A survey told: its sentences for people, and as JSON values. It judges nothing."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from rich.text import Text

from underlay.errors import count
from underlay.observe.survey.sentences import by_segment
from underlay.report.page import Page
from underlay.report.terminal import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from underlay.observe.survey.drift import Coverage
    from underlay.observe.survey.model import Machine, Survey
    from underlay.observe.survey.sentences import Sentence

SIGNS = {"works": ("✓", "+"), "fails": ("✗", "-"), "unknown": ("?", "?")}
STYLES = {"works": "green", "fails": "red", "unknown": "yellow"}


def survey_text(
    survey: Survey,
    found: Sequence[Sentence],
    *,
    width: int,
    ascii_only: bool = False,
    sources: bool = False,
) -> Text:
    """Return the machines, and below them the sentences of each segment.

    With ``sources`` each has its rule's source below.
    """
    page = Page(width, ascii_only)
    for machine in survey.machines:
        for words in _machine(machine):
            page.line(words, "", 2, "", 2)
    groups = {group.name: group for group in survey.groups}
    for segment, those in by_segment(found).items():
        page.line("")
        if segment:
            page.line(f"{segment}: {', '.join(groups[segment].ports)}", "bold", hang=2)
        else:
            page.line("machines and what is on their wires", "bold")
        for one in those:
            sign = SIGNS[one.verdict][ascii_only]
            page.line(one.text, STYLES[one.verdict], 4, f"  {sign} ", 0)
            if sources and one.source:
                page.line(one.source, "dim", 6, "      ", 2)
    for words in survey.amiss:
        page.line(words, "yellow", 4, "  ! ", 2)
    page.line("")
    page.line(_sum(survey, found))
    return plain(page)


def _machine(machine: Machine) -> list[str]:
    if machine.failed:
        return [f"{machine.name}: not read: {machine.failed}"]
    nics = [
        f"{link.name} {link.driver or link.kind}"
        f"{'' if link.up and link.carrier else ' (down)'} mtu {link.mtu}"
        for link in machine.links
        if link.kind in ("nic", "bond", "bridge", "vlan")
    ]
    having = sorted({name for names in machine.plugins.values() for name in names})
    has = [*machine.runtimes, *([f"CNI plugins ({len(having)})"] if having else [])]
    modules = ", ".join(f"{name} {how}" for name, how in machine.modules.items())
    return [
        f"{machine.name}: Linux {machine.kernel}; {', '.join(nics) or 'no NIC'}",
        f"{machine.name}: {', '.join(has) or 'no runtime'}; {modules}",
    ]


def _sum(survey: Survey, found: Sequence[Sentence]) -> str:
    counted = Counter[str](one.verdict for one in found)
    told = (
        f"{counted['works']} hold, {counted['fails']} don't, {counted['unknown']} not known;"
        f" {count(len(survey.machines), 'machine')} in {survey.seconds:.1f} s"
    )
    return f"{told}, {count(survey.frames, 'frame')} sent" if survey.frames else told


def survey_document(
    survey: Survey,
    found: Sequence[Sentence],
    changes: Sequence[str] | None,
    coverage: Coverage | None = None,
) -> dict[str, Any]:
    """Return the survey with its sentences as JSON values.

    With a baseline ``changes`` are those since then, and ``coverage`` says what they are out of.
    """
    counted = Counter[str](one.verdict for one in found)
    document = {
        **survey.model_dump(mode="json"),
        "sentences": [one.model_dump(mode="json") for one in found],
        "summary": {verdict: counted[verdict] for verdict in SIGNS},
    }
    if changes is not None:
        document["drift"] = list(changes)
    if coverage is not None:
        document |= {"compared": coverage.compared, "not_compared": coverage.left}
    return document
