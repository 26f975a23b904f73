"""What tests cost: the processor seconds of each file, with all that was started for its tests.

A control group counts all of it, also what no test has waited for: nodes, and what is orphaned.
Where none can be made it is counted of this process and of those it has waited for.
"""

from __future__ import annotations

import os
import resource
from collections import Counter
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

import pytest

FILES = 20
NANO, MICRO = 1e9, 1e6


class Account:
    """The processor seconds of this process, and of all that it starts from now on."""

    def __init__(self) -> None:
        self._group: Path | None = None
        for folder in own_groups():
            group = folder / f"underlay-tests-{os.getpid()}"
            with suppress(OSError):
                group.mkdir()
                self._group = group
                (group / "cgroup.procs").write_text(str(os.getpid()))
                return
        self.end()

    @property
    def counts_all(self) -> bool:
        """Whether that is true of what nobody has waited for as well."""
        return self._group is not None

    @property
    def seconds(self) -> float:
        """How many they are so far."""
        if self._group is None:
            both = (resource.getrusage(who) for who in (
                resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN,
            ))  # fmt: skip
            return sum(each.ru_utime + each.ru_stime for each in both)
        with suppress(OSError):
            return int((self._group / "cpuacct.usage").read_text()) / NANO
        words = (self._group / "cpu.stat").read_text().split()
        return int(words[words.index("usage_usec") + 1]) / MICRO

    def end(self) -> None:
        """Leave the group, with whoever is still in it, and remove it."""
        if self._group is None:
            return
        with suppress(OSError):
            for pid in (self._group / "cgroup.procs").read_text().split():
                with suppress(ProcessLookupError):
                    (self._group.parent / "cgroup.procs").write_text(pid)
            self._group.rmdir()
        self._group = None


def own_groups() -> list[Path]:
    """Return the groups that this process is in which count processor time: cgroups(7)."""
    paths = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        paths |= dict.fromkeys(names.split(","), path)
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split()[:3]
        name = {"cgroup": "cpuacct", "cgroup2": ""}.get(kind)
        if name in paths and (not name or name in options.split(",")):
            mounted = Path(before.split()[4])
            own = mounted / paths[name].lstrip("/")
            # A container may see its own group as the tree's root.
            found.append(own if own.is_dir() else mounted)
    return found


class Measured:
    """Gives each report the seconds that were spent since the one before: ``processor``."""

    def __init__(self) -> None:
        self._account = Account()
        self._before = self._account.seconds

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self,
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Count one of the three parts of a test, and what came before it."""
        report = yield
        now = self._account.seconds
        report.processor = now - self._before, self._account.counts_all  # type: ignore[attr-defined]
        self._before = now
        return report

    def pytest_unconfigure(self) -> None:
        """End the account."""
        self._account.end()


class Costs:
    """Adds up what reports have of `Measured`, and shows the files that cost most."""

    def __init__(self) -> None:
        self._seconds: Counter[str] = Counter()
        self._all = True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add one of the three parts of a test."""
        seconds, counts_all = getattr(report, "processor", (0.0, True))
        self._seconds[report.nodeid.partition("::")[0]] += seconds
        self._all &= counts_all

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show them, the most costly first, and the sum of all."""
        terminalreporter.section("processor seconds")
        for file, seconds in self._seconds.most_common(FILES):
            terminalreporter.line(f"{seconds:8.1f} {file}")
        terminalreporter.line(f"{self._seconds.total():8.1f} in all files")
        if not self._all:
            terminalreporter.line("without nodes and orphans: no control group could be made")
