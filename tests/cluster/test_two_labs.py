"""Vagrant and Ansible by hand, with two labs up at once that have the same addresses."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cluster.commands import Done, run
from cluster.left_behind import interfaces, prove_nothing_is_left
from cluster.running import UP_DEADLINE, Checkout, Lab

# Vagrant makes its dotfile folder again whenever it is asked something.
VAGRANTS_OWN = "vagrant"
# By profile. Every day test_side_by_side.py has labs of the same addresses up at once, and
# test_killed.py and test_rebooted.py have Vagrant halt and reload nodes.
NODES = {"lean": ["core-01"], "full": ["core-01", "core-02", "core-03"]}


@pytest.fixture(params=NODES)
def profile(request: pytest.FixtureRequest) -> str:
    """Return the profile of both labs' nodes."""
    return str(request.param)


@pytest.fixture
def labs(copy: Checkout, tmp_path: Path, profile: str) -> Iterator[tuple[Lab, Lab]]:
    """Return the default lab of a copied checkout and its twin of another name, neither up."""
    file = copy.root / "labs" / "coreos.yml"
    as_shipped = file.read_text()
    nodes = f"nodes: {{count: {len(NODES[profile])}, profile: {profile}}}"
    file.write_text(re.sub(r"^nodes: 3\b", nodes, as_shipped, flags=re.MULTILINE))
    twin = tmp_path / "twin.yml"
    twin.write_text(re.sub(r"^name: coreos$", "name: twin", file.read_text(), flags=re.MULTILINE))
    labs = (Lab(copy, "coreos", file), Lab(copy, "twin", twin))
    yield labs
    for lab in labs:
        if lab.state.exists():
            lab.down()
    file.write_text(as_shipped)


class ByHand:
    """Vagrant as typed by hand: plain for the default lab, else with what ``env`` prints."""

    def __init__(self, lab: Lab, *, plain: bool) -> None:
        self.lab, self.plain = lab, plain
        done = lab.checkout.underlay("env", "--lab", str(lab.file), "--json")
        assert done.code == 0, str(done)
        self.variables = done.variables()

    def __call__(self, *words: str) -> Done:
        variables = {} if self.plain else self.variables
        return self.lab.checkout.vagrant(*words, environment=variables)

    def states(self) -> dict[str, str]:
        """Return the state that ``vagrant status`` prints for each node."""
        done = self("status")
        assert done.code == 0, str(done)
        return dict(re.findall(r"^(\S+) +(\S.*?) \(uml\)$", done.out, re.MULTILINE))

    def ansible_ping(self) -> Done:
        """Ping every node by Ansible; with two labs up the inventory needs to be told which."""
        checkout = self.lab.checkout
        command = [checkout.tool("ansible"), "-i", "inventory", "all", "-m", "ping"]
        return run(command, folder=checkout.root, deadline=UP_DEADLINE, environment=self.variables)


@pytest.mark.all
def test_vagrant_by_hand_on_two_labs_with_the_same_addresses(
    labs: tuple[Lab, Lab], profile: str
) -> None:
    before = interfaces()
    nodes = NODES[profile]
    default, twin = labs
    by_hand = (ByHand(default, plain=True), ByHand(twin, plain=False))
    with ThreadPoolExecutor(max_workers=2) as pool:
        for done in pool.map(lambda vagrant: vagrant("up"), by_hand):
            assert done.code == 0, str(done)
    assert [vagrant.states() for vagrant in by_hand] == [dict.fromkeys(nodes, "running")] * 2
    assert default.status()["containers"] == twin.status()["containers"]
    for vagrant, lab in zip(by_hand, labs, strict=True):
        prove_by_hand(vagrant, lab, nodes)
    prove_apart(default, twin)

    done = by_hand[1]("destroy", "-f")
    assert done.code == 0, str(done)
    assert by_hand[1].states() == dict.fromkeys(nodes, "not created")
    assert [path.name for path in twin.state.iterdir()] == [VAGRANTS_OWN]
    default.check().prove_green()

    done = by_hand[0]("destroy", "-f")
    assert done.code == 0, str(done)
    assert by_hand[0].states() == dict.fromkeys(nodes, "not created")
    assert not default.state.exists()
    shutil.rmtree(default.checkout.root / ".vagrant")
    shutil.rmtree(default.checkout.root / ".underlay")
    prove_nothing_is_left(default.checkout, before)


def prove_by_hand(vagrant: ByHand, lab: Lab, nodes: list[str]) -> None:
    """Prove that Vagrant and Ansible lead into the nodes of this very lab."""
    boot = lab.shell("core-01", "cat /proc/sys/kernel/random/boot_id")
    done = vagrant("ssh", "core-01", "-c", "hostname; cat /proc/sys/kernel/random/boot_id")
    assert done.code == 0, str(done)
    assert done.out.replace("\r", "") == f"core-01\n{boot}", str(done)
    done = vagrant.ansible_ping()
    assert done.code == 0, str(done)
    assert [line for line in nodes if f"{line} | SUCCESS" in done.out] == nodes, str(done)


def prove_apart(default: Lab, twin: Lab) -> None:
    """Prove that both labs are green, and that a fault in one doesn't touch the other."""
    default.check().prove_green()
    drop = "iptables --append INPUT --jump DROP"
    cure = drop.replace("--append", "--delete")
    # The default lab is looked at again once its twin is gone.
    with default.broken("lannet-1a", drop, cure, prove_cured=False) as matrix:
        assert matrix.differing
        twin.check().prove_green()
