"""The plugin that pytest loads: options, hooks and fixtures, and nothing that takes time.

pytest imports this in every run, also of projects that have nothing to do with labs. So nothing of
Underlay is imported at the top, and the hooks of a run without a lab look at names alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from testinfra.host import Host

    from underlay.pytest_plugin.cells import MeasuredCell
    from underlay.pytest_plugin.cluster import Cluster
    from underlay.pytest_plugin.matrix import Matrix
    from underlay.pytest_plugin.session import Session


KEEP = ("never", "failed", "always")
MARKER = (
    "cells(*ends, without=(), protocol=()): run the test once for each of these cells of the lab,"
    " which its argument `cell` is; ends as in `underlay check --only`, such as 'web* -> db'"
)
# What this plugin knows of a run; it is there where a lab is named.
SESSION = pytest.StashKey["Session | None"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what the command line and pytest's own file may say."""
    group = parser.getgroup("underlay", "labs of Underlay")
    group.addoption(
        "--underlay",
        metavar="LAB",
        help="the lab for fixtures such as `cluster`: a lab file, the name of one in labs/, or of"
        " a lab that is up; otherwise $UNDERLAY_LAB, or `underlay` in pytest's file",
    )
    group.addoption(
        "--underlay-keep",
        choices=KEEP,
        default="never",
        help="whether a lab that was brought up for the tests stays up after them (never)",
    )
    parser.addini("underlay", "the lab for the tests, from the folder of this file")


def pytest_configure(config: pytest.Config) -> None:
    """Read the lab that the command line names, so that what is wrong with it is told at once."""
    config.addinivalue_line("markers", MARKER)
    if config.getoption("--underlay") or (_shares(config) and config.getini("underlay")):
        session = _session(config)
        if session is not None and not _is_worker(config):
            session.read()


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say which lab the tests get, where that is known by now."""
    session = config.stash.get(SESSION, None)
    return f"underlay: {session.described}" if session is not None else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with the marker ``cells`` once for each cell, as the plan predicts them."""
    mark = metafunc.definition.get_closest_marker("cells")
    session = _session(metafunc.config) if mark is not None else None
    if mark is not None and session is not None:
        from underlay.pytest_plugin.parametrised import parametrise

        parametrise(metafunc, mark, session)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse a lab that can't be read, where a test needs one."""
    if not any("cluster" in getattr(item, "fixturenames", ()) for item in items):
        return
    session = _session(config)
    if session is not None and not _is_worker(config):
        session.read()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to the report of a failed test what is to be said of the cells that it asked."""
    report = yield
    session = item.config.stash.get(SESSION, None)
    if session is not None:
        session.tell_cells(report)
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """Tell a process of xdist where to write down which lab it leaves up."""
    from underlay.pytest_plugin.sharing import prepare_worker

    prepare_worker(node)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Let the processes of xdist end their labs, where they are interrupted."""
    if exitstatus == pytest.ExitCode.INTERRUPTED and _shares(session.config):
        from underlay.pytest_plugin.sharing import wait_for_workers

        wait_for_workers(session.config)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how to reach labs that stay up."""
    config = terminalreporter.config
    session = config.stash.get(SESSION, None)
    if session is None:
        return
    for line in session.kept_lines():
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Return the lab, up: in a sandbox of its own for this run, or the one that was up already."""
    session = _session(request.config)
    if session is None:
        from underlay.pytest_plugin.naming import no_lab

        pytest.fail(no_lab(request.config), pytrace=False)
    with session.cluster(request.session) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def node(cluster: Cluster) -> Callable[[str], Host]:
    """Return ``node("core-01")``: testinfra's host for a node of the lab, as root."""
    return cluster.node


@pytest.fixture(scope="session")
def container(cluster: Cluster) -> Callable[..., Host]:
    """Return ``container("web-1a")``: testinfra's host for a container of the lab, as root."""
    return cluster.container


@pytest.fixture(scope="session")
def matrix(cluster: Cluster) -> Matrix:
    """Return who reaches whom in the lab, measured when the first test asks for it."""
    return cluster.measure()


@pytest.fixture
def cell(request: pytest.FixtureRequest, matrix: Matrix) -> MeasuredCell:
    """Return the cell that a test with the marker ``cells`` is run for."""
    key = getattr(request, "param", None)
    if key is None:
        pytest.fail(
            "a test that takes `cell` says which: @pytest.mark.cells('web* -> db'), or"
            " @pytest.mark.cells() for all",
            pytrace=False,
        )
    return matrix.named(key)


def _session(config: pytest.Config) -> Session | None:
    """Return what is known of this run, or None where no lab is named."""
    if SESSION not in config.stash:
        from underlay.pytest_plugin.naming import named_lab

        named = named_lab(config)
        if named is None:
            config.stash[SESSION] = None
        else:
            from underlay.pytest_plugin.session import Session

            config.stash[SESSION] = Session(config, named)
    return config.stash[SESSION]


def _is_worker(config: pytest.Config) -> bool:
    """Whether this is one of the processes among which xdist divides the tests."""
    return hasattr(config, "workerinput")


def _shares(config: pytest.Config) -> bool:
    """Whether this is the process from which xdist divides the tests."""
    return not _is_worker(config) and bool(
        getattr(config.option, "tx", None) or getattr(config.option, "numprocesses", None)
    )
