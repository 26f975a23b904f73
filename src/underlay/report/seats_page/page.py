"""The page of all seats of a workshop: what it is at first; what it shows is asked for."""

from __future__ import annotations

from importlib.resources import files

from markupsafe import Markup

from underlay.report.run_page.page import environment, file_of_page
from underlay.report.watch_page.page import WatchPage, policy_for

HERE = "underlay.report.seats_page"


def seats_page(title: str, workshop: str) -> WatchPage:
    """Return the page of the ``workshop`` whose course is called ``title``."""
    script = _file("seats.js").strip()
    text = (
        environment()
        .from_string(_file("seats.html.j2"))
        .render(
            title=title,
            workshop=workshop,
            style=Markup(file_of_page("page.css") + _file("seats.css")),  # noqa: S704 our own
            script=Markup(script),  # noqa: S704 our own file
        )
    )
    return WatchPage(text, policy_for(script))


def _file(name: str) -> str:
    return (files(HERE) / name).read_text(encoding="utf-8")
