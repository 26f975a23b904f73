"""Labs for the tests of this layer: each boots once, and of a checkout's one is up at a time.

A test says which lab it wants by parametrising ``lab``; all tests of one lab run
in a row. A lab that is up already is used as it is, and left up. Where several processes
share the tests, each of the longest rows has a lab of its own.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import testinfra
from testinfra.host import Host
from testinfra.utils.ansible_runner import AnsibleRunner
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from barrier import Barrier
from cluster.running import LABS, SHARED, Checkout, Lab
from foreign import RACK, Foreign, foreign_machines
from underlay.storage import paths

HERE = Path(__file__).parent
# Files with tests that use ``lab``.
OF_THE_CHECKOUTS_LABS = {
    "test_all_labs",
    "test_alone",
    "test_break_and_mend",
    "test_broken_labs",
    "test_cures",
    "test_docs",
    "test_exec",
    "test_faults",
    "test_files",
    "test_forward",
    "test_kernel_log",
    "test_lie_detector",
    "test_lies",
    "test_networkd",
    "test_no_decoration",
    "test_pytest_plugin",
    "test_reachability",
    "test_rendered",
    "test_status",
    "test_trace",
    "test_unplanned",
    "test_update",
    "test_watch",
}
# Where several processes share the tests, these have a lab beside the others', in a copy of the
# checkout: of all that wait for the default lab they take half of the time, and the other lab is
# the only one more that many tests want. Tests that look into a lab in this very process find it
# in this checkout alone: they are none of these, or of the full proof, which one process runs.
# The documents' own block that starts the default lab starts the one beside.
OF_THE_CHECKOUT, BESIDE, APART = "lab", "lab beside", "docker-vlan"
FILES_BESIDE = {"test_docs", "test_lie_detector"}
# Their cases begin with the share that they are of, each of which a process takes by itself.
BY_SHARE = {"test_courses"}
# They share machines that the engine doesn't know (tests/foreign.py), booted once for all of them.
OF_FOREIGN_MACHINES = {
    "test_hosts_reader",
    "test_hosts_probe",
    "test_hosts_lab",
    "test_hosts_seen",
    "test_survey",
}
# What takes longest comes first, so that no process is left with it at the end.
LONGEST = (
    "test_lifecycle",
    "test_courses",
    "test_hosts_reader",
    "test_hosts_probe",
    "test_hosts_lab",
    "test_hosts_seen",
    "test_hosts_old_python",
    "test_survey",
    "test_ignition",
    "test_workshop_on_servers",
    "test_seat_servers",
    "test_fleet",
    "test_two_labs",
    "test_entering",
    "test_random_labs",
    "test_switching",
    "test_killed",
    "test_statement",
    "test_pytest_plugin",
    "test_own_image",
    "test_intent",
    "test_rootless",
    "test_lean",
    "test_listening",
    "test_proving",
    "test_environment",
)
PLACE = pytest.StashKey[str]()
FIRST_USE = 1800.0


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByLab | None:
    """Hand tests out by what they need, where several processes share them."""
    return ByLab(config, log) if config.getvalue("dist") == "loadscope" else None


class ByLab(LoadScopeScheduling):
    """Tests of this checkout's labs stay together, and each other file or share by itself.

    By their names: xdist 3.8 can't group tests otherwise with pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        return place_of(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        """Hand out the longest, but the shortest to one that waits for what is long by itself.

        A process begins a test once it knows the next, so it gets one before it needs it, and
        nobody else can take that from it.
        """
        pending = [unit for unit in self.assigned_work.get(node, {}).values()
                   if not all(unit.values())]  # fmt: skip
        if pending and all(len(unit) == 1 for unit in pending):
            self.workqueue.move_to_end(next(reversed(self.workqueue)), last=False)
        super()._assign_work_unit(node)

    def _reschedule(self, node: WorkerController) -> None:
        if node.shutting_down or not self.workqueue or self._pending(node) <= 1:
            super()._reschedule(node)

    def _pending(self, node: WorkerController) -> int:
        return int(self._pending_of(self.assigned_work[node]))


def place_of(nodeid: str) -> str:
    """Return by what a test stays with others: the lab that it shares with them, or its file."""
    path, _, name = nodeid.partition("::")
    stem = Path(path).stem
    _, is_case, case = name.removesuffix("]").partition("[")
    if stem in BY_SHARE and "/" in case:
        return f"{stem}, {case.partition('/')[0]}"
    if stem in OF_FOREIGN_MACHINES:
        return "foreign machines"
    if stem not in OF_THE_CHECKOUTS_LABS:
        return stem
    if stem in FILES_BESIDE and not of_lab(case, APART):
        return BESIDE
    if not is_case or not any(of_lab(case, lab) for lab in LABS):
        return f"{stem}, without a lab"
    if of_lab(case, APART) and not of_lab(case, "coreos"):
        return APART
    return OF_THE_CHECKOUT


def of_lab(case: str, lab: str) -> bool:
    """Whether a test's case may be of ``lab``: the lab stands at either end of its name."""
    return case == lab or case.startswith(f"{lab}-") or case.endswith(f"-{lab}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the tests of one lab follow each other; those that boot labs of their own come last.

    A test that starts a lab in the manner of its users comes before those that use it.
    """
    order = list(LABS)

    def place(item: pytest.Item) -> int:
        parameters = (
            item.callspec.params
            if isinstance(item, pytest.Function) and hasattr(item, "callspec")
            else {}
        )
        if "apart" in getattr(item, "fixturenames", ()):
            return -1
        if "lab" in parameters:
            return order.index(parameters["lab"])
        stem = item.path.stem
        return len(order) + (LONGEST.index(stem) if stem in LONGEST else len(LONGEST))

    ours = [index for index, item in enumerate(items) if item.path.is_relative_to(HERE)]
    for index, item in zip(ours, sorted((items[i] for i in ours), key=place), strict=True):
        items[index] = item
        if "lab" in getattr(item, "fixturenames", ()) and item.path.stem not in (
            OF_THE_CHECKOUTS_LABS
        ):
            raise pytest.UsageError(f"{item.path.name} has to be in OF_THE_CHECKOUTS_LABS")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Note where the lab is to be that the test is about to ask for."""
    item.config.stash[PLACE] = place_of(item.nodeid)


@pytest.fixture(scope="session")
def here() -> Checkout:
    """Return this very checkout, set up and with its image built: that takes minutes only once."""
    checkout = Checkout(paths.root())
    done = checkout.underlay("image", "build", deadline=FIRST_USE)
    if done.code:
        pytest.fail(str(done), pytrace=False)
    return checkout


@pytest.fixture(scope="session")
def apart(here: Checkout) -> Iterator[Checkout]:
    """Return a copy of the checkout for a lab beside this one's.

    It is another one than `copy`: tests that follow in this process count and end the labs there.
    """
    with here.copied_apart() as checkout:
        yield checkout


@pytest.fixture(scope="session")
def lab(here: Checkout, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Return the lab whose name is the parameter, up."""
    file, *options = LABS[request.param]
    beside = SHARED and request.config.stash[PLACE] in (BESIDE, APART)
    checkout = request.getfixturevalue("apart") if beside else here
    lab = Lab(checkout, request.param, checkout.root / file)
    was_up = (lab.state / "lab.json").exists()
    done = lab.up(*options)
    if done.code:
        pytest.fail(str(done), pytrace=False)
    yield lab
    if not was_up:
        done = lab.down()
        if done.code:
            pytest.fail(str(done), pytrace=False)


@pytest.fixture(scope="session")
def hosts(lab: Lab) -> dict[str, Host]:
    """Return testinfra's host for each node in Ansible's inventory of the lab, as root."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(
            "PATH", f"{lab.checkout.root / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
        )
        patch.setenv("UNDERLAY_LAB", lab.name)
        names = AnsibleRunner(str(lab.checkout.root / "inventory")).get_hosts("all")
    assert names == [node.name for node in lab.plan.nodes]
    config = str(lab.state / "ssh_config")
    # A connection of testinfra's own would outlive the lab; the lab's are shared and end with it.
    return {
        name: testinfra.get_host(f"ssh://{name}", ssh_config=config, sudo=True, controlpersist=0)
        for name in names
    }


@pytest.fixture(scope="session")
def copy(here: Checkout) -> Iterator[Checkout]:
    """Return a copy of the checkout, for tests that would disturb the labs of this one.

    Its default lab is another one than this checkout's. It shares the virtual
    environment, and ends with whatever it still runs.
    """
    with here.copied_apart() as checkout:
        yield checkout


@pytest.fixture(scope="session")
def foreign(
    here: Checkout, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Foreign]:
    """Return three lean nodes that the engine has an inventory of, and nothing more."""
    folder, list_all = tmp_path_factory.mktemp("foreign"), bool(request.config.getoption("--all"))
    with (
        here.copied_apart() as checkout,
        foreign_machines(checkout, folder, "rack", RACK, list_all=list_all) as machines,
    ):
        yield machines


@pytest.fixture
def barrier(tmp_path: Path) -> Iterator[Barrier]:
    """Return programs of the test's own that hold a command where the test wants to disturb it."""
    barrier = Barrier(tmp_path / "barrier")
    yield barrier
    barrier.release()


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    """Return a list for processes that a test starts; those still running are killed after it."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.wait(timeout=10)
