"""One run of pytest and its lab: read once, brought up when a test asks for it, ended or kept."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

import pytest

from underlay.errors import UnderlayError
from underlay.pytest_plugin.bringing import brought_up, kept
from underlay.pytest_plugin.cluster import Cluster
from underlay.pytest_plugin.reading import Read, read_lab
from underlay.pytest_plugin.sharing import kept_by_workers, note_kept, noted_as_up

if TYPE_CHECKING:
    from collections.abc import Iterator

    from underlay.pytest_plugin.cells import Asked
    from underlay.pytest_plugin.naming import Named

# Shown with --log-cli-level=INFO, and with whatever fails meanwhile.
LOG = logging.getLogger("underlay")
KEEP_BY = "pytest --underlay-keep failed"


class Session:
    """What the plugin knows of a run for which a lab is named."""

    def __init__(self, config: pytest.Config, named: Named) -> None:
        self._config, self._named = config, named
        self._asked: list[Asked] = []
        self._kept: list[str] = []

    def read(self) -> Read:
        """Return the lab that is named; raise pytest's UsageError where it can't be used."""
        try:
            return self.lab
        except UnderlayError as error:
            raise pytest.UsageError(f"{self._named.where}: {in_words(error)}") from None

    @cached_property
    def lab(self) -> Read:
        """The lab that is named, as it is read; raises BadInput or Infrastructure."""
        return read_lab(self._named.word, running=self._named.running)

    @property
    def described(self) -> str:
        """The lab in a line."""
        try:
            return self.lab.described
        except UnderlayError:
            return self._named.word

    @contextmanager
    def cluster(self, session: pytest.Session) -> Iterator[Cluster]:
        """Yield the lab, up, and end it after the block if it was brought up for it.

        A lab that doesn't come up fails the test that has asked for it, in words.
        """
        try:
            read = self.lab
            if read.running is not None:
                yield Cluster(read.running, read.prediction, self._note, LOG.info)
                return
            assert read.loaded is not None
            with (
                noted_as_up(self._config) as ending,
                brought_up(read.loaded, LOG.info) as up,
            ):
                ends = self._config.getoption("--underlay-keep") == "never"
                keep_by = KEEP_BY if ends else ""
                yield Cluster(up.state, read.prediction, self._note, LOG.info, keep_by)
                ending()
                if self._keeps(session):
                    self._leave(kept(up, shared=hasattr(self._config, "workerinput")))
        except UnderlayError as error:
            words = f"the lab {self._named.word}: {in_words(error)}"
            raise pytest.fail.Exception(words, pytrace=False) from None

    def tell_cells(self, report: pytest.TestReport) -> None:
        """Add to the ``report`` of a failed test what there is to say of the cells it asked."""
        asked, self._asked[:] = tuple(self._asked), []
        if report.failed and asked:
            from underlay.pytest_plugin.cells import told

            report.sections.append(("underlay explain", told(asked)))

    def kept_lines(self) -> list[str]:
        """Return what is to be said at the end about labs that stay up."""
        return [*self._kept, *kept_by_workers(self._config)]

    def _note(self, asked: Asked) -> None:
        self._asked.append(asked)

    def _keeps(self, session: pytest.Session) -> bool:
        how = self._config.getoption("--underlay-keep")
        return how == "always" or (how == "failed" and session.testsfailed > 0)

    def _leave(self, lines: list[str]) -> None:
        self._kept += lines
        note_kept(self._config, lines)


def in_words(error: UnderlayError) -> str:
    """Return an error as text: what it says, its details, and the hint."""
    hint = f"hint: {error.hint.splitlines()[0]}" if error.hint else ""
    return "\n".join(filter(None, (error.message, error.detail, hint)))
