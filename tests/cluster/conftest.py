"""Labs for the tests of this layer: each boots once, and one of them is up at a time.

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

from cluster.running import LABS, Checkout, Lab
from underlay import paths

HERE = Path(__file__).parent
FIRST_USE = 1800.0


# Before xdist's own, which reads the groups.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the tests of one lab follow each other; those that boot labs of their own come last."""
    order = list(LABS)

    def place(item: pytest.Item) -> int:
        parameters = (
            item.callspec.params
            if isinstance(item, pytest.Function) and hasattr(item, "callspec")
            else {}
        )
        return order.index(parameters["lab"]) if "lab" in parameters else len(order)

    ours = [index for index, item in enumerate(items) if item.path.is_relative_to(HERE)]
    for index, item in zip(ours, sorted((items[i] for i in ours), key=place), strict=True):
        items[index] = item
        # Of this checkout's labs one is up at a time; files with labs of their own go beside it.
        together = "lab" in getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("lab" if together else item.path.stem))


@pytest.fixture(scope="session")
def here() -> Checkout:
    """Return this very checkout, set up and with its image built: that takes minutes only once."""
    checkout = Checkout(paths.root())
    done = checkout.underlay("image", "build", deadline=FIRST_USE)
    if done.code:
        pytest.fail(str(done), pytrace=False)
    return checkout


@pytest.fixture(scope="session")
def lab(here: Checkout, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Return the lab whose name is the parameter, up."""
    file, *options = LABS[request.param]
    lab = Lab(here, request.param, here.root / file)
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
def started() -> Iterator[list[subprocess.Popen[str]]]:
    """Return a list for processes that a test starts; those still running are killed after it."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.wait(timeout=10)
