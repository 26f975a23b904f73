"""Lines of a page that a learner's terminal breaks: they go on where they began."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.text import Text

from underlay.cli.wrapping import hanging

EVIDENCE = "    2: eth1: <BROADCAST,MULTICAST> mtu 1500 qdisc pfifo_fast state DOWN mode DEFAULT"


def page() -> Text:
    text = Text().append("Cause 1: a parent is down (parent-down)\n", "bold")
    text.append("  core-01: ip -details link show\n", "dim")
    return text.append(f"{EVIDENCE}\n\n")


def printed(text: Text, console: Console) -> list[str]:
    console.print(text, end="")
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().split("\n")


@pytest.mark.parametrize("width", [30, 40, 60])
def test_what_is_broken_goes_on_as_far_in(width: int) -> None:
    console = Console(file=io.StringIO(), width=width, soft_wrap=False)
    lines = printed(hanging(page(), console), console)
    assert max(map(len, lines)) <= width
    where = lines.index(next(line for line in lines if line.startswith("    2: eth1:")))
    evidence = lines[where:-2]
    assert len(evidence) > 1
    assert all(line.startswith("    ") for line in evidence)
    assert " ".join(line.strip() for line in evidence) == EVIDENCE.strip()
    # The page ends as it did.
    assert lines[-2:] == ["", ""]


def test_where_nobody_breaks_lines_each_stays_whole() -> None:
    console = Console(file=io.StringIO(), width=20, soft_wrap=True)
    assert EVIDENCE in printed(hanging(page(), console), console)


def test_styles_are_those_of_the_words() -> None:
    text = hanging(page(), Console(file=io.StringIO(), width=40, soft_wrap=False))
    bold = [text.plain[span.start : span.end] for span in text.spans if span.style == "bold"]
    assert " ".join("".join(bold).split()) == "Cause 1: a parent is down (parent-down)"
