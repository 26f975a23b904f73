"""A namespace tells of all errors while it is measured, and looks for no router; then as before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from underlay.observe.commands import probe_command
from unit.observe.test_probe_deadline import ALONE, PATIENCE, task

SOURCE = Path(__file__).resolve().parents[3] / "src"
LIMITS = ["/proc/sys/net/ipv4/icmp_ratelimit", "/proc/sys/net/ipv6/icmp/ratelimit"]
SOLICITATIONS = "/proc/sys/net/ipv6/conf/own/router_solicitations"
CHANGES = """
import subprocess, sys
from underlay.observe.on_node.settings import Settings
link = "ip link add own type veth peer name other"
subprocess.run(link.split(), check=True, timeout=10)
def told(): print(*(open(path).read().strip() for path in sys.argv[1:]))
open(sys.argv[1], "w").write("700")
told()
settings = Settings()
told()
settings.restore()
told()
settings.restore()
told()
"""


def test_settings_are_changed_and_come_back() -> None:
    done = subprocess.run(
        [*ALONE, sys.executable, "-c", CHANGES, *LIMITS, SOLICITATIONS],
        env={"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    before, *then = done.stdout.splitlines()
    assert before.startswith("700 ")
    assert before.split()[2] != "0"
    assert then == ["0 0 0", before, before]


@pytest.mark.parametrize("ending", ["its caller is gone", "nobody says a word", "it has done all"])
def test_a_probe_leaves_them_as_it_found_them(ending: str) -> None:
    told = "cat " + " ".join(LIMITS)
    script = f'{told}; "$@" >&2; echo $?; {told}'
    process = subprocess.Popen(
        [*ALONE, "sh", "-c", script, "sh", *probe_command(PATIENCE)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin
    assert process.stdout
    assert process.stderr
    try:
        process.stdin.write(task(PATIENCE).encode() + b"\n")
        process.stdin.flush()
        assert process.stderr.readline() == b"ready\n"
        if ending == "it has done all":
            process.stdin.write(b"stop\n")
            process.stdin.flush()
        if ending == "its caller is gone":
            process.stdin.close()
        said = process.stdout.read().split()
    finally:
        process.kill()
        process.wait()
    assert said[2] == (b"0" if ending == "it has done all" else b"3")
    assert said[3:] == said[:2] != [b"0", b"0"]
