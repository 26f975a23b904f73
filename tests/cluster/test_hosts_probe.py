"""`check -i --probe`: all rows, by one program that a line of sudoers allows by its digest.

The user has no other right on these machines; see foreign.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import doc_pages
from cluster.commands import Done
from cluster.running import CHECK_DEADLINE, Checkout
from foreign import Foreign
from underlay.observe.pinned import PATH, program, sudoers


def checked(here: Checkout, foreign: Foreign, *words: str) -> Done:
    command = ("check", str(foreign.lab.file), "-i", str(foreign.inventory), "--probe", *words)
    return here.underlay(*command, deadline=CHECK_DEADLINE)


@pytest.fixture(scope="module")
def allowed(here: Checkout, foreign: Foreign) -> Iterator[Foreign]:
    """The machines, with the program that `hosts` prints installed, and its line in sudoers."""
    text = here.underlay("hosts", "--print-probe").out
    assert text == program()
    line = here.underlay("hosts", "-i", str(foreign.inventory), "--print-sudoers").out.strip()
    assert line == sudoers("visitor")
    foreign.install(PATH, text)
    try:
        with foreign.sudoers(line):
            yield foreign
    finally:
        for name in foreign.names:
            foreign.root(name, f"rm -f {PATH}")


def tier(here: Checkout, foreign: Foreign) -> set[tuple[str, str]]:
    done = here.underlay("hosts", "-i", str(foreign.inventory), "--json")
    assert done.code == 0, str(done)
    document = done.document()
    assert not doc_pages.wrong_fields(doc_pages.DOCS / "verbs" / "hosts.md", document)
    return {(each["tier"], each["probe"]) for each in document["machines"]}


@pytest.mark.all
def test_without_the_program_the_rows_are_not_measured_and_say_so(
    here: Checkout, foreign: Foreign
) -> None:
    assert tier(here, foreign) == {("reader", "not there")}
    done = checked(here, foreign, "--json")
    assert done.code == 3, str(done)
    cells = done.document()["cells"]
    assert {cell["observed"] for cell in cells} == {"not_measured"}
    assert all("sudo" in cell["reason"] for cell in cells), cells[0]


def test_all_rows_are_measured_and_the_machines_stay_as_they_were(
    here: Checkout, allowed: Foreign
) -> None:
    assert tier(here, allowed) == {("probe", "allowed")}
    before = allowed.listing()
    done = checked(here, allowed, "--json")
    after = allowed.listing()
    assert done.code == 0, str(done)
    found: dict[str, Any] = done.document()
    summary = found["summary"]
    assert summary["cells"] == summary["as_expected"] == 198
    assert (found["live"]["tier"], found["live"]["warm"]) == ("probe", True)
    assert {way["mtu"] for way in found["live"]["ways"]} == {1500}
    for name, listed in before.items():
        assert after[name].splitlines() == listed.splitlines(), name


def test_the_line_allows_that_program_and_nothing_else(allowed: Foreign) -> None:
    name = allowed.names[0]
    for words in (["true"], ["sh", "-c", "true"], [PATH, "x"], ["python3", PATH], ["cat", PATH]):
        done = allowed.ssh(name, "sudo", "-n", *words)
        assert "sudo:" in done.err, str(done)
    done = allowed.ssh(name, "sudo", "-n", PATH)
    assert "nobody said what is to be done" in done.err, str(done)


@pytest.mark.all
def test_a_program_that_was_changed_is_refused(here: Checkout, allowed: Foreign) -> None:
    name = allowed.names[0]
    allowed.root(name, f"echo '# changed' >>{PATH}")
    try:
        done = allowed.ssh(name, "sudo", "-n", PATH)
        assert "sudo:" in done.err, str(done)
        assert ("reader", "another version") in tier(here, allowed)
    finally:
        allowed.install(PATH, program())
    assert tier(here, allowed) == {("probe", "allowed")}


@pytest.mark.all
def test_neighbour_tables_are_flushed_on_the_user_s_word_alone(
    here: Checkout, allowed: Foreign
) -> None:
    """A neighbour of nobody's is there before and after; with --flush it is gone."""
    name = allowed.names[0]
    stale = "192.168.70.200"
    allowed.root(name, f"ip neigh replace {stale} lladdr 02:00:00:00:00:99 nud stale dev eth1")
    shown = f"ip neigh show {stale} dev eth1"
    assert checked(here, allowed).code == 0
    assert "02:00:00:00:00:99" in allowed.root(name, shown)
    done = checked(here, allowed, "--flush", "--json")
    assert done.code == 0, str(done)
    assert done.document()["live"]["warm"] is False
    assert "02:00:00:00:00:99" not in allowed.root(name, shown)


@pytest.mark.all
def test_a_container_is_found_by_its_address_where_its_name_is_another(
    here: Checkout, allowed: Foreign
) -> None:
    container = next(c for c in allowed.lab.plan.containers if c.node == allowed.names[2])
    own, other = f"/run/netns/{container.name}", "/run/netns/cni-4711"
    move = "touch $2; mount --bind $1 $2; umount $1; rm $1"
    allowed.root(container.node, move, own, other)
    try:
        done = checked(here, allowed, "--json")
    finally:
        allowed.root(container.node, move, other, own)
    assert done.code == 0, str(done)


@pytest.mark.all
def test_what_differs_is_explained_from_inside(here: Checkout, allowed: Foreign) -> None:
    container = next(c for c in allowed.lab.plan.containers if c.runtime == "cni")
    address = container.attachments[0].address
    script = "ip -n $1 address del $2 dev eth0"
    allowed.root(container.node, script, container.name, address)
    try:
        done = checked(here, allowed, "--json")
    finally:
        mended = "ip -n $1 address add $2 dev eth0; ip -n $1 route replace default dev eth0"
        allowed.root(container.node, mended, container.name, address)
    assert done.code == 1, str(done)
    found = done.document()
    assert [cause["where"] for cause in found["causes"]] == [f"{container.name}, eth0"], str(done)
    assert checked(here, allowed).code == 0


@pytest.mark.all
def test_a_container_that_is_gone_costs_its_own_cells(here: Checkout, allowed: Foreign) -> None:
    container = next(c for c in allowed.lab.plan.containers if c.node == allowed.names[1])
    own, hidden = f"/run/netns/{container.name}", container.attachments[0].address.ip
    move = "touch $2; mount --bind $1 $2; umount $1; rm $1"
    # Neither its name nor its address is anywhere by then.
    away = f"ip -n {container.name} address del {container.attachments[0].address} dev eth0"
    allowed.root(container.node, away)
    allowed.root(container.node, move, own, "/run/netns/other")
    try:
        done = checked(here, allowed, "--json")
    finally:
        allowed.root(container.node, move, "/run/netns/other", own)
        back = f"ip -n {container.name} address add {container.attachments[0].address} dev eth0"
        allowed.root(
            container.node, f"{back}; ip -n {container.name} route replace default dev eth0"
        )
    cells = done.document()["cells"]
    there = [c for c in cells if container.name in (c["source"], c["destination"])]
    assert {cell["observed"] for cell in there} == {"not_measured"}
    assert all("no namespace here has" in cell["reason"] for cell in there), there[0]
    assert all(hidden in cell["reason"] for cell in there)
    others = [c for c in cells if container.name not in (c["source"], c["destination"])]
    assert all(c["observed"] == c["expected"] for c in others)


@pytest.mark.all
def test_a_survey_reads_and_sends_nothing_as_the_line_allows_no_frames(
    here: Checkout, allowed: Foreign
) -> None:
    words = ("survey", "-i", str(allowed.inventory), "--segment=lan=eth1", "--json")
    before = allowed.listing()
    done = here.underlay(*words, deadline=CHECK_DEADLINE)
    assert done.code == 0, str(done)
    found = done.document()
    assert {one["name"] for one in found["machines"]} == set(allowed.names)
    assert found["frames"] == 0
    verdicts = {one["id"]: one["verdict"] for one in found["sentences"]}
    assert verdicts["macvlan-bridge-beside"] == "works"
    assert verdicts["macvlan-bridge-between"] == "unknown"
    refused = here.underlay(*words, "--send", deadline=CHECK_DEADLINE)
    assert refused.code == 3, str(refused)
    assert "sudo" in " ".join(refused.document()["amiss"])
    after = allowed.listing()
    for name, listed in before.items():
        assert after[name].splitlines() == listed.splitlines(), name
