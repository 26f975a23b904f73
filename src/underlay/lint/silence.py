"""Findings that people have silenced, each with the reason: by option, comment or baseline.

A comment reads ``# underlay: ignore RULE: reason``. It holds for its own line and for
the next one that isn't a comment; ``ignore-file`` holds for the file. JSON has no comments:
there a value such as ``"_comment": "underlay: ignore RULE: reason"`` holds for the file.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from underlay.errors import BadInput, did_you_mean, nearest
from underlay.fleet.carried.values import NoLab, Silent
from underlay.fleet.host import Host
from underlay.lint.finding import Finding

By = Literal["option", "comment", "baseline"]

_COMMENT = re.compile(
    r"underlay:\s*(?P<word>ignore(?:-file)?)\s+(?P<rule>[a-z0-9-]+)(?:\s*:\s*(?P<reason>[^\s\"][^\"]*))?"
)
_MARKS = ("#", ";", "//")


@dataclass(frozen=True)
class Silenced:
    """A finding that isn't to count, what silenced it, and why."""

    finding: Finding
    by: By
    reason: str


@dataclass(frozen=True)
class Comment:
    """A comment that silences a rule: on its ``lines``, or in the whole file without any."""

    rule: str
    reason: str
    line: int
    lines: tuple[int, ...]


def comments(text: str) -> Iterator[Comment]:
    """Yield the comments in ``text`` that silence a rule, those without a reason as well."""
    whole = text.lstrip().startswith(("{", "["))
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        for found in _COMMENT.finditer(line):
            everywhere = whole or found["word"] == "ignore-file"
            behind = (
                later
                for later, below in enumerate(lines[number:], number + 1)
                if below.strip() and not below.lstrip().startswith(_MARKS)
            )
            alone = line.lstrip().startswith(_MARKS)
            held = (number, next(behind, number)) if alone else (number,)
            reason = (found["reason"] or "").strip()
            yield Comment(found["rule"], reason, number, () if everywhere else held)


def chosen(options: Iterable[str], rules: Iterable[str]) -> dict[str, str]:
    """Return the rules that ``--ignore RULE`` or ``RULE: reason`` name, with their reasons.

    Raises BadInput for a rule that there isn't.
    """
    known = set(rules)
    found = {}
    for option in options:
        rule, _, reason = (part.strip() for part in option.partition(":"))
        if rule not in known:
            hint = did_you_mean(nearest(rule, sorted(known))) or "docs/lint-rules.md lists them"
            raise BadInput(f"--ignore {rule!r}: there is no such rule", hint=hint)
        found[rule] = reason or "--ignore"
    return found


def baseline_of(document: Any, file: str) -> Counter[tuple[str, str, str]]:
    """Return how often each finding stands in a document that ``lint --json`` has printed.

    A finding is known by its rule, file and message: lines move with each edit.
    Raises BadInput where the document is none.
    """
    rows = document.get("findings") if isinstance(document, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadInput(
            f"{file} is no baseline",
            hint=f"a baseline is what lint printed before: underlay lint … --json > {file}",
        )
    # What was silenced then is silenced by its own comment or option.
    return Counter((str(r.get("id")), str(r.get("file")), str(r.get("message"))) for r in rows)


def silent_in(hosts: Sequence[Host]) -> Silent:
    """Return what tells whether a comment in hosts' files silences what leads to no lab.

    It may stand at either of the two lines that it is about, and name the rule of `lint --host`
    that says the same, or the id that it has itself.
    """
    texts = own_texts(hosts)
    said: dict[str, list[Comment]] = {}

    def reason(wrong: NoLab) -> str:
        for spot in (wrong.spot, wrong.other) if wrong.other is not None else ():
            if spot.file not in said:
                said[spot.file] = [c for c in comments(texts.get(spot.file, "")) if c.reason]
            for one in said[spot.file]:
                if one.rule in wrong.rules and (not one.lines or spot.line in one.lines):
                    return one.reason
        return ""

    return reason


def own_texts(hosts: Sequence[Host]) -> dict[str, str]:
    """Return what hosts' files hold by their paths, without those that others write there."""
    return {d.file: d.text for host in hosts for d in host.documents if d.within or not d.target}


def silence(
    findings: Sequence[Finding],
    text_of: Callable[[str], str],
    options: dict[str, str],
    baseline: Counter[tuple[str, str, str]],
    baseline_file: str = "",
) -> tuple[list[Finding], list[Silenced]]:
    """Return the findings that count, and those that are silenced.

    ``text_of`` returns what a file holds; where a comment gives no reason, it silences nothing.
    """
    said: dict[str, list[Comment]] = {}
    left = Counter(baseline)
    kept: list[Finding] = []
    silenced: list[Silenced] = []
    for finding in findings:
        if finding.file not in said:
            said[finding.file] = [c for c in comments(text_of(finding.file)) if c.reason]
        held = [
            comment.reason
            for comment in said[finding.file]
            if comment.rule == finding.id and (not comment.lines or finding.line in comment.lines)
        ]
        known = (finding.id, finding.file, finding.message)
        if held:
            silenced.append(Silenced(finding, "comment", held[0]))
        elif finding.id in options:
            silenced.append(Silenced(finding, "option", options[finding.id]))
        elif left[known]:
            left[known] -= 1
            silenced.append(Silenced(finding, "baseline", f"stands in {baseline_file}"))
        else:
            kept.append(finding)
    return kept, silenced
