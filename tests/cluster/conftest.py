"""Labs for the tests of this layer: each boots once, and of this checkout's one is up at a time.

A test says which lab it wants by parametrising ``lab``; all tests of one lab run
in a row. A lab that is up already is used as it is, and left up.
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

from barrier import Barrier
from cluster.running import LABS, Checkout, Lab
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
    "test_lie_detector",
    "test_lies",
    "test_no_decoration",
    "test_reachability",
    "test_rendered",
    "test_status",
    "test_trace",
    "test_unplanned",
}
# Where several processes share the tests, this lab is up beside the others, in a copy of the
# checkout. Those of its tests that look into a lab in this very process are of the full proof.
APART = "docker-vlan"
# What takes longest comes first, so that no process is left with it at the end.
LONGEST = ("test_libvirt", "test_switching", "test_lifecycle", "test_two_labs", "test_random_labs")
FIRST_USE = 1800.0


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByLab | None:
    """Hand tests out by what they need, where several processes share them."""
    return ByLab(config, log) if config.getvalue("dist") == "loadscope" else None


class ByLab(LoadScopeScheduling):
    """Tests of this checkout's labs stay together, and each other file by itself.

    By their names: xdist 3.8 can't group tests otherwise with pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        path, _, name = nodeid.partition("::")
        stem = Path(path).stem
        if stem not in OF_THE_CHECKOUTS_LABS:
            return stem
        _, is_case, case = name.removesuffix("]").partition("[")
        if not is_case or not any(of_lab(case, lab) for lab in LABS):
            return f"{stem}, without a lab"
        return APART if of_lab(case, APART) and not of_lab(case, "coreos") else "lab"


def of_lab(case: str, lab: str) -> bool:
    """Whether a test's case may be of ``lab``: the lab stands at either end of its name."""
    return case == lab or case.startswith(f"{lab}-") or case.endswith(f"-{lab}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the tests of one lab follow each other; those that boot labs of their own come last."""
    order = list(LABS)

    def place(item: pytest.Item) -> int:
        parameters = (
            item.callspec.params
            if isinstance(item, pytest.Function) and hasattr(item, "callspec")
            else {}
        )
        if "lab" in parameters:
            return order.index(parameters["lab"])
        return len(order) + (item.path.stem not in LONGEST)

    ours = [index for index, item in enumerate(items) if item.path.is_relative_to(HERE)]
    for index, item in zip(ours, sorted((items[i] for i in ours), key=place), strict=True):
        items[index] = item
        if "lab" in getattr(item, "fixturenames", ()) and item.path.stem not in (
            OF_THE_CHECKOUTS_LABS
        ):
            raise pytest.UsageError(f"{item.path.name} has to be in OF_THE_CHECKOUTS_LABS")


@pytest.fixture(scope="session")
def here() -> Checkout:
    """Return this very checkout, set up and with its image built: that takes minutes only once."""
    checkout = Checkout(paths.root())
    done = checkout.underlay("image", "build", deadline=FIRST_USE)
    if done.code:
        pytest.fail(str(done), pytrace=False)
    return checkout


@pytest.fixture(scope="session")
def lab(
    here: Checkout, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lab]:
    """Return the lab whose name is the parameter, up."""
    file, *options = LABS[request.param]
    checkout = here
    if request.param == APART and "PYTEST_XDIST_WORKER" in os.environ:
        # One of its own: files that follow in this process count and end the labs of `copy`.
        checkout = here.copied(tmp_path_factory.mktemp("apart") / "underlay")
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
def copy(here: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """Return a copy of the checkout, for tests that would disturb the labs of this one.

    Its default lab is another one than this checkout's. It shares the virtual
    environment, and ends with whatever it still runs.
    """
    checkout = here.copied(tmp_path_factory.mktemp("copy") / "underlay")
    yield checkout
    checkout.underlay("down", "--all")


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
