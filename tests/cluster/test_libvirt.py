"""Labs on libvirt: vagrant-libvirt against a libvirtd of the tests' own, which needs root."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from barrier import Barrier
from cluster import test_lie_detector as lies
from cluster.commands import GRACE, Done, clean_environment, run
from cluster.left_behind import interfaces, processes, prove_nothing_is_left
from cluster.own_libvirt import OwnLibvirt, own_libvirt
from cluster.running import Cast, Checkout, Lab, Matrix
from cluster.test_all_labs import proven
from differing import differing, features
from proof import unpacked
from two_kernels import disagreements, told
from underlay.expect import Prediction
from underlay.lint.read import read_lab
from underlay.plan import make_plan
from underlay.proof.records.keeping import keep, read

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a libvirtd of the tests' own needs root")

# An emulated processor on a machine that does something else, too.
SLOW_UP = 420.0

# libvirt's bridges run no spanning tree: a port forwards as soon as it is told to.
CABLE_BACK = 'bridge link set dev "$1" state 3'

PAIR = """\
name: pair
nodes: 2
segments:
  lan: {subnet: 192.168.70.0/24}
  wan: {subnet: 192.168.80.0/24}
networks:
  lannet: {driver: macvlan, segment: lan, subnet: 20.1.1.0/24, runtime: cni}
  ipnet: {driver: ipvlan, segment: wan, subnet: 30.1.1.0/24, runtime: cni}
containers:
  - {on: all, count: 1, networks: [lannet]}
  - {on: all, count: 1, networks: [ipnet]}
"""


@dataclass(frozen=True)
class Inside(Checkout):
    """A checkout whose commands run in the namespaces of a libvirtd."""

    daemon: OwnLibvirt

    def underlay(
        self, *words: str, deadline: float = 60, text: str = "", folder: Path | None = None
    ) -> Done:
        program = str(self.root / "underlay")
        command = self.daemon.enter(folder or self.root, program, *words)
        slow = max(deadline, SLOW_UP) if words[0] == "up" else deadline
        return run(command, folder=self.root, deadline=slow, text=text)

    def start_noting(
        self, code: Path, *words: str, environment: Mapping[str, str]
    ) -> subprocess.Popen[str]:
        """Start ``underlay``, to be interrupted; its exit code is written to the file ``code``.

        An interrupt ends nsenter before the command that it waits for.
        """
        noting = ["sh", "-c", 'trap : INT; "$@"; echo $? >"$0.new"; mv "$0.new" "$0"', str(code)]
        return subprocess.Popen(
            self.daemon.enter(self.root, *noting, str(self.root / "underlay"), *words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=clean_environment() | dict(environment),
            text=True,
        )

    def virsh(self, *words: str) -> str:
        """Return what virsh says inside; it must succeed."""
        command = self.daemon.enter(self.root, "virsh", "--quiet", *words)
        done = run(command, folder=self.root, deadline=30)
        assert done.code == 0, str(done)
        return done.out

    def vagrant_inside(self, lab: Lab, *words: str) -> Done:
        """Run Vagrant by hand inside, with the variables that ``env`` prints for ``lab``."""
        variables = self.underlay("env", "--lab", lab.name, "--json").variables()
        command = self.daemon.enter(self.root, "vagrant", *words)
        return run(command, folder=self.root, deadline=60, environment=variables)

    def prove_libvirt_is_empty(self) -> None:
        """Fail where libvirtd still knows or runs anything."""
        for words in (("list",), ("net-list",), ("pool-list",)):
            assert self.virsh(*words, "--all").strip() == "", words
        command = self.daemon.enter(self.root, "ip", "-brief", "link")
        links = run(command, folder=self.root, deadline=10).out
        assert [line.split()[0] for line in links.splitlines()] == ["lo"], links


class InsideLab(Lab):
    """A lab in there: this process is elsewhere, where its switch isn't."""

    def shell(self, target: str, script: str, *arguments: str) -> str:
        done = self.execute(target, "sh", "-euc", script, "sh", *arguments)
        assert done.code == 0, f"{target}: {script}\n{done}"
        return done.out


@pytest.fixture(scope="module")
def inside(here: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    """Return a copy of the checkout inside a libvirtd of its own."""
    copy = here.copied(tmp_path_factory.mktemp("libvirt") / "underlay")
    with own_libvirt() as daemon:
        yield Inside(copy.root, daemon)


@pytest.fixture
def pair(inside: Inside, tmp_path: Path) -> Iterator[Lab]:
    """Return a lab of two nodes, not up."""
    file = tmp_path / "pair.yml"
    file.write_text(PAIR)
    lab = InsideLab(inside, "pair", file)
    yield lab
    if lab.state.exists():
        lab.down()


# Without KVM two emulated processors take one of the daily run's two for six of its minutes.
@pytest.mark.all
def test_up_check_down(inside: Inside, pair: Lab) -> None:
    """The smoke: what a user does with a lab, and nothing is left of it."""
    before = interfaces()
    done = pair.up("--provider", "libvirt", "--json")
    assert done.code == 0, str(done)
    assert done.document()["provider"] == "libvirt"
    pair.check().prove_green()

    status = pair.status()
    assert (status["state"], status["provider"]) == ("running", "libvirt")
    release = pair.shell("core-01", "uname -r").strip()
    assert release.endswith("-cloud-amd64"), release
    assert "30.1.1.129" in pair.shell("ipnet-2a", "ip -4 -brief address show eth0")
    ports = pair.execute("switch", "bridge", "link")
    assert ports.code == 0, str(ports)
    for segment in status["switch"]["segments"]:
        for port in segment["ports"].values():
            assert f"{port}: " in ports.out
            assert f"master {segment['bridge']} " in ports.out
    done = pair.down()
    assert done.code == 0, str(done)
    inside.prove_libvirt_is_empty()
    assert processes(pair.checkout) == []
    prove_nothing_is_left(pair.checkout, before)


@pytest.mark.all
def test_vagrant_by_hand_and_up_again_find_the_same_machines(inside: Inside, pair: Lab) -> None:
    done = pair.up("--provider", "libvirt")
    assert done.code == 0, str(done)
    done = pair.checkout.underlay("ssh", "--lab", "pair", "core-02", "--", "hostname")
    assert (done.code, done.out) == (0, "core-02\n"), str(done)

    boot = pair.shell("core-01", "cat /proc/sys/kernel/random/boot_id")
    done = inside.vagrant_inside(pair, "status")
    assert done.out.count("running (libvirt)") == 2, str(done)
    done = inside.vagrant_inside(
        pair, "ssh", "core-01", "-c", "cat /proc/sys/kernel/random/boot_id"
    )
    assert done.out.replace("\r", "") == boot, str(done)
    done = pair.up()
    assert done.code == 0, str(done)
    assert pair.shell("core-01", "cat /proc/sys/kernel/random/boot_id") == boot

    # A cable that is cut makes exactly the cells of that node and segment differ.
    with pair.broken("switch", 'bridge link set dev "$1" state 0', CABLE_BACK, "lan-2") as matrix:
        assert matrix.done.code == 1
        assert all("lannet" in str(cell) for cell in matrix.differing), matrix.differing
        assert matrix.differing


@pytest.mark.all
def test_a_machine_that_was_switched_off(inside: Inside, pair: Lab) -> None:
    """It boots afresh; the other one is left alone."""
    done = pair.up("--provider", "libvirt")
    assert done.code == 0, str(done)
    other = pair.shell("core-02", "cat /proc/sys/kernel/random/boot_id")
    inside.virsh("destroy", "underlay-pair-core-01")
    states = {node["name"]: node["state"] for node in pair.status()["nodes"]}
    assert states == {"core-01": "poweroff", "core-02": "running"}
    done = pair.verb("check")
    assert done.code == 3, str(done)
    done = pair.up()
    assert done.code == 0, str(done)
    assert pair.shell("core-02", "cat /proc/sys/kernel/random/boot_id") == other
    pair.check().prove_green()


@pytest.mark.all
@pytest.mark.parametrize(
    "point",
    [("virsh", ""), ("vagrant", "up"), ("qemu-img", "create"), ("ssh", "bash")],
    ids=lambda point: point[0],
)
def test_ctrl_c_during_up_cleans_up(
    inside: Inside,
    pair: Lab,
    point: tuple[str, str],
    barrier: Barrier,
    started: list[subprocess.Popen[str]],
    tmp_path: Path,
) -> None:
    before = interfaces()
    code = tmp_path / "code"
    held = barrier.hold(*point)
    words = ("up", str(pair.file), "--provider", "libvirt")
    process = inside.start_noting(code, *words, environment=barrier.environment)
    started.append(process)
    held.wait(lambda: process.poll() is None, SLOW_UP)
    os.killpg(process.pid, signal.SIGINT)
    held.release()
    limit = time.monotonic() + GRACE
    while not code.exists() and time.monotonic() < limit:
        time.sleep(0.1)
    assert code.read_text() == "130\n"
    inside.prove_libvirt_is_empty()
    prove_nothing_is_left(inside, before)


def test_without_libvirtd_it_says_so(inside: Inside) -> None:
    """Outside of the namespaces no libvirtd runs, here or on most machines."""
    nowhere = "LIBVIRT_DEFAULT_URI=qemu+unix:///system?socket=/nonsuch"
    words = ("up", "labs/coreos.yml", "--provider", "libvirt")
    command = ["env", nowhere, str(inside.root / "underlay"), *words]
    done = run(command, folder=inside.root, deadline=60)
    assert done.code == 3, str(done)
    assert "libvirtd does not answer" in done.err
    assert "hint: sudo systemctl start libvirtd" in done.err
    assert not inside.state("coreos").exists()


# What two kernels must agree about in a cell. Times and resent packets are each one's own.
SAME = ("expected", "observed", "stopped_at", "answered_by", "because")


@pytest.mark.all
@pytest.mark.parametrize("name", ["coreos", "docker-vlan"])
def test_the_same_verdicts_as_on_uml(inside: Inside, name: str) -> None:
    """Cell by cell, the two documents say the same; then faults are seen on libvirt, too."""
    on_uml = measured(Lab(Checkout(inside.root), name, inside.root / "labs" / f"{name}.yml"), "uml")
    lab = InsideLab(inside, name, inside.root / "labs" / f"{name}.yml")
    done = lab.up("--provider", "libvirt")
    assert done.code == 0, str(done)
    try:
        on_libvirt = lab.check()
        on_libvirt.prove_green()
        assert verdicts(on_libvirt) == verdicts(on_uml)
        cast = Cast(lab.status())
        for lie, *words in LIES[name]:
            lie(lab, cast, *words)
    finally:
        done = lab.down()
    assert done.code == 0, str(done)
    inside.prove_libvirt_is_empty()


# Each with what it is told besides the lab and who is in it.
LIES: dict[str, tuple[tuple[Any, ...], ...]] = {
    "coreos": (
        (lies.test_a_parent_that_is_down,),
        (lies.test_a_container_that_drops_what_comes_in, "lannet-2a", "lannet"),
        (lies.test_a_container_that_drops_what_comes_in, "ipnet-1b", "ipnet"),
        (lies.test_a_parent_that_drops_frames, "eth1", "lannet", "ingress", True),
        (lies.test_a_parent_that_drops_frames, "eth1", "lannet", "egress", False),
        (lies.test_a_parent_that_drops_frames, "eth2", "ipnet", "ingress", False),
        (lies.test_a_parent_that_drops_frames, "eth2", "ipnet", "egress", False),
        (lies.test_an_address_that_two_containers_have,),
        (lies.test_a_rule_of_the_node_that_macvlan_never_sees,),
    ),
    "docker-vlan": ((lies.test_a_container_on_the_wrong_vlan,),),
}


def measured(lab: Lab, provider: str) -> Matrix:
    """Start ``lab``, measure it and stop it."""
    done = lab.up("--provider", provider)
    assert done.code == 0, str(done)
    try:
        return lab.check()
    finally:
        lab.down()


def verdicts(matrix: Matrix) -> dict[tuple[str, str, str], tuple[object, ...]]:
    """Return of each cell what must not depend on the provider."""
    return {name: tuple(cell[key] for key in SAME) for name, cell in matrix.cells.items()}


# Emulated processors: some minutes to boot, and some to measure a thousand cells.
LAB_DEADLINE = 1500.0
DOZEN = 12


@cache
def dozen(labs: Path) -> list[str]:
    """Return the shipped labs that differ most, of those that libvirt can run in little memory."""
    plans = [make_plan(read_lab(path)) for path in sorted(labs.glob("*.yml"))]
    able = {p.lab: features(p) for p in plans if not p.hosts and len(p.nodes) == 2}
    return differing(able, DOZEN)


@pytest.mark.all
@pytest.mark.parametrize("place", range(DOZEN))
def test_the_labs_that_differ_most_are_as_predicted_by_another_kernel(
    inside: Inside, place: int
) -> None:
    """Each of the dozen on Debian's own kernel: cell by cell, and stop by stop, as on uml."""
    name = dozen(inside.root / "labs")[place]
    done = inside.underlay(
        "check", f"labs/{name}.yml", "--provider", "libvirt", "--json", deadline=LAB_DEADLINE
    )
    document = done.document()
    (entry,) = document["labs"]
    seen = proven(inside.root / "labs" / f"{name}.yml", entry)
    keep("libvirt", {name: {**seen, "seconds": document["timings"]["total"]}})
    assert done.code == 0, str(done)
    on_uml = read("labs").rows[name]
    assert seen["file"] == on_uml.file, f"docs/proof/labs.json has another {name}: measure it anew"
    cells = Prediction(make_plan(read_lab(inside.root / "labs" / f"{name}.yml"))).reach
    lines = disagreements(cells, unpacked(seen["observed"]), unpacked(on_uml.observed))
    assert not lines, told(lines)
    assert seen.get("values") == on_uml.values
    inside.prove_libvirt_is_empty()
