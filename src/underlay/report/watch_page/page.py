"""The page of a lab that is up: what it is at first, and what it is told as time goes by.

Its matrix, picture and chosen cell are those of the page of a run; ``frontend/`` has both.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from underlay.expect import ends
from underlay.proof.result import LabResult
from underlay.report.run_page.data import measured_document, picture_document
from underlay.report.run_page.page import environment, file_of_page, script_part
from underlay.report.topology.svg import style as picture_style
from underlay.report.watched import clock, rows, sum_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from underlay.faults import Cell as Name
    from underlay.plan import Plan
    from underlay.proof.explanation import Explanation
    from underlay.proof.watched import Measurement

HERE = "underlay.report.watch_page"
# Rows of one measurement that the log names.
MOST = 40
OF_PICTURE = ("kinds", "rows", "ways")
Shown = dict[str, Any]


@dataclass(frozen=True)
class WatchPage:
    """A page's text, and the policy by which a browser runs and fetches nothing from elsewhere."""

    text: str
    policy: str


def watch_page(plan: Plan) -> WatchPage:
    """Return the page of the lab of ``plan``, before anything is measured."""
    picture = picture_document(plan)
    script = (files(HERE) / "watch.js").read_text(encoding="utf-8").strip()
    own = (files(HERE) / "watch.css").read_text(encoding="utf-8")
    fixed = {key: picture[key] for key in OF_PICTURE if key in picture}
    data = json.dumps(fixed, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    text = (
        environment()
        .from_string((files(HERE) / "watch.html.j2").read_text(encoding="utf-8"))
        .render(
            title=plan.lab,
            lab={**picture, "retried": 0, "changed": True},
            n=0,
            style=Markup(picture_style() + file_of_page("page.css") + own),  # noqa: S704 our own
            script=Markup(script),  # noqa: S704 our own file
            data=Markup(data),  # noqa: S704 no "<" is left in it
        )
    )
    return WatchPage(text, policy_for(script))


def policy_for(script: str) -> str:
    """Return the policy by which a page may run ``script`` and ask its own server, and no more."""
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; connect-src 'self';"
        f" script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    )


def measured_part(plan: Plan, measurement: Measurement, explanation: Explanation | None) -> Shown:
    """Return what the page shows of a measurement, and why cells differ where that is known."""
    changed: Iterable[Name] = [
        (one.now.source, one.now.destination, str(one.now.protocol), one.now.family)
        for one in measurement.changes
    ]
    result = LabResult(measurement.verdict, explanation)
    told = measured_document(ends(plan), result, changed)
    return script_part({"lab": plan.lab, "file": "", **told})


def logged(measurement: Measurement) -> Shown | None:
    """Return what the log says of a measurement; None where nothing changed."""
    told = rows(measurement)
    if not told and not measurement.anew:
        return None
    shown = [
        {"sign": one.sign.sign, "who": f"{one.source} → {one.destination}", "words": one.words}
        for one in told[:MOST]
    ]
    if len(told) > MOST:
        shown.append({"sign": "", "who": f"{len(told) - MOST} pairs more", "words": "as well"})
    return {"at": clock(measurement), "rows": shown, "sum": sum_text(measurement)}


def sum_text(measurement: Measurement) -> str:
    """Return how many cells are how, without when that was and whose they are."""
    return sum_of(measurement).plain.partition(": ")[2]
