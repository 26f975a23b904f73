"""The Vagrantfile for VirtualBox, loaded by Vagrant with a stub of VBoxManage and read, not run."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from underlay.cluster.prepare import load_plan
from underlay.cluster.providers.virtualbox.provider import VirtualBox
from underlay.errors import BadInput, Infrastructure
from underlay.plan import Plan
from underlay.storage import paths

STUBS = Path(__file__).with_name("stubs")
LAB = """\
name: boxed
nodes: 2
image: {path: my.box}
segments:
  lan: {subnet: 192.168.70.0/24}
  wan: {subnet: 192.168.80.0/24}
networks:
  lannet: {driver: macvlan, segment: lan, subnet: 20.1.1.0/24}
containers:
  - {count: 1, networks: [lannet]}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "boxed.yml"
    file.write_text(LAB)
    return file


@pytest.fixture
def machines(file: Path, tmp_path: Path) -> dict[str, Any]:
    """Return what Vagrant read, per machine."""
    environment = {
        **os.environ,
        "PATH": f"{STUBS}:{os.environ['PATH']}",
        "UNDERLAY_LAB": str(file),
        "UNDERLAY_PROVIDER": "virtualbox",
        "VAGRANT_DOTFILE_PATH": str(tmp_path / "dotfile"),
    }
    script = str(STUBS / "machines.rb")
    done = subprocess.run(
        ["ruby", script, str(paths.root()), "virtualbox"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    read: dict[str, Any] = json.loads(done.stdout)
    return read


def adapters(plan: Plan, node: str) -> dict[int, tuple[str, str, str]]:
    """Return MAC, address and network name by adapter, as the plan has them."""
    planned = plan.node(node)
    nics = [planned.management, *planned.nics]
    return {
        number: (
            nic.mac.replace(":", ""),
            nic.address.partition("/")[0],
            "" if nic == planned.management else f"underlay-{plan.lab}-{nic.segment}",
        )
        for number, nic in enumerate(nics, 2)
    }


def test_what_vagrant_reads(file: Path, machines: dict[str, Any], tmp_path: Path) -> None:
    plan = load_plan(file)
    assert list(machines) == ["core-01", "core-02"]
    for name, machine in machines.items():
        read = {
            network["adapter"]: (
                network["mac"], network["ip"], network.get("virtualbox__intnet", "")
            )
            for network in machine["networks"]
            if network["kind"] == "private_network"
        }  # fmt: skip
        assert read == adapters(plan, name)
        lines = [" ".join(words) for words in machine["customize"]]
        # Adapter 1 is Vagrant's own, 2 is management; macvlan's children are behind the others.
        promiscuous = [line for line in lines if "promisc" in line]
        assert promiscuous == [f"modifyvm id --nicpromisc{n} allow-all" for n in (3, 4)]
        assert "modifyvm id --nic1 none" in lines
        seed = paths.state("boxed") / "nodes" / name / "seed.iso"
        (attached,) = [line for line in lines if line.startswith("storageattach")]
        assert attached.endswith(f"--type dvddrive --medium {seed}")
        assert machine["box"] == str(tmp_path / "my.box")
        assert machine["host"] == adapters(plan, name)[2][1]
        # The key is made by the first `up`; there is nothing else that Vagrant objects to.
        said = [message for group in machine["errors"].values() for message in group]
        assert [m for m in said if not re.search("private_key_path.*must exist", m)] == []


def test_it_says_what_it_lacks(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = load_plan(file)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Infrastructure, match="VirtualBox is not installed"):
        VirtualBox().prepare(plan, tmp_path, print)
    monkeypatch.setenv("PATH", str(STUBS))
    file.write_text(LAB.replace("image: {path: my.box}\n", ""))
    with pytest.raises(BadInput, match="box of your own"):
        VirtualBox().prepare(load_plan(file), tmp_path, print)
