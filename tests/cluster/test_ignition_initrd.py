"""Ignition in a node's initrd makes there what it makes on the host, and what only it can make."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from cluster.running import Checkout, Lab
from underlay.cluster import ignition
from underlay.cluster.providers.uml.ignited import RENDERED, accounts

pytestmark = pytest.mark.all

LAB = """\
name: inits
fleet: {core-01: core-01}
nodes: {config: ignition, ignition_in: initrd}
containers:
  - {on: all, networks: [lan]}
"""
CNI = {
    "cniVersion": "1.0.0",
    "name": "lan",
    "plugins": [
        {
            "type": "macvlan",
            "master": "eth1",
            "ipam": {"type": "host-local", "ranges": [[{"subnet": "20.1.1.0/24"}]]},
        }
    ],
}
NIC = "[Match]\nName=eth1\n\n[Network]\nAddress=192.168.70.1/24\nLinkLocalAddressing=no\n"
SITE = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=touch /run/site\n\n"
OWNED = {"user": {"name": "core"}, "group": {"name": "core"}}


def file(path: str, text: str, **more: object) -> dict[str, object]:
    """Return a file of Ignition's."""
    return {"path": path, "mode": 0o644, "contents": {"source": f"data:,{quote(text)}"}, **more}


def configuration(*more: dict[str, object]) -> str:
    """Return a host's own configuration, with further files."""
    return json.dumps(
        {
            "ignition": {"version": "3.3.0"},
            "passwd": {
                "groups": [{"name": "web", "gid": 900}],
                "users": [{"name": "alice", "groups": ["web"], "sshAuthorizedKeys": ["one key"]}],
            },
            "storage": {
                "directories": [{"path": "/opt/bin", "mode": 0o755}],
                "files": [
                    file("/etc/systemd/network/10-eth1.network", NIC),
                    file("/etc/cni/net.d/10-lan.conflist", json.dumps(CNI)),
                    file("/etc/motd.d/site", "one\n", **{**OWNED, "mode": 0o640}),
                    *more,
                ],
            },
            "systemd": {
                "units": [
                    {
                        "name": "site.service",
                        "enabled": True,
                        "contents": f"{SITE}[Install]\nWantedBy=multi-user.target\n",
                    }
                ]
            },
        }
    )


@contextmanager
def lab_of(copy: Checkout, folder: Path, config: str) -> Iterator[Lab]:
    """Yield a lab of one host, which isn't up; it is down after the block."""
    (folder / "core-01").mkdir()
    (folder / "core-01" / "config.ign").write_text(config)
    (folder / "lab.yml").write_text(LAB)
    try:
        yield Lab(copy, "inits", folder / "lab.yml")
    finally:
        done = copy.underlay("down", "--all")
    assert done.code == 0, str(done)


def tree(lab: Lab, own: str, folder: Path) -> dict[str, str]:
    """Return what Ignition makes on the host: mode, owner, group and hash of each file."""
    config = lab.state / "files" / "core-01" / RENDERED
    ignition.apply(config, folder / "tree.tar", {"config.ign": own}, accounts(lab.plan))
    found = {}
    with tarfile.open(folder / "tree.tar") as tar:
        for entry in tar:
            if content := tar.extractfile(entry):
                digest = hashlib.sha256(content.read()).hexdigest()
                name = entry.name.removeprefix(".")
                found[name] = f"{entry.mode:o} {entry.uid}:{entry.gid} {digest}"
    del found[TAKEN]
    assert "/etc/motd.d/site" in found
    assert "/etc/underlay/node.json" in found
    return found


def on_node(lab: Lab, paths: list[str]) -> dict[str, str]:
    """Return the same of ``paths`` on the node."""
    script = 'for f; do stat -c "%n %a %u:%g" "$f"; sha256sum <"$f"; done'
    words = lab.shell("core-01", f"sudo sh -c '{script}' sh \"$@\"", *paths).split()
    rows = zip(*[iter(words)] * 5, strict=True)
    return {name: f"{mode} {owner} {digest}" for name, mode, owner, digest, _ in rows}


# The node program takes away what was rendered for NICs that their user has files for.
TAKEN = "/etc/systemd/network/10-cloud-init-eth1.network"
# What no tree for an image has: accounts, by the root's own programs, and what the stage says.
MADE = """
systemctl is-active site
id -nG alice
getent group web
sudo stat -c '%a %U' /home/alice/.ssh/authorized_keys.d/ignition
sudo grep -c 'files passed' /var/lib/underlay/ignition.log
sudo grep provisioningBootID /etc/.ignition-result.json
stat -c '%a %U:%G' / /etc /tmp /home/core /opt/bin
"""


def test_its_tree_is_that_of_the_host_at_the_first_boot_and_after_it(
    copy: Checkout, tmp_path: Path
) -> None:
    own = configuration()
    with lab_of(copy, tmp_path, own) as lab:
        done = lab.up()
        assert done.code == 0, str(done)
        wanted = tree(lab, own, tmp_path)
        assert on_node(lab, list(wanted)) == wanted
        made = lab.shell("core-01", MADE)
        words = made.splitlines()
        assert words[:5] == ["active", "alice web", "web:x:900:alice", "600 alice", "1"]
        assert words[6:] == [
            "755 root:root", "755 root:root", "1777 root:root", "700 core:core", "755 root:root",
        ]  # fmt: skip
        boot = lab.shell("core-01", "cat /proc/sys/kernel/random/boot_id")
        done = lab.verb("check", "--after", "reboot", "--healing", "90", "--json", deadline=900)
        assert done.code == 0, str(done)
        assert lab.shell("core-01", "cat /proc/sys/kernel/random/boot_id") != boot
        assert on_node(lab, list(wanted)) == wanted
        assert lab.shell("core-01", MADE) == made


def test_what_ignition_refuses_there_is_said_with_its_words(copy: Checkout, tmp_path: Path) -> None:
    """A file that the image has is no obstacle on the empty tree of the host."""
    own = configuration(file("/etc/debian_version", "mine\n"))
    with lab_of(copy, tmp_path, own) as lab:
        done = lab.up()
        assert done.code == 3, str(done)
        assert "Ignition's stage files failed, and the node isn't made" in done.err, str(done)
        assert 'error creating file "/sysroot/etc/debian_version"' in done.err
        assert "A file exists there already and overwrite is false" in done.err
        assert "mend the configuration that Ignition's words name" in done.err
