"""The matrix measured again and again while a lab is broken and mended."""

from __future__ import annotations

import json
import subprocess

import pytest

import doc_pages
from cluster.commands import GRACE, interrupt
from cluster.running import Lab

pytestmark = pytest.mark.parametrize("lab", ["coreos"], indirect=True)

PAGE = doc_pages.DOCS / "verbs" / "watch.md"
CUT = "iptables -I INPUT -p icmp -j DROP"
MENDED = "iptables -D INPUT -p icmp -j DROP"
CELL = "lannet-1a", "lannet-2a", "icmp"
MOST = 20  # measurements within which a change is seen


def test_what_is_broken_and_mended_meanwhile_is_told_cell_by_cell(lab: Lab) -> None:
    words = ["watch", "--lab", lab.name, "--interval", "0.5", "--json"]
    process = lab.checkout.start(*words, stdout=subprocess.PIPE)
    assert process.stdout is not None
    read = process.stdout.readline

    def until(as_expected: bool) -> dict[tuple[str, str, str], bool]:
        """Return what has changed by the time that ``CELL`` has; some may be ahead of the rest."""
        changed: dict[tuple[str, str, str], bool] = {}
        for _ in range(MOST):
            document = json.loads(read())
            if document["changes"]:
                # Its cells are as those of check, which has a page for them.
                told = {**document, "cells": []}
                assert not doc_pages.wrong_fields(PAGE, told, ("cells",))
            for one in document["changes"]:
                cell = one["source"], one["destination"], one["protocol"]
                changed[cell] = one["now"]["as_expected"]
            if changed.get(CELL) is as_expected:
                return changed
        pytest.fail(f"{CELL} did not change; these did: {changed}")

    broken = False
    try:
        first = json.loads(read())
        assert first["anew"]
        assert not first["cells"]
        assert not first["changes"]
        lab.shell("lannet-2a", CUT)
        broken = True
        cut = until(False)
        assert {protocol for _, _, protocol in cut} == {"icmp"}
        assert all("lannet-2a" in (source, destination) for source, destination, _ in cut)
        lab.shell("lannet-2a", MENDED)
        broken = False
        until(True)
        assert interrupt(process, GRACE) == 130
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=GRACE)
        if broken:
            lab.shell("lannet-2a", MENDED)
