"""`check -i`: a lab of machines that exist, measured by a user who may do nothing there.

The machines are nodes of another checkout's lab; all that is handed to the engine is an inventory
(foreign.py). What is proven of it is proven by packets at their switch, and by what the machines
look like before and after.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from ruamel.yaml import YAML

from cluster.commands import Done
from cluster.running import CHECK_DEADLINE, Checkout
from foreign import Foreign, Heard
from underlay.observe.on_node.packets import MAGIC
from underlay.plan.naming import PROBE_PORT

OF_HOSTS = ("--only", "core-* -> *")


def checked(here: Checkout, foreign: Foreign, *words: str, inventory: Path | None = None) -> Done:
    file = str(inventory or foreign.inventory)
    command = ("check", str(foreign.lab.file), "-i", file, *words)
    return here.underlay(*command, deadline=CHECK_DEADLINE)


def cells_of(document: dict[str, Any], machine: str) -> list[dict[str, Any]]:
    return [cell for cell in document["cells"] if cell["source"] == machine]


def mine(document: dict[str, Any], foreign: Foreign) -> list[dict[str, Any]]:
    """The rows of hosts, which this tier measures."""
    return [cell for name in foreign.names for cell in cells_of(document, name)]


@pytest.fixture(scope="module")
def found(here: Checkout, foreign: Foreign) -> Any:
    """What a healthy rack shows, and that nothing of it is another afterwards."""
    before = foreign.listing()
    done = checked(here, foreign, "--json")
    after = foreign.listing()
    for name, listed in before.items():
        assert after[name].splitlines() == listed.splitlines(), name
    assert done.code == 3, str(done)
    return done.document()


@pytest.mark.all
def test_the_user_is_refused_by_sudo(foreign: Foreign) -> None:
    for name in foreign.names:
        assert foreign.ssh(name, "id", "-un").out.strip() == "visitor"
        assert foreign.ssh(name, "sudo", "-n", "true").code != 0


def test_rows_of_hosts_are_measured_and_as_expected(
    foreign: Foreign, found: dict[str, Any]
) -> None:
    rows = mine(found, foreign)
    # Each of three asks its own two containers and four others', by three protocols.
    assert len(rows) == 3 * 6 * 3
    wrong = [cell for cell in rows if cell["observed"] != cell["expected"]]
    assert not wrong, wrong[:5]
    assert {cell["observed"] for cell in rows} == {"reachable", "unreachable"}


def test_rows_of_containers_say_that_they_need_the_probe(
    foreign: Foreign, found: dict[str, Any]
) -> None:
    others = [cell for cell in found["cells"] if cell["source"] not in foreign.names]
    assert others
    assert {cell["observed"] for cell in others} == {"not_measured"}
    assert all(cell["reason"].startswith("needs the probe") for cell in others)


def test_the_verdict_is_warm_and_says_what_it_could_not_see(found: dict[str, Any]) -> None:
    live = found["live"]
    assert live["warm"] is True
    assert live["tier"] == "reader"
    assert any("containers" in words for words in live["cannot"])
    assert all("nft" in words for words in live["unread"].values())


def test_all_pairs_of_hosts_reach_each_other_with_whole_packets(
    foreign: Foreign, found: dict[str, Any]
) -> None:
    ways = found["live"]["ways"]
    # Six ordered pairs on each of two segments.
    assert len(ways) == 12
    for way in ways:
        assert (way["mtu"], way["reached"], way["missed"]) == (1500, ["icmp", "tcp", "udp"], {})


def test_of_hosts_alone_it_is_green(here: Checkout, foreign: Foreign, tmp_path: Path) -> None:
    files = {option: tmp_path / option.strip("-") for option in ("--junit", "--html", "--save")}
    words = [word for option, path in files.items() for word in (option, str(path))]
    done = checked(here, foreign, *OF_HOSTS, *words)
    assert done.code == 0, str(done)
    assert "verdicts are warm" in " ".join(done.out.split())
    suites = ElementTree.parse(files["--junit"]).getroot().iter("testsuite")
    for suite in suites:
        told = {each.get("name"): each.get("value") for each in suite.iter("property")}
        assert "verdicts are warm" in str(told["tables"])
    assert "verdicts are warm" in files["--html"].read_text()
    again = here.underlay("report", str(files["--save"]), "--format", "json")
    assert json.loads(again.out)["live"]["warm"] is True


def test_a_container_that_is_cut_off_differs_in_the_rows_of_hosts(
    here: Checkout, foreign: Foreign
) -> None:
    container = next(c for c in foreign.lab.plan.containers if c.runtime == "cni")
    link = container.attachments[0].interface
    foreign.root(container.node, f"ip -n {container.name} link set {link} down")
    try:
        done = checked(here, foreign, *OF_HOSTS, "--json")
    finally:
        # Its default route went with the link.
        script = 'ip -n "$1" link set "$2" up; ip -n "$1" route replace default dev "$2"'
        foreign.root(container.node, script, container.name, link)
    assert done.code == 1, str(done)
    differing = [c for c in done.document()["cells"] if c["expected"] != c["observed"]]
    assert {cell["destination"] for cell in differing} == {container.name}
    # That it is as it was, test_hosts_probe.py sees, which has these machines next.
    assert {cell["source"] for cell in differing} == set(foreign.names) - {container.node}


@pytest.mark.all
def test_a_smaller_mtu_on_one_host_shows_on_its_ways_alone(
    here: Checkout, foreign: Foreign
) -> None:
    small = foreign.names[1]
    foreign.root(small, "ip link set eth2 mtu 1400")
    try:
        done = checked(here, foreign, *OF_HOSTS, "--json")
    finally:
        foreign.root(small, "ip link set eth2 mtu 1500")
    ways = done.document()["live"]["ways"]
    for way in ways:
        # What it sends is smaller. What is sent to it still comes there in one piece.
        through = way["source"] == small and way["source_address"].startswith("192.168.80.")
        assert way["mtu"] == (1400 if through else 1500), way


@pytest.mark.all
def test_one_that_is_not_reached_costs_its_own_cells(
    here: Checkout, foreign: Foreign, tmp_path: Path
) -> None:
    yaml = YAML(typ="safe")
    document = yaml.load(foreign.inventory.read_text())
    gone = foreign.names[2]
    document["all"]["hosts"][gone]["ansible_ssh_common_args"] = "-o ProxyCommand=false"
    file = tmp_path / "one-gone.yml"
    with file.open("w") as open_file:
        yaml.dump(document, open_file)
    done = checked(here, foreign, *OF_HOSTS, "--json", inventory=file)
    assert done.code == 3, str(done)
    found = done.document()
    assert {cell["observed"] for cell in cells_of(found, gone)} == {"not_measured"}
    assert all("ssh did not get there" in cell["reason"] for cell in cells_of(found, gone))
    for name in foreign.names[:2]:
        rows = cells_of(found, name)
        assert rows
        assert all(cell["observed"] == cell["expected"] for cell in rows)


def test_nothing_is_sent_to_a_host_outside_the_inventory(
    here: Checkout, foreign: Foreign, tmp_path: Path
) -> None:
    plan, outside = foreign.lab.plan, foreign.names[2]
    node = plan.node(outside)
    addresses = {nic.address.ip for nic in node.nics}
    addresses |= {c.attachments[0].address.ip for c in plan.containers if c.node == outside}
    heard: dict[str, list[Heard]] = {}
    # What machines say of themselves, such as whether a neighbour of before is still there.
    forget = "for each in '' $(ls /run/netns); do ip ${each:+-n $each} neigh flush all; done"
    for which in ("fewer", "all"):
        for name in foreign.names:
            foreign.root(name, forget)
        with (
            foreign.without(tmp_path, *([outside] if which == "fewer" else [])) as inventory,
            foreign.captured_at_switch() as capture,
        ):
            done = checked(here, foreign, "--json", inventory=inventory)
        heard[which] = [each for each in capture.heard if each.destination in addresses]
        cells = done.document()["cells"]
        if which == "fewer":
            there = [c for c in cells if outside in (c["source"], c["destination"])]
            assert {c["observed"] for c in there} == {"not_measured"}
            told = {c["reason"] for c in there if c["source"] in foreign.names}
            assert told == {f"{outside} is not in the inventory"}
        if which == "fewer":
            assert len(capture.heard) > 50
    assert not heard["fewer"], heard["fewer"][:10]
    assert len(heard["all"]) > 50


@pytest.mark.all
def test_probes_are_marked_and_slow_enough(here: Checkout, foreign: Foreign) -> None:
    """Connections come from the probe's port; ten packets a second leave a machine, not more."""
    source = foreign.lab.plan.node(foreign.names[0]).nics[0].address.ip
    with foreign.captured_at_switch() as capture:
        done = checked(here, foreign, "--rate", "10", "--json")
    assert done.code == 3, str(done)
    sent = [each for each in capture.heard if each.source == source and each.kind != "arp"]
    opened = [each for each in sent if each.opens]
    assert opened
    assert {each.source_port for each in opened} == {PROBE_PORT}
    told = [e for e in sent if e.kind == "udp" or (e.kind == "icmp" and MAGIC in e.text)]
    assert {each.kind for each in told} == {"udp", "icmp"}
    assert all(MAGIC in each.text for each in told)
