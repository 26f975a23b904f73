"""Running nodes become other labs' and the file's, and a folder of labs is proven beside them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import doc_pages
from barrier import Barrier
from cluster.commands import Done
from cluster.left_behind import interfaces, prove_nothing_is_left
from cluster.running import Checkout, Lab
from cluster.small_lab import small_lab

FIRST = small_lab("first", 1, count=2)
# The card's segment has another name, size and policy; another runtime and driver.
SECOND = """\
name: second
nodes: {count: 1, profile: lean}
segments:
  wan: {subnet: 192.168.80.0/24, mtu: 1400, hairpin: true}
networks:
  wannet: {driver: ipvlan, segment: wan, subnet: 30.1.1.0/24, runtime: iproute2}
containers:
  - {on: all, count: 3, networks: [wannet]}
hosts:
  peer: {on: {wan: {}}}
"""
LARGER = FIRST.replace("first", "larger").replace("count: 1,", "count: 1, memory: 600,")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the labs that the running one becomes."""
    folder = tmp_path_factory.mktemp("switching")
    for text in (FIRST, SECOND, LARGER):
        (folder / f"{text.split()[1]}.yml").write_text(text)
    return folder


@pytest.fixture(scope="module")
def labs(copy: Checkout, files: Path) -> Iterator[dict[str, Lab]]:
    """Return the two labs by name; each test finds the first one up, and leaves it so."""
    before = interfaces()
    found = {name: Lab(copy, name, files / f"{name}.yml") for name in ("first", "second")}
    done = found["first"].up()
    if done.code:
        pytest.fail(str(done), pytrace=False)
    yield found
    done = copy.underlay("down", "--all")
    assert done.code == 0, str(done)
    prove_nothing_is_left(copy, before)


def switched(to: Lab, *words: str) -> None:
    done = to.checkout.underlay("switch", str(to.file), *words, deadline=120)
    assert done.code == 0, str(done)


def kernel(lab: Lab) -> str:
    """Return what a node's kernel has until it is booted again."""
    return lab.shell("core-01", "cat /proc/sys/kernel/random/boot_id")


def test_a_lab_becomes_another_and_itself_again_on_the_same_nodes(labs: dict[str, Lab]) -> None:
    first, second = labs["first"], labs["second"]
    booted = kernel(first)
    first.check().prove_green()
    switched(second)
    assert not first.state.exists()
    second.check().prove_green()
    assert second.execute("peer", "ip", "route").code == 0
    switched(first)
    first.check().prove_green()
    assert first.execute("switch", "ip", "link", "show", "br-wan").code != 0
    assert kernel(first) == booted


def test_a_lab_that_needs_other_nodes_is_refused_and_nothing_changes(
    labs: dict[str, Lab], files: Path
) -> None:
    first = labs["first"]
    done = first.checkout.underlay("switch", str(files / "larger.yml"))
    assert done.code == 2, str(done)
    assert "MiB of memory: it has 512, larger needs 600" in done.err
    assert "underlay up" in done.err
    first.check().prove_green()


@pytest.mark.all
def test_a_switch_that_is_killed_is_made_whole_by_another(
    labs: dict[str, Lab], barrier: Barrier, started: list[subprocess.Popen[str]]
) -> None:
    first, second = labs["first"], labs["second"]
    held = barrier.hold("ssh", when=f"[ -e '{second.state}/switching' ]")
    words = ("switch", str(second.file))
    process = first.checkout.start(*words, environment=barrier.environment)
    started.append(process)
    held.wait(lambda: process.poll() is None)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=10)
    held.kill()
    assert (second.state / "switching").exists()
    done = second.verb("check")
    assert done.code == 3, str(done)
    assert "cut short" in done.err
    assert second.status()["lab"] == "second"
    switched(second, "--lab", "second")
    second.check().prove_green()
    switched(first)
    first.check().prove_green()


def test_converging_tells_what_was_looked_at_and_not_what_is_planned(
    labs: dict[str, Lab],
) -> None:
    """A container that is to be made isn't there to be looked at; each is counted on the node."""
    first = labs["first"]
    managed = first.plan.node("core-01").management.interface
    there = {
        "files": "find /etc/rkt /etc/underlay -not -type d",
        "interfaces": f"ls /sys/class/net | grep -vx -e lo -e {managed}",
        "routes": f"ip route | grep -v -e 'proto kernel' -e 'dev {managed}'",
        "containers": "ls /run/netns",
        "filters": "nft list tables",
    }
    counts = {
        kind: len(first.shell("core-01", f"{command} || true").splitlines())
        for kind, command in there.items()
    }
    assert (counts["containers"], counts["filters"]) == (2, 0)
    first.file.write_text(FIRST.replace("count: 2", "count: 3"))
    try:
        done = first.verb("converge", "--check", "--json", deadline=90)
    finally:
        first.file.write_text(FIRST)
    assert done.code == 0, str(done)
    assert "container lannet-1c: started" in done.document()["changes"]["core-01"], str(done)
    assert done.document()["looked_at"] == {"core-01": counts}, str(done)


@pytest.mark.all
def test_converging_follows_the_file_and_a_second_run_changes_nothing(
    labs: dict[str, Lab],
) -> None:
    first = labs["first"]
    done = first.verb("converge", "--json", deadline=90)
    assert done.code == 0, str(done)
    assert done.document()["changed"] == 0, str(done)
    first.file.write_text(FIRST.replace("count: 2", "count: 3"))
    try:
        done = first.verb("converge", "--check", "--diff", "--json", deadline=90)
        assert "container lannet-1c: started" in done.document()["changes"]["core-01"], str(done)
        assert any(
            "lannet-1c" in each.get("after", "") for each in done.document()["diff"]["core-01"]
        )
        assert len(first.plan.containers) == 2
        done = first.verb("converge", "--json", deadline=90)
        assert done.document()["changed"] == 1, str(done)
        first.check().prove_green()
        assert len(first.plan.containers) == 3
    finally:
        first.file.write_text(FIRST)
        done = first.verb("converge", "--json", deadline=90)
    assert done.document()["looked_at"]["core-01"]["containers"] == 3, str(done)
    assert "container lannet-1c: removed" in done.document()["changes"]["core-01"], str(done)
    first.check().prove_green()


@pytest.mark.all
def test_converging_puts_right_what_was_changed_by_hand(labs: dict[str, Lab]) -> None:
    first = labs["first"]
    first.shell("core-01", "ip link set eth1 mtu 1300 && ip netns delete lannet-1a")
    assert first.check().differing
    done = first.verb("converge", "--json", deadline=90)
    assert done.code == 0, str(done)
    assert "eth1: MTU 1500" in done.document()["changes"]["core-01"], str(done)
    first.check().prove_green()


@pytest.mark.all
def test_what_tells_why_a_lab_could_not_change_is_kept(labs: dict[str, Lab]) -> None:
    first, second = labs["first"], labs["second"]
    first.shell("core-01", "mv /usr/bin/python3 /usr/bin/python3.away")
    try:
        done = first.verb("converge", deadline=120)
        prove_kept(done, "first-converge")
        done = first.checkout.underlay("switch", str(second.file), deadline=120)
        prove_kept(done, "second-switch")
    finally:
        lab = second if second.state.exists() else first
        lab.shell("core-01", "mv /usr/bin/python3.away /usr/bin/python3")
    switched(first, "--lab", lab.name)
    first.check().prove_green()


def prove_kept(done: Done, name: str) -> None:
    """Fail unless a command failed on a node, and what tells why is kept without a secret."""
    assert done.code == 3, str(done)
    assert "core-01: " in done.err, str(done)
    (folder,) = (Path(path) for path in re.findall(r"^kept: (.+)$", done.err, re.MULTILINE))
    assert folder.name.startswith(f"{name}-"), str(done)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    wanted = {"plan.json", "lab.json", "failure.json", "core-01-console.log", "core-01-journal.log"}
    assert wanted <= set(files)
    assert not [name for name, content in files.items() if b"PRIVATE KEY" in content]


# Random labs are proven from a folder, on one boot, every day.
@pytest.mark.all
def test_a_folder_of_labs_is_proven_on_one_boot_beside_a_lab_of_the_same_name(
    labs: dict[str, Lab], tmp_path: Path
) -> None:
    first = labs["first"]
    booted = kernel(first)
    for name, text in (("first", FIRST), ("second", SECOND)):
        (tmp_path / f"{name}.yml").write_text(text)
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "other.yml").write_text("no lab")
    done = first.checkout.underlay("check", str(tmp_path), "--json", deadline=240)
    assert done.code == 0, str(done)
    document = done.document()
    assert [entry["lab"] for entry in document["labs"]] == ["first", "second"]
    assert document["boots"] == 1
    page = doc_pages.section(doc_pages.DOCS / "verbs" / "check.md", "JSON")
    (part,) = (each for each in doc_pages.parts(page) if each[0] == "### Of a file or a folder")
    listed = doc_pages.first_column(part)
    # What stands there only where the command ended early isn't in a document that is whole.
    early = {"error", "hint", "left", "reached"}
    assert {name.split(".")[0].split("[")[0] for name in listed} - early == {*document} - {
        "document",
        "version",
    }
    for entry in document["labs"]:
        assert entry["summary"]["cells"] == entry["summary"]["as_expected"] > 0
        measured = {cell["rule"] for cell in entry["cells"]}
        assert all(entry["lab"] in document["coverage"][rule] for rule in measured)
    assert kernel(first) == booted
    assert not (first.checkout.root / ".underlay" / "checks").exists()
    first.check().prove_green()


@pytest.mark.all
def test_a_lab_that_does_not_come_up_is_no_hindrance_to_the_others(
    labs: dict[str, Lab], tmp_path: Path
) -> None:
    image = "image: {path: /no/such.ext4}\n"
    (tmp_path / "absent.yml").write_text(FIRST.replace("first", "absent") + image)
    (tmp_path / "first.yml").write_text(FIRST)
    done = labs["first"].checkout.underlay("check", str(tmp_path), "--json", deadline=240)
    assert done.code == 3, str(done)
    absent, first = done.document()["labs"]
    assert absent["error"]
    assert absent["summary"]["not_measured"] == absent["summary"]["cells"] > 0
    assert first["summary"]["as_expected"] == first["summary"]["cells"] > 0


def test_a_folder_with_a_file_that_is_no_lab_starts_nothing(
    labs: dict[str, Lab], tmp_path: Path
) -> None:
    (tmp_path / "first.yml").write_text(FIRST)
    (tmp_path / "wrong.yml").write_text(FIRST.replace("driver", "drver"))
    done = labs["first"].checkout.underlay("check", str(tmp_path))
    assert done.code == 2, str(done)
    assert "wrong.yml:6" in done.err
