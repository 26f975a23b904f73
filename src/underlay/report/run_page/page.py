"""The page of a run: one file of HTML, with its style, its script and all that it shows in it.

The script is built from ``frontend/`` and lies beside this file; the page names its digest, and
lets a browser run or fetch nothing else.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections import Counter, defaultdict
from datetime import datetime
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FunctionLoader
from markupsafe import Markup

from underlay.expect import asked_as
from underlay.report.live import warmth
from underlay.report.run import choice_words
from underlay.report.run_page.data import page_document
from underlay.report.topology.svg import style as picture_style

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.report.run import Told
    from underlay.verdict import Verdict

HERE = "underlay.report.run_page"
# Rows of a table; the matrix has all.
MOST = 200
# What a lab's time is made of, in its order; the whole measurement is all but the first two.
PHASES = ("boot", "switch", "predict", "start", "probe", "collect")
# What happened to the lab by --after, with healing and all that was measured again.
EVENTS = "events"
# Making and removing the sandbox, looking for causes, capturing, ending the nodes.
OTHER = "other"
LEAST_OTHER = 0.5  # s
Shown = dict[str, Any]


def page_text(told: Told) -> str:
    """Return the page of ``told`` as one file of HTML that needs no other."""
    document = page_document(told)
    script = file_of_page("page.js").strip()
    run = {
        **document,
        "chosen": choice_words(told),
        "duration": _duration(document),
        "labs": list(_labs(told, document)),
    }
    names = [lab["lab"] for lab in document["labs"]]
    title = names[0] if len(names) == 1 else f"{len(names)} labs" if names else "no lab"
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        environment()
        .from_string(file_of_page("page.html.j2"))
        .render(
            run=run,
            title=title,
            most=MOST,
            style=Markup(picture_style() + file_of_page("page.css")),  # noqa: S704 our own files
            script=Markup(script),  # noqa: S704 our own file
            script_hash=Markup(digest),  # noqa: S704 of base64
            data=Markup(_embedded(document)),  # noqa: S704 no "<" is left in it
        )
    )


def environment() -> Environment:
    """Return what makes pages of the templates here, in which nothing is markup by itself."""
    made = Environment(autoescape=True, loader=FunctionLoader(file_of_page))
    made.filters |= {
        "day": lambda text: datetime.fromisoformat(text).strftime("%-d %B %Y, %H:%M UTC"),
        "cap": lambda text: text[:1].upper() + text[1:],
        "words": _words,
    }
    return made


def file_of_page(name: str) -> str:
    """Return the text of a file beside this one."""
    return (files(HERE) / name).read_text(encoding="utf-8")


def _embedded(document: Shown) -> str:
    """Return the part of the document that the script reads; no sign in it ends an element."""
    labs = [script_part(lab) for lab in document["labs"]]
    text = json.dumps({"labs": labs}, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def script_part(lab: Shown) -> Shown:
    """Return the part of a lab's document that the script reads."""
    kept = ("lab", "file", "ends", "layers", "outcomes", "predictions", "changed", "captures")
    explanation = {}
    if lab["explanation"]:
        causes = [
            {key: one[key] for key in ("id", "title", "where", "sureness", "cells", "evidence")}
            for one in lab["explanation"]["causes"]
        ]
        explanation = {"causes": causes, "unexplained": lab["explanation"]["unexplained"]}
    told = {key: lab[key] for key in kept if key in lab}
    told |= {key: lab[key] for key in ("kinds", "rows", "ways") if key in lab}
    return {**told, "intent": lab["intent"], "explanation": explanation}


def _labs(told: Told, document: Shown) -> Iterator[Shown]:
    """Yield the labs with what the page tells of them in words and lists."""
    for lab in document["labs"]:
        verdict = told.results.by_lab[lab["lab"]].verdict
        reasons = Counter(c.reason or "no reason is known" for c in verdict.cells if not c.measured)
        yield {
            **lab,
            "reasons": reasons.most_common(),
            "warmth": warmth(verdict.live) if verdict.live else "",
            "retried": sum(1 for cell in verdict.cells if cell.lost),
            "odd": list(_odd(verdict)),
            "bars": list(_bars(_spent(document, lab))),
        }


def _odd(verdict: Verdict) -> Iterator[Shown]:
    """Yield the pairs that differ or weren't measured, cells that are alike together."""
    found: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    for cell in verdict.cells:
        if cell.measured and not cell.differs:
            continue
        expected = _told(cell.expected, cell.expected_stop)
        observed = _told(cell.observed, cell.stopped_at)
        key = (not cell.differs, cell.source, cell.destination, expected, observed)
        found[key].append(asked_as(cell.protocol, cell.family))
    for (open_, source, destination, expected, observed), how in sorted(
        found.items(), key=lambda item: item[0][0]
    ):
        yield {
            "differs": not open_,
            "source": source,
            "destination": destination,
            "how": how,
            "expected": expected,
            "observed": observed,
        }


def _told(value: object, stop: str) -> str:
    words = _words(value)
    return f"{words} ({stop})" if stop and value == "unreachable" else words


def _words(value: object) -> str:
    """Return what was seen or expected in words; several are listed."""
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value).replace("not_measured", "not measured")


def _spent(document: Shown, lab: Shown) -> list[tuple[str, float]]:
    """Return what a lab's time went to, in order; of a run of one lab all of it is accounted for.

    After an event the parts of the last measurement are within the event's time.
    """
    phases: dict[str, float] = lab["phases"]
    known = phases if EVENTS in phases else {**lab["timings"], **phases}
    order = ("boot", "switch", "measure", EVENTS) if EVENTS in phases else PHASES
    spent = [(what, known[what]) for what in order if known.get(what)]
    if len(document["labs"]) > 1 or not spent:
        return spent
    rendering = document["timings"].get("render", 0.0)
    spent = [("render", rendering), *spent] if rendering else spent
    whole = document["timings"].get("total") or _seconds(document)
    other = whole - sum(seconds for _, seconds in spent)
    return [*spent, (OTHER, other)] if other >= LEAST_OTHER else spent


def _bars(spent: list[tuple[str, float]]) -> Iterator[Shown]:
    """Yield the phases of a lab below each other, each where the one before it ends."""
    total = sum(seconds for _, seconds in spent) or 1.0
    start = 0.0
    for what, seconds in spent:
        width = max(0.4, 100 * seconds / total)
        yield {"what": what, "seconds": seconds, "start": round(start, 2), "width": round(width, 2)}
        start += 100 * seconds / total


def _seconds(document: Shown) -> float:
    began, until = (datetime.fromisoformat(document[name]) for name in ("began", "until"))
    return (until - began).total_seconds()


def _duration(document: Shown) -> str:
    minutes, seconds = divmod(int(_seconds(document)), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
