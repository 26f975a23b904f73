"""What is wanted of a lab, held against packets of a real node: kept, and broken in both ways."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.running import CHECK_DEADLINE, Checkout, Lab, written
from cluster.small_lab import small_lab

WANTED = """\
expect:
  - lannet-1a -> lannet-1b
  - lannet -x core-01
"""
UNWANTED = "  - lannet-1b -x lannet-1c icmp\n"
DROP = "iptables-legacy -w 5 -{} INPUT -p tcp -j DROP"


@pytest.fixture
def wanted(copy: Checkout, tmp_path: Path) -> Iterator[Lab]:
    with written(copy, tmp_path, "wanted", small_lab("wanted", 1, count=3) + WANTED) as lab:
        yield lab


def checked(lab: Lab, *words: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Return the exit code, the sums, and how it stands with each statement."""
    done = lab.verb("check", "--json", *words, deadline=CHECK_DEADLINE)
    document: dict[str, Any] = done.document()
    assert "intent" in document, str(done)
    return done.code, document["summary"], {i["statement"]: i["word"] for i in document["intent"]}


def test_statements_are_kept_and_broken_as_predicted_and_not(wanted: Lab) -> None:
    done = wanted.up()
    assert done.code == 0, str(done)
    both = {"lannet-1a -> lannet-1b": "kept", "lannet -x core-01": "kept"}
    code, summary, words = checked(wanted)
    assert (code, summary["differs"], words) == (0, 0, both)

    # All is as predicted, and one statement more isn't kept by that; the lab stays as it is.
    wanted.file.write_text(wanted.file.read_text() + UNWANTED)
    against = {**both, "lannet-1b -x lannet-1c icmp": "broken"}
    code, summary, words = checked(wanted)
    assert (code, summary["differs"], summary["statements_broken"], words) == (1, 0, 1, against)
    code, summary, words = checked(wanted, "--only", "lannet-1a", "--protocol", "tcp")
    assert (code, summary["statements"], words) == (0, 2, both)

    wanted.shell("lannet-1b", DROP.format("A"))
    code, summary, words = checked(wanted, "--only", "lannet-1a -> lannet-1b")
    assert (code, words) == (1, {"lannet-1a -> lannet-1b": "broken"})
    assert (summary["differs"], summary["statements_broken"]) == (1, 1)
    wanted.shell("lannet-1b", DROP.format("D"))
    code, summary, words = checked(wanted)
    assert (code, summary["differs"], words) == (1, 0, against)
