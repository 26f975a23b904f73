"""What holds a container of namespaces alone, on this machine's kernel in a sandbox of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from underlay.storage.paths import root

SANDBOX = ["unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork",
           "--mount-proc", "--kill-child"]  # fmt: skip
# The sandbox has a /run of its own, so that nobody's named namespaces are met. This machine's
# sleep stands where a node has its root file system for containers.
PREPARE = f"""
import json, os, subprocess, sys
sys.path.insert(0, {str(root() / "ansible" / "module_utils")!r})
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
from underlay_node import namespaces, pause
pause.ROOTFS = ""
namespaces.make(["one", "two"])
pause.start("one")
pause.start("two")
pid = int(open("/run/underlay/one/pid").read().split()[0])
"""


def inside(code: str) -> object:
    """Run ``code`` after PREPARE in a sandbox; return the JSON that it prints."""
    done = subprocess.run(
        [*SANDBOX, sys.executable, "-c", PREPARE + code],
        capture_output=True, text=True, timeout=30, check=False, env=dict(os.environ),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_each_has_its_own_host_name_ipc_and_network() -> None:
    found = inside("""
def of(pid, *words):
    words = ["nsenter", "-t", str(pid), "-u", "-i", "-n", *words]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
kinds = ("net", "uts", "ipc", "mnt")
print(json.dumps({
    "name": of(pid, "uname", "-n"),
    "own": [os.readlink(f"/proc/{pid}/ns/{k}") != os.readlink(f"/proc/self/ns/{k}") for k in kinds],
    "there": of(pid, "ip", "netns", "identify", str(pid)),
    "starter": os.uname().nodename,
    "runs": [pause.runs(name) for name in ("one", "two", "three")],
}))
""")
    assert isinstance(found, dict)
    assert found["name"] == "one" != found["starter"]
    assert found["own"] == [True, True, True, False]
    assert found["there"] == "one"
    assert found["runs"] == [True, True, False]


def test_its_end_ends_all_that_runs_in_it_and_nothing_else() -> None:
    found = inside("""
stray = subprocess.Popen(["ip", "netns", "exec", "one", "sleep", "100"])
while os.readlink(f"/proc/{stray.pid}/ns/net") != os.readlink(f"/proc/{pid}/ns/net"):
    pass
pause.end("one")
print(json.dumps({
    "stray": stray.wait(timeout=5), "runs": [pause.runs(name) for name in ("one", "two")],
    "notes": sorted(os.listdir("/run/underlay/one") + os.listdir("/run/underlay/two")),
}))
""")
    assert found == {"stray": -9, "runs": [False, True], "notes": ["pid"]}


def test_a_number_that_somebody_else_has_by_now_is_no_container() -> None:
    found = inside("""
open("/run/underlay/one/pid", "w").write(f"{os.getpid()} 1\\n")
namespaces.remove("one")
print(json.dumps([pause.runs("one"), pause.end("one")]))
""")
    assert found == [False, None]


def test_many_are_made_by_one_ip_and_one_that_fails_hinders_no_other() -> None:
    found = inside("""
from underlay_node import iproute2
subprocess.run(["ip", "link", "add", "eth1", "type", "veth", "peer", "eth2"], check=True)
network = {"name": "net", "driver": "macvlan", "mode": "bridge", "parent": "eth1", "mtu": 1400,
           "attach": "child", "own_mac": True,
           "default_route": "none", "pools": [{"subnet": "10.0.0.0/24", "gateway": ""}]}
def specified(name, number, **other):
    attachment = {"network": "net", "interface": "eth0", "address": f"10.0.0.{number}/24",
                  "address6": "", "mac": f"02:75:00:00:00:{number:02}", "allow": []}
    return {"container": {"name": name, "attachments": [attachment]},
            "networks": {"net": {**network, **other}}}
names = ["three", "four", "five"]
namespaces.make(names)
wanted = [specified("three", 3), specified("four", 4, mtu=9000), specified("five", 5)]
failed = iproute2.create(wanted)
for each in (wanted[0], wanted[2]):
    iproute2.start(each["container"], each["networks"])
runs = [pause.runs(name) for name in names]
ended = iproute2.stop_all([wanted[0], wanted[2]])
free = subprocess.run(["ip", "link", "add", "link", "eth1", "type", "macvlan", "mode", "passthru"])
print(json.dumps({
    "failed": failed, "runs": runs, "ended": ended, "free": free.returncode,
    "left": sorted(os.listdir("/run/netns")),
}))
""")
    assert isinstance(found, dict)
    assert list(found["failed"]) == ["four"]
    assert "link eth1" in found["failed"]["four"], found
    assert "Invalid argument" in found["failed"]["four"] or "mtu" in found["failed"]["four"]
    assert found["runs"] == [True, False, True]
    assert (found["ended"], found["free"], found["left"]) == ({}, 0, ["one", "two"])
