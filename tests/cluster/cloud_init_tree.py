"""Run by the machine's own Python in a namespace: what cloud-init makes of seeds, on empty trees.

    python3 cloud_init_tree.py PACKAGES ID

PACKAGES are the Python packages of the nodes' image, cloud-init among them, and ID is the one that
networkd's account and group have there. Standard input is a
JSON list of [folder of a seed, folder for its tree]; standard output the trees: by seed, path and
[kind, mode, owner, group, content]. Each tree is the root of a process of its own. What cloud-init
does beside files, such as setting a host's name, isn't done.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])

import yaml
from cloudinit import cloud, distros, helpers
from cloudinit.config import cc_update_etc_hosts, cc_write_files
from cloudinit.net import network_state, networkd
from cloudinit.sources import DataSourceNone

NETWORKD = int(sys.argv[2])
PASSWD = f"root:x:0:0::/root:/bin/sh\nsystemd-network:x:{NETWORKD}:{NETWORKD}::/:/bin/false\n"
GROUP = f"root:x:0:\nsystemd-network:x:{NETWORKD}:\n"
# image/setup.sh
HOSTS = "127.0.0.1 localhost\n::1 localhost\n"
GIVEN = {"etc/passwd": PASSWD, "etc/group": GROUP, "etc/hosts": HOSTS}


def make(said: dict, network: dict, name: str) -> None:
    """Have cloud-init do to the root, which is this process's own, what a seed says."""
    distro = distros.fetch("debian")("debian", {}, helpers.Paths({}))
    seed = DataSourceNone.DataSourceNone({}, distro, helpers.Paths({}))
    seed.metadata = {"local-hostname": name}
    machine = cloud.Cloud(seed, helpers.Paths({}), {}, distro, None)
    cc_write_files.handle("write_files", said, machine, [])
    cc_update_etc_hosts.handle("update_etc_hosts", said, machine, [])
    distro._write_hostname(name, "/etc/hostname")
    renderer = networkd.Renderer({})
    state = network_state.parse_net_config_data(network, renderer=renderer)
    renderer.render_network_state(network_state=state)


def tree() -> dict[str, list]:
    """Return all that is below the root but what was given there."""
    found = {}
    for path in sorted(Path("/").rglob("*")):
        facts = path.lstat()
        mode, owner = stat.S_IMODE(facts.st_mode), [facts.st_uid, facts.st_gid]
        content = "" if path.is_dir() else path.read_text()
        if str(path)[1:] not in ("etc/passwd", "etc/group"):
            found[str(path)] = ["folder" if path.is_dir() else "file", mode, *owner, content]
    return found


def one(seed: str, root: str) -> dict[str, list]:
    """Return the tree of a seed, made below the folder ``root``."""
    said, network, meta = (
        yaml.safe_load((Path(seed) / name).read_text())
        for name in ("user-data", "network-config", "meta-data")
    )
    for name, text in GIVEN.items():
        (Path(root) / name).parent.mkdir(parents=True, exist_ok=True)
        (Path(root) / name).write_text(text)
    out, into = os.pipe()
    child = os.fork()
    if not child:
        os.close(out)
        os.chroot(root)
        os.chdir("/")
        make(said, network, meta["local-hostname"])
        with os.fdopen(into, "w") as file:
            json.dump(tree(), file)
        os._exit(0)
    os.close(into)
    with os.fdopen(out) as file:
        text = file.read()
    os.waitpid(child, 0)
    return json.loads(text)


def main() -> None:
    os.umask(0o022)
    # Modules that cloud-init imports when it is first asked aren't below the trees' roots.
    distros.fetch("debian")
    print(json.dumps({seed: one(seed, root) for seed, root in json.load(sys.stdin)}))


main()
