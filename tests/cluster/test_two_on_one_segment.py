"""Two labs on one segment of machines that exist: each is applied to machines of an inventory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster.commands import Done
from cluster.running import CHECK_DEADLINE, Checkout
from foreign import EVERYTHING, Foreign, foreign_machines

pytestmark = pytest.mark.all

HALL = """\
name: hall
nodes: {count: 4, profile: lean}
segments:
  lan: {subnet: 192.168.70.0/24}
  wan: {subnet: 192.168.80.0/24}
networks:
  spare: {driver: macvlan, segment: lan, subnet: 20.1.0.0/24, runtime: iproute2}
containers:
  - {on: core-01, networks: [spare]}
"""
# A lab that is applied: two containers of each of three networks on each machine.
LAB = """\
name: {name}
nodes:
  names: [{first}, {second}]
  profile: lean
  interfaces:
    {first}:
      eth1: {{addresses: [192.168.70.1{f}/24]}}
      eth2: {{addresses: [192.168.80.1{f}/24]}}
    {second}:
      eth1: {{addresses: [192.168.70.1{s}/24]}}
      eth2: {{addresses: [192.168.80.1{s}/24]}}
segments:
  lan: {{subnet: 192.168.70.0/24}}
  wan: {{subnet: 192.168.80.0/24}}
networks:
  {name}-a: {{driver: macvlan, segment: lan, subnet: 20.1.{net}.0/24, runtime: cni}}
  {name}-b: {{driver: macvlan, segment: lan, subnet: 20.2.{net}.0/24, runtime: iproute2}}
  {name}-c: {{driver: ipvlan, segment: wan, subnet: 20.3.{net}.0/24, runtime: iproute2}}
containers:
  - {{on: all, count: 2, networks: [{name}-a]}}
  - {{on: all, count: 2, networks: [{name}-b]}}
  - {{on: all, count: 2, networks: [{name}-c]}}
"""
EAST, WEST = ("core-01", "core-02"), ("core-03", "core-04")
LINKS = """
for space in $(ls /run/netns 2>/dev/null); do
    ip -n $space -oneline link; ip -n $space -oneline address
done
"""


@dataclass(frozen=True)
class Applied:
    """A lab's file, and the inventory of the two machines that it is for."""

    file: Path
    inventory: Path
    names: tuple[str, str]


@pytest.fixture(scope="module")
def hall(copy: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Foreign]:
    """Return four machines in the same two segments, whose user sudo lets do everything."""
    folder = tmp_path_factory.mktemp("hall")
    with foreign_machines(copy, folder, "hall", HALL) as found, found.sudoers(EVERYTHING):
        yield found


@contextmanager
def group(
    hall: Foreign, folder: Path, names: tuple[str, str], lab: str, net: int
) -> Iterator[Applied]:
    """Write a lab called ``lab`` for two machines, in the ranges number ``net``."""
    place = folder / f"{lab}-{names[0]}-{net}"
    place.mkdir()
    first, second = names
    file = place / f"{lab}.yml"
    f, s = first[-1], second[-1]
    file.write_text(LAB.format(name=lab, first=first, second=second, f=f, s=s, net=net))
    others = [name for name in hall.names if name not in names]
    with hall.without(place, *others) as inventory:
        yield Applied(file, inventory, names)


def verb(here: Checkout, of: Applied, name: str, *words: str) -> Done:
    command = (name, *words, "-i", str(of.inventory), "--json")
    return here.underlay(*command, deadline=CHECK_DEADLINE)


def prove_green(here: Checkout, of: Applied) -> None:
    done = verb(here, of, "check", str(of.file), "--sudo")
    assert done.code == 0, str(done)
    summary = done.document()["summary"]
    assert summary["cells"] == summary["as_expected"] > 0, str(done)


def on_wire(hall: Foreign, names: tuple[str, str], kind: str, pattern: str) -> set[str]:
    """Return what stands behind ``kind`` for interfaces in machines' namespaces, but loopback."""
    listed = "".join(hall.root(name, LINKS) for name in names)
    found = [
        match[1]
        for line in listed.splitlines()
        if " lo" not in line and (match := re.search(rf"{kind} ({pattern})", line))
    ]
    return set(found)


@pytest.fixture
def labs(here: Checkout, hall: Foreign, tmp_path: Path) -> Iterator[ExitStack]:
    """Leave nothing applied on any machine, whatever became of the test."""
    with ExitStack() as stack:
        yield stack
        done = here.underlay("down", "-i", str(hall.inventory), deadline=CHECK_DEADLINE)
        assert done.code == 0, str(done)


def test_two_labs_have_nothing_in_common_and_go_each_by_itself(
    here: Checkout, hall: Foreign, labs: ExitStack, tmp_path: Path
) -> None:
    before = hall.listing()
    east = labs.enter_context(group(hall, tmp_path, EAST, "east", 1))
    west = labs.enter_context(group(hall, tmp_path, WEST, "west", 2))
    for each in (east, west):
        done = verb(here, each, "up", str(each.file))
        assert done.code == 0, str(done)
    for each in (east, west):
        prove_green(here, each)
    for kind, pattern in (
        ("inet", r"[\d.]+"),
        ("inet6", r"[\da-f:]+"),
        ("link/ether", r"[\da-f:]+"),
    ):
        first, second = (on_wire(hall, names, kind, pattern) for names in (EAST, WEST))
        assert first
        assert second
        # Children of ipvlan have the MAC address of their machine's NIC: of another one each.
        assert not first & second, first & second
    done = verb(here, east, "down")
    assert done.code == 0, str(done)
    prove_green(here, west)
    state = verb(here, east, "status").document()["machines"]
    assert {one["lab"] for one in state} == {None}
    done = verb(here, west, "down")
    assert done.code == 0, str(done)
    assert hall.listing() == before


# By what the second lab has in common with the first, which is `east` in the ranges number 1: what
# it is called, its ranges, what is said of each of its containers, and how often on a machine.
# Children of ipvlan have no MAC addresses of their own.
CONFLICTS = {
    "its MAC addresses": (
        "east", 2, r"the MAC address [\da-f:]+ of east-[ab]-\d[ab] is in use: ", 4,
    ),
    "its addresses": (
        "west", 1, r"the address 20\.[123]\.1\.\d+ of west-[abc]-\d[ab] is in use: ", 6,
    ),
}  # fmt: skip


@pytest.mark.parametrize("common", CONFLICTS)
def test_a_second_lab_that_has_something_in_common_is_refused_and_changes_nothing(
    here: Checkout, hall: Foreign, labs: ExitStack, tmp_path: Path, common: str
) -> None:
    name, net, words, many = CONFLICTS[common]
    east = labs.enter_context(group(hall, tmp_path, EAST, "east", 1))
    other = labs.enter_context(group(hall, tmp_path, WEST, name, net))
    done = verb(here, east, "up", str(east.file))
    assert done.code == 0, str(done)
    before = hall.listing()
    having = on_wire(hall, EAST, "link/ether", r"[\da-f:]+")
    done = verb(here, other, "up", str(other.file))
    assert done.code == 3, str(done)
    assert hall.listing() == before
    for machine in done.document()["machines"]:
        assert machine["name"] in WEST
        found = [one["found"] for one in machine["conflicts"]]
        assert len(found) == many, str(done)
        for text in found:
            match = re.fullmatch(rf"{words}([\da-f:]+) answered (core-0[34])", text)
            assert match, text
            assert match[1] in having, text
            assert f"{machine['name']}: in the way: {text}" in done.err
    prove_green(here, east)
