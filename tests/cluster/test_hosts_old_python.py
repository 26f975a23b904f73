"""Machines of older Debian suites, whose Python is 3.9 and 3.11: what each right gives there.

Their nodes boot a root of that suite (old_suites.py), so that Python, iproute2, sudo and CNI's
plugins on them are those of that time; see foreign.py. What is expected is what test_hosts_*.py
expect of machines with today's. A machine whose Python is too old, or that has none, says so.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from cluster.commands import Done
from cluster.old_suites import BOOKWORM, BULLSEYE, OLD_PYPY, Suite, disk_of
from cluster.running import CHECK_DEADLINE, Checkout
from cluster.surveyed import SURVEY_DEADLINE
from cluster.test_hosts_lab import GUESTS, HOLD, HOLDING, KILL, listed
from foreign import EVERYTHING, RACK, Foreign, foreign_machines
from underlay.cluster.machines import NEEDED
from underlay.observe.pinned import INTERPRETER, PATH, program, sudoers
from underlay.storage.paths import root

pytestmark = pytest.mark.all

ASK = "import sys; print(sys.version.split()[0], sys.implementation.name)"
SENT = (
    "ansible/module_utils/underlay_node",
    "src/underlay/observe/on_node",
    "src/underlay/observe/survey/on_host",
)
# Compiles what it is fed, as a machine does before it runs anything of that.
COMPILE = """
import json, sys
for name, text in json.load(sys.stdin).items():
    compile(text, name, "exec")
"""


@pytest.fixture(scope="module", params=[BULLSEYE, BOOKWORM], ids=str)
def suite(request: pytest.FixtureRequest) -> Suite:
    found: Suite = request.param
    return found


@pytest.fixture(scope="module")
def old(
    here: Checkout, copy: Checkout, suite: Suite, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Foreign]:
    """Return three machines of the suite, whose containers somebody has made by iproute2."""
    folder = tmp_path_factory.mktemp(suite.name)
    text = RACK.replace("nodes:", f"image: {{path: {disk_of(suite, folder).name}}}\nnodes:")
    # The oldest plugins don't know the version of CNI's that a node's files are of.
    text = text.replace("runtime: cni", "runtime: iproute2")
    with foreign_machines(copy, folder, "rack", text) as machines:
        yield machines


def verb(here: Checkout, machines: Foreign, *words: str, inventory: Path | None = None) -> Done:
    command = (*words, "-i", str(inventory or machines.inventory), "--json")
    return here.underlay(*command, deadline=CHECK_DEADLINE)


def tiers(here: Checkout, machines: Foreign) -> set[tuple[str, str]]:
    done = verb(here, machines, "hosts")
    assert done.code == 0, str(done)
    return {(each["tier"], each["python"]) for each in done.document()["machines"]}


def unchanged(before: dict[str, str], machines: Foreign) -> None:
    for name, text in machines.listing().items():
        assert text.splitlines() == before[name].splitlines(), name


def version(machines: Foreign) -> str:
    """Return what the machines' Python says that it is, to their user and to root: all the same."""
    said = {machines.ssh(name, "python3", "-c", ASK).out for name in machines.names}
    said |= {machines.root(name, 'python3 -c "$1"', ASK) for name in machines.names}
    said |= {machines.root(name, '"$1" -c "$2"', INTERPRETER, ASK) for name in machines.names}
    (one,) = said
    found, kind = one.split()
    assert kind == "cpython"
    return found


def test_the_machines_have_that_python_and_read_all_that_is_sent(
    old: Foreign, suite: Suite, record_property: Any
) -> None:
    found = version(old)
    assert found.startswith(f"{suite.python}."), found
    tools = old.root(old.names[0], "ip -V; sudo -V | head -1; sshd -V 2>&1 | head -1 || true")
    record_property("machine", f"Python {found}; {' '.join(tools.split())}")
    texts = {str(path): path.read_text() for one in SENT for path in (root() / one).glob("*.py")}
    assert len(texts) > 60
    given = json.dumps({**texts, "the pinned file": program()})
    done = old.lab.verb("exec", old.names[0], "--", "python3", "-c", COMPILE, text=given)
    assert done.code == 0, str(done)


def test_a_reader_measures_rows_of_hosts(here: Checkout, old: Foreign, suite: Suite) -> None:
    ((tier, python),) = tiers(here, old)
    assert tier == "reader"
    assert python == version(old)
    before = old.listing()
    done = verb(here, old, "check", str(old.lab.file))
    unchanged(before, old)
    assert done.code == 3, str(done)
    found = done.document()
    rows = [cell for cell in found["cells"] if cell["source"] in old.names]
    assert len(rows) == 3 * 6 * 3
    wrong = [cell for cell in rows if cell["observed"] != cell["expected"]]
    assert not wrong, wrong[:5]
    assert {cell["observed"] for cell in rows} == {"reachable", "unreachable"}
    ways = [(way["mtu"], way["reached"], way["missed"]) for way in found["live"]["ways"]]
    assert ways == [(1500, ["icmp", "tcp", "udp"], {})] * 12


@contextmanager
def cut_off(machines: Foreign) -> Iterator[str]:
    """Have a container's interface down, by hand; hand out the container's name."""
    one = next(c for c in machines.lab.plan.containers if c.node == machines.names[1])
    machines.root(one.node, "ip -n $1 link set eth0 down", one.name)
    try:
        yield one.name
    finally:
        mended = "ip -n $1 link set eth0 up; ip -n $1 route replace default dev eth0 scope link"
        machines.root(one.node, mended, one.name)


def test_a_reader_sees_who_is_cut_off(here: Checkout, old: Foreign) -> None:
    with cut_off(old) as name:
        done = verb(here, old, "check", str(old.lab.file), "--only", "core-* -> *")
    assert done.code == 1, str(done)
    cells = done.document()["cells"]
    assert {c["destination"] for c in cells if c["expected"] != c["observed"]} == {name}


def test_the_pinned_probe_measures_all_rows_and_names_what_differs(
    here: Checkout, old: Foreign
) -> None:
    old.install(PATH, program())
    try:
        with old.sudoers(sudoers("visitor")):
            assert {tier for tier, _ in tiers(here, old)} == {"probe"}
            before = old.listing()
            done = verb(here, old, "check", str(old.lab.file), "--probe")
            unchanged(before, old)
            assert done.code == 0, str(done)
            summary = done.document()["summary"]
            assert summary["cells"] == summary["as_expected"] == 198
            for words in (["true"], ["python3", PATH], [PATH, "x"]):
                refused = old.ssh(old.names[0], "sudo", "-n", *words)
                assert "sudo:" in refused.err, str(refused)
            with cut_off(old) as name:
                done = verb(here, old, "check", str(old.lab.file), "--probe")
            assert done.code == 1, str(done)
            assert [each["where"] for each in done.document()["causes"]] == [f"{name}, eth0"]
    finally:
        for name in old.names:
            old.root(name, f"rm -f {PATH}")


@pytest.fixture(scope="module")
def allowed(old: Foreign) -> Iterator[Foreign]:
    """The machines, whose user sudo lets do everything."""
    with old.sudoers(EVERYTHING):
        yield old


@pytest.fixture
def guests(here: Checkout, allowed: Foreign, tmp_path: Path) -> Iterator[Path]:
    """The file of a lab to apply there; nothing of it stays."""
    file = tmp_path / "guests.yml"
    file.write_text(GUESTS)
    yield file
    done = verb(here, allowed, "down")
    assert done.code == 0, str(done)


def test_a_lab_is_applied_measured_and_undone_exactly(
    here: Checkout, allowed: Foreign, guests: Path
) -> None:
    """By the machines' own CNI plugins, in the version of CNI's that those know."""
    assert {tier for tier, _ in tiers(here, allowed)} == {"lab"}
    before = listed(allowed)
    dry = verb(here, allowed, "up", str(guests), "--dry-run")
    done = verb(here, allowed, "up", str(guests))
    assert done.code == 0, str(done)
    made = [one["changes"] for one in done.document()["machines"]]
    # The folders of host-local's accounts are of the changes: no CNI network has been there.
    assert [len(each) for each in made] == [12] * 3
    assert [one["changes"] for one in dry.document()["machines"]] == made
    measured = verb(here, allowed, "check", str(guests), "--sudo")
    assert measured.code == 0, str(measured)
    summary = measured.document()["summary"]
    assert summary["cells"] == summary["as_expected"] == 378
    state = verb(here, allowed, "status").document()["machines"]
    assert [(one["lab"], one["lost"]) for one in state] == [("guests", [])] * 3
    again = verb(here, allowed, "up", str(guests))
    assert {len(one["changes"]) for one in again.document()["machines"]} == {0}
    gone = verb(here, allowed, "down")
    assert gone.code == 0, str(gone)
    assert [len(one["undone"]) for one in gone.document()["machines"]] == [12] * 3
    assert listed(allowed) == before


def test_what_a_killed_machine_s_side_has_left_is_undone(
    here: Checkout, allowed: Foreign, guests: Path, started: list[subprocess.Popen[str]]
) -> None:
    before = listed(allowed)
    name = allowed.names[1]
    allowed.install("/usr/local/sbin/ip", HOLDING)
    allowed.root(name, HOLD, "type vlan id 70")
    try:
        started.append(here.start("up", str(guests), "-i", str(allowed.inventory)))
        allowed.root(name, "while [ ! -f /run/held/pids ]; do sleep 0.05; done")
        started[-1].kill()
        allowed.root(name, KILL)
        allowed.root(name, "rm -rf /run/held")
        state = {one["name"]: one for one in verb(here, allowed, "status").document()["machines"]}
        assert "cut short" in (state[name]["told"] or ""), state
        gone = verb(here, allowed, "down")
        assert gone.code == 0, str(gone)
        assert [one["left"] for one in gone.document()["machines"]] == [[], [], []]
    finally:
        for each in allowed.names:
            allowed.root(each, "rm -rf /usr/local/sbin/ip /run/held")
    assert listed(allowed) == before


def test_a_packet_is_followed_captured_and_a_survey_sends_frames(
    here: Checkout, allowed: Foreign
) -> None:
    ends = ("lannet-1a", "lannet-2a")
    words = ("--lab", str(allowed.lab.file), "--sudo")
    done = verb(here, allowed, "trace", *ends, *words)
    assert done.code == 0, str(done)
    own = [hop for hop in done.document()["hops"] if hop["point"] != "switch port"]
    assert len(own) == 8
    assert all(hop["seen"] for hop in own)
    with cut_off(allowed) as name:
        lost = verb(here, allowed, "trace", ends[0], name, *words)
    assert lost.code == 1, str(lost)
    surveyed = here.underlay(
        "survey", "-i", str(allowed.inventory), "--segment=lan=eth1", "--send", "--json",
        deadline=SURVEY_DEADLINE,
    )  # fmt: skip
    assert surveyed.code == 0, str(surveyed)
    found = surveyed.document()
    assert found["frames"] > 100
    said = {one["id"]: one["verdict"] for one in found["sentences"]}
    assert said["macvlan-bridge-between"] == "works"


# What stands in the place of a machine's Python, and what is then said of it.
AMISS = {
    "older": (f"ln -s {OLD_PYPY} {{path}}", "{python} is Python 3.7."),
    "missing": ("true", "there is no {python} for this user"),
}
# Verbs with the words that ask for a tier, whose program each machine is to run.
ASKED = {
    "reader": ("check", "--only", "core-* -> *"),
    "probe": ("check", "--probe"),
    "sudo": ("check", "--sudo"),
    "up": ("up",),
    "down": ("down",),
    "survey": ("survey",),
}


@contextmanager
def without_python(machines: Foreign, name: str, script: str) -> Iterator[None]:
    """Have another program, or none, where a machine has its Python."""
    path = INTERPRETER
    machines.root(name, f"mv {path} {path}.aside; {script.format(path=path)}")
    try:
        yield
    finally:
        machines.root(name, f"rm -f {path}; mv {path}.aside {path}")


@pytest.mark.parametrize(
    ("suite", "amiss"),
    [(BULLSEYE, amiss) for amiss in AMISS],
    ids=[f"{BULLSEYE}-{amiss}" for amiss in AMISS],
    indirect=["suite"],
    scope="module",
)
def test_a_machine_without_a_python_that_will_do_says_so(
    here: Checkout, allowed: Foreign, amiss: str
) -> None:
    """One machine of three: it costs its own cells, is named, and nobody sees a traceback.

    Older is PyPy of Debian 11, a real interpreter of Python 3.7.
    """
    script, words = AMISS[amiss]
    gone = allowed.names[2]
    allowed.install(PATH, program())
    said = {}
    with without_python(allowed, gone, script):
        hosts = verb(here, allowed, "hosts")
        for asked, (name, *more) in ASKED.items():
            lab = [str(allowed.lab.file)] if name in ("check", "up") else []
            said[asked] = verb(here, allowed, name, *lab, *more)
        other = _named(allowed, gone)
        by_other = verb(here, allowed, "hosts", inventory=other) if amiss == "older" else None
    for name in allowed.names:
        allowed.root(name, f"rm -f {PATH}")
    told = words.format(python="python3")
    assert hosts.code == 3, str(hosts)
    rows = {each["name"]: each for each in hosts.document()["machines"]}
    assert rows[gone]["tier"] == "none"
    assert rows[gone]["error"].startswith(f"{gone}: {told}")
    assert rows[gone]["error"].endswith(NEEDED)
    assert "ansible_python_interpreter" in rows[gone]["hint"]
    assert {rows[name]["tier"] for name in allowed.names[:2]} == {"lab"}
    for asked, done in said.items():
        whole = f"{done.out}\n{done.err}"
        assert "Traceback" not in whole, str(done)
        expected = words.format(python=INTERPRETER if asked == "probe" else "python3")
        assert expected in whole, (asked, str(done))
        assert NEEDED in whole, (asked, str(done))
        assert gone in whole, (asked, str(done))
    for asked in ("reader", "probe", "sudo"):
        cells = said[asked].document()["cells"]
        there = [cell for cell in cells if cell["source"] == gone]
        assert {cell["observed"] for cell in there} == {"not_measured"}
    rest = [c for c in said["reader"].document()["cells"] if c["source"] in allowed.names[:2]]
    assert all(cell["observed"] == cell["expected"] for cell in rest)
    if by_other:
        rows = {each["name"]: each for each in by_other.document()["machines"]}
        assert (by_other.code, rows[gone]["tier"]) == (0, "lab"), str(by_other)


def _named(machines: Foreign, name: str) -> Path:
    """Return an inventory that says where a machine's other Python is."""
    yaml = YAML(typ="safe")
    document = yaml.load(machines.inventory.read_text())
    document["all"]["hosts"][name]["ansible_python_interpreter"] = f"{INTERPRETER}.aside"
    file = machines.inventory.with_name("named.yml")
    with file.open("w") as open_file:
        yaml.dump(document, open_file)
    return file
