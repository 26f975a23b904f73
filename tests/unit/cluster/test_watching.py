"""A word while nodes boot, and an early answer where a node's disk is damaged."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from underlay.cluster.providers.uml.node import refuse_damaged
from underlay.cluster.ready import with_console
from underlay.cluster.spans import KERNEL_TO_SSH, SSH_TO_READY, Span, record
from underlay.cluster.watching import console_end, watching
from underlay.errors import Infrastructure

RED = "\x1b[0;1;31m"
FINE = "EXT4-fs (ubda): mounted filesystem 0 ro with ordered data mode.\n[  OK  ] Started ssh.\n"
DAMAGED = "EXT4-fs error (device ubda): __ext4_find_entry:1658: inode #12290: comm systemd: bad\n"


# What a healthy node's console holds while its kernel starts, in this order.
KERNEL = """mmapper_init - find_iomem failed
uml-vector uml-vector.0 eth0: netif_napi_add_weight() called with weight 128
operation not supported error, dev ubda, sector 10144 op 0x9:(WRITE_ZEROES) flags 0x0 phys_seg 0
"""
CLOUD = "cloud-init[825]: Cloud-init v. 25.1.4 running '{}' at Mon, 30 Nov 2026. Up 5 seconds.\r\n"


def said_last(state: Path, make: Callable[[], None]) -> str:
    """Return what is said of nodes in ``state`` that ``make`` has started."""
    said: list[str] = []
    with watching(state, said.append, 0.05):
        make()
        # One that is on its way by now may know of a part only.
        enough, end = len(said) + 2, time.monotonic() + 10
        while len(said) < enough and time.monotonic() < end:
            time.sleep(0.01)
    return said[-1].partition("; ")[2]


def booted(state: Path, node: str, console: str, *reached: str) -> None:
    """Write what there is of a node that has booted as far as the spans that it has ``reached``."""
    folder = state / "nodes" / node
    folder.mkdir(parents=True)
    (folder / "console.log").write_text(console)
    for what in reached:
        record(state, Span(node, what, time.monotonic(), time.monotonic()))


def test_it_is_said_what_each_node_is_waited_for(tmp_path: Path) -> None:
    def make() -> None:
        booted(tmp_path, "core-01", KERNEL)
        booted(tmp_path, "core-02", KERNEL)
        booted(tmp_path, "core-03", KERNEL, KERNEL_TO_SSH)
        stages = CLOUD.format("init") + "ci-info: " + "+" * 9000 + CLOUD.format("modules:final")
        booted(tmp_path, "core-04", KERNEL + stages, KERNEL_TO_SSH)
        booted(tmp_path, "core-05", KERNEL, KERNEL_TO_SSH, SSH_TO_READY)

    assert said_last(tmp_path, make) == (
        "core-01, core-02: no ssh yet; core-03: its set-up; core-04: cloud-init runs modules:final"
    )


def test_a_node_that_ran_before_is_not_waited_for(tmp_path: Path) -> None:
    booted(tmp_path, "core-01", KERNEL)
    os.utime(tmp_path / "nodes" / "core-01" / "console.log", (1, 1))
    assert said_last(tmp_path, lambda: booted(tmp_path, "core-02", "")) == "core-02: no ssh yet"


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


def test_what_colours_and_moves_is_left_out_whole(tmp_path: Path) -> None:
    printed = (
        f"[{RED}FAILED\x1b[0m] Failed to start \x1b[0;1;39mssh.service\x1b[0m.\r\n"
        "\x1b]0;core-01\x07\x1b[?25l\x1b(B\x1b[6nlogin:\x00 \n"
    )
    plain = "[FAILED] Failed to start ssh.service.\nlogin: \n"
    console = tmp_path / "console.log"
    console.write_text(printed, newline="")
    assert console_end(console) == plain
    assert with_console(Infrastructure("it failed"), printed).detail == f"console:\n{plain}"
