"""Runs that are kept: of a check that is really killed, and compared before and after faults."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import documents
from barrier import Barrier
from cluster.running import Checkout, Lab, written
from cluster.small_lab import small_lab
from underlay.proof.runs.file import read_run

Cell = tuple[str, str, str, int]
SMALL = small_lab("runs", 2, count=2)
FAULTS = 20
DEADLINE = 240.0


@pytest.fixture(scope="module")
def small(copy: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab of two lean nodes with two containers each, up."""
    with written(copy, tmp_path_factory.mktemp("runs"), "runs", SMALL) as lab:
        done = lab.up()
        assert done.code == 0, str(done)
        yield lab


def document(lab: Lab, *words: str) -> tuple[int, dict[str, Any]]:
    """Return the exit code and the document of a check of the lab."""
    done = lab.verb("check", "--json", *words, deadline=DEADLINE)
    page = done.document()
    assert documents.problems("check", page) == [], str(done)
    return done.code, page


def cells(rows: list[dict[str, Any]], *became: str) -> set[Cell]:
    return {
        (row["source"], row["destination"], row["protocol"], row["family"])
        for row in rows
        if not became or row["change"] in became
    }


@pytest.mark.all
def test_a_check_that_was_killed_has_left_what_it_knew(
    small: Lab, tmp_path: Path, barrier: Barrier, started: list[subprocess.Popen[str]]
) -> None:
    """It is killed where it starts its probes, and read where no lab is."""
    save, junit = tmp_path / "run.json", tmp_path / "junit.xml"
    held = barrier.hold("ssh")
    words = ("check", "--lab", small.name, "--save", str(save), "--junit", str(junit))
    checking = small.checkout.start(*words, environment=barrier.environment)
    started.append(checking)
    held.wait(lambda: checking.poll() is None)
    checking.send_signal(signal.SIGKILL)
    checking.wait()
    held.kill()
    early = "the run ended early, while measuring: it was killed"
    assert read_run(save).reached == "measuring"
    assert early in junit.read_text()
    for verb, code in (("report", 0), ("explain", 3)):
        done = small.checkout.underlay(verb, str(save), folder=tmp_path)
        assert done.code == code, str(done)
        assert done.out.startswith(f"{early}\n")


@pytest.mark.all
def test_a_check_that_was_killed_as_nodes_came_up_says_so(
    copy: Checkout, tmp_path: Path, barrier: Barrier, started: list[subprocess.Popen[str]]
) -> None:
    save, file = tmp_path / "run.json", tmp_path / "anew.yml"
    file.write_text(small_lab("anew", 1, count=2))
    held = barrier.hold("unshare")
    checking = copy.start("check", str(file), "--save", str(save), environment=barrier.environment)
    started.append(checking)
    held.wait(lambda: checking.poll() is None)
    checking.send_signal(signal.SIGKILL)
    checking.wait()
    held.kill()
    assert read_run(save).reached == "bringing up"
    done = copy.underlay("report", str(save), folder=tmp_path)
    assert done.out.startswith("the run ended early, while bringing up: it was killed\n")
    # It was held where it would have made its sandbox: there is no lab to end.
    assert "anew" not in copy.underlay("status").out


@pytest.mark.all
def test_two_runs_differ_in_nothing_and_each_fault_in_its_cells(small: Lab, tmp_path: Path) -> None:
    green, red = tmp_path / "green.json", tmp_path / "red.json"
    code, _ = document(small, "--save", str(green))
    assert code == 0
    code, page = document(small, "--baseline", str(green))
    assert code == 0
    same = page["baseline"]["summary"].pop("same")
    assert same == page["summary"]["cells"]
    assert set(page["baseline"]["summary"].values()) == {0}
    assert page["captures"] == []
    listed = json.loads(small.verb("break", "--list", "--json").out)["faults"]
    assert len(listed) >= FAULTS
    # From all over the catalogue, whose order is that of the layers.
    some = listed[:: len(listed) // FAULTS][:FAULTS]
    wrong = [f"{one['id']}: {what}" for one in some for what in problems(small, one, green, red)]
    assert not wrong, "\n".join(wrong)


def problems(lab: Lab, fault: dict[str, Any], green: Path, red: Path) -> Iterator[str]:
    """Yield what isn't as it should be of a fault that is brought about, and mended."""
    done = lab.verb("break", fault["id"], "--json")
    assert done.code == 0, str(done)
    must, may = (cells(done.document()[key]) for key in ("cells", "possible"))
    code, page = document(lab, "--baseline", str(green), "--save", str(red))
    lab.verb("mend", deadline=DEADLINE)
    rows = page["baseline"]["labs"][0]["cells"]
    worse = cells(rows, "worse", "unknown")
    reach = {
        (cell["source"], cell["destination"], cell["protocol"], cell["family"])
        for cell in page["cells"]
        if cell["kind"] == "reach"
    }
    if not must & reach <= worse:
        yield f"not worse: {sorted(must & reach - worse)[:5]}"
    # What never got there may be stopped elsewhere, or its source is silent and proves nothing any
    # more; `break` names what is lost or gained.
    still = {
        cell
        for row in rows
        if row["before"]["observed"] == "unreachable"
        and row["now"]["observed"] in ("unreachable", "not_measured")
        for cell in cells([row])
    }
    if not worse - still <= must | may:
        yield f"worse, and none of its cells: {sorted(worse - still - must - may)[:5]}"
    if rows and cells(rows) != worse:
        yield f"it made something better: {sorted(cells(rows) - worse)[:5]}"
    if code != (1 if cells(rows, "worse") else 3 if worse else 0):
        yield f"exit code {code}"
    if any(row["now"]["differs"] for row in rows) and not page["captures"]:
        yield "nothing was captured"
    code, page = document(lab, "--baseline", str(red))
    rows = page["baseline"]["labs"][0]["cells"]
    if cells(rows, "better") != worse or cells(rows) != worse:
        yield f"mended, and not better in just these: {sorted(cells(rows) ^ worse)[:5]}"
    if code:
        yield f"mended: exit code {code}"
