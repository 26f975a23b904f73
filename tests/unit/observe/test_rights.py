"""What one may do on a machine is asked of a real kernel, and what would allow more is said."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from underlay.observe.rights import SCRIPT

# A namespace of its own allows nobody's echo requests, until its sysctl says whose.
ALLOWED = "echo '0 0' >/proc/sys/net/ipv4/ping_group_range"


def told(script: str, path: str) -> dict[str, str]:
    """Return what the script says as the only user of a namespace, by its first words."""
    text = SCRIPT.format(python=sys.executable, path="/nowhere/probe")
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", f"{script}\n{text}"],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return dict(line.partition(" ")[::2] for line in done.stdout.splitlines())


def without_ping(folder: Path) -> str:
    """Return a search path that has all that the script runs, but no ping."""
    for name in ("id", "grep", "sha256sum", "sh", "unshare", "ip"):
        for place in ("/usr/bin", "/usr/sbin", "/bin", "/sbin"):
            if Path(place, name).exists() and not (folder / name).exists():
                (folder / name).symlink_to(Path(place, name))
    return str(folder)


@pytest.mark.parametrize(
    ("script", "icmp"), [(ALLOWED, "datagram"), ("true", "none")], ids=["allowed", "left-out"]
)
def test_whether_this_user_may_send_echo_requests_is_asked_of_the_kernel(
    tmp_path: Path, script: str, icmp: str
) -> None:
    said = told(script, without_ping(tmp_path))
    assert said["icmp"] == icmp
    assert said["python"].startswith("3.")
    assert said["digest"] == ""


@pytest.mark.skipif(shutil.which("ping") is None, reason="apt install iputils-ping")
def test_a_ping_that_may_stands_for_a_socket_of_its_own() -> None:
    assert told("ip link set lo up", os.environ["PATH"] + ":/usr/sbin:/sbin")["icmp"] == "ping"
