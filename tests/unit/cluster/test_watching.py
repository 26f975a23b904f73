"""A word while nodes boot, and an early answer where a node's disk is damaged."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from underlay.cluster.providers.uml.node import refuse_damaged
from underlay.cluster.watching import watching
from underlay.errors import Infrastructure

FINE = "EXT4-fs (ubda): mounted filesystem 0 ro with ordered data mode.\n[  OK  ] Started ssh.\n"
DAMAGED = "EXT4-fs error (device ubda): __ext4_find_entry:1658: inode #12290: comm systemd: bad\n"


def test_what_the_console_said_last_is_said(tmp_path: Path) -> None:
    console = tmp_path / "nodes" / "core-01" / "console.log"
    console.parent.mkdir(parents=True)
    console.write_text("one\n\033[0mtwo\n")
    said: list[str] = []
    with watching(tmp_path, said.append, 0.01):
        end = time.monotonic() + 10
        while not said and time.monotonic() < end:
            time.sleep(0.01)
    assert said[0] == "booting since 0 s; core-01: [0mtwo"


def test_nothing_is_said_of_what_is_quick(tmp_path: Path) -> None:
    said: list[str] = []
    with watching(tmp_path, said.append):
        pass
    assert said == []


def test_a_damaged_disk_is_an_early_answer(tmp_path: Path) -> None:
    console = tmp_path / "console.log"
    refuse_damaged("core-01", console, "hint")
    console.write_text(FINE)
    refuse_damaged("core-01", console, "hint")
    console.write_text(FINE + DAMAGED)
    with pytest.raises(Infrastructure, match="core-01: its disk is damaged: EXT4-fs error") as said:
        refuse_damaged("core-01", console, "underlay image build --force")
    assert said.value.hint == "underlay image build --force"
