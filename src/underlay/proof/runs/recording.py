"""A run under way: what is known of it is written at each step, so that any end leaves a file.

A command that is killed can't say so any more. What it wrote last says how far it came.
"""

from __future__ import annotations

import platform
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Literal

from underlay.cluster.providers import provider as named
from underlay.cluster.versions import versions
from underlay.errors import Infrastructure, Interrupted, UnderlayError
from underlay.expect import predict
from underlay.observe.observation import Observation
from underlay.proof.result import LabResult
from underlay.proof.runs.saving import saved, saved_error, unread
from underlay.proof.runs.schema import Choice, Run, SavedError
from underlay.proof.runs.unrecorded import Unrecorded
from underlay.verdict import judge, with_intent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from underlay.proof.choice import Chosen
    from underlay.proof.labs import LabResults
    from underlay.proof.runs.saving import Source
    from underlay.proof.runs.schema import Reached, SavedLab, Shard
    from underlay.verdict import Verdict

    Writer = Callable[[Run], None]

# Writing what is known of many labs takes no more than this part of the time. Of few each step is
# written: one that isn't is a step that a killed run never came to, as far as its file says.
LEAST_PAUSE = 10
FEW = 5


class Recording(Unrecorded):
    """What is known of a run by now. Each of ``writers`` is handed it at every step.

    Without writers nothing is done, unless the run is ``wanted`` for something else. ``captures``
    says whether cells that differ are asked again for it.
    """

    def __init__(
        self,
        writers: Sequence[Writer],
        *,
        of: Literal["running", "files"],
        strict: bool = False,
        choice: Choice | None = None,
        wanted: bool = False,
        captures: bool = False,
    ) -> None:
        self.run: Run | None = None
        self.kept = bool(writers) or wanted
        self.captures = captures
        self._writers = writers
        self._chosen: Chosen | None = None
        self._sources: dict[str, Source] = {}
        self._labs: dict[str, SavedLab] = {}
        self._known: set[str] = set()
        self._written, self._took = 0.0, 0.0
        self._error: BaseException | None = None
        if self.kept:
            self.run = Run(
                began=_now(),
                until=_now(),
                of=of,
                reached="reading files",
                strict=strict,
                choice=choice or Choice(),
                kernel=platform.release(),
                versions={key: one for key, one in versions().items() if isinstance(one, str)},
            )

    def of_labs(
        self, sources: Sequence[Source], provider: str, chosen: Chosen | None = None
    ) -> None:
        """Say which labs it is of, and which cells of a single one are ``chosen``."""
        self._chosen = chosen
        self._sources = {one.plan.lab: one for one in sources}
        if self.run is not None:
            if self.run.of == "files" and not named(provider).needs_vagrant:
                # Their nodes are started without it, whatever version is installed.
                versions = {k: one for k, one in self.run.versions.items() if k != "vagrant"}
                self._update(versions=versions)
            self._labs = {lab: unread(one, provider) for lab, one in self._sources.items()}

    def of_shard(self, shard: Shard) -> None:
        """Say which share of a folder's labs it is of."""
        self._update(shard=shard)

    def becomes(self, source: Source) -> None:
        """Say that the nodes are another lab's from now on, which may have the name of before."""
        self._sources[source.plan.lab] = source

    def reach(self, reached: Reached) -> None:
        """Say what is done now."""
        self._update(reached=reached)
        pause = time.monotonic() - self._written
        if len(self._labs) <= FEW or pause >= LEAST_PAUSE * self._took:
            with suppress(OSError):  # what can't be written is told at the end
                self.write()

    def measured(self, verdict: Verdict) -> None:
        """Take in a lab that was measured, of which no cause is known yet."""
        self.add(LabResult(verdict))
        self.reach("looking for causes")

    def add(self, result: LabResult) -> None:
        """Take in what became of a lab, with all of its cells."""
        lab = result.verdict.lab
        if self.run is not None:
            self._labs[lab] = saved(self._sources[lab], result, self._chosen)
            self._known.add(lab)

    def all_of(self, results: LabResults, timings: dict[str, float]) -> None:
        """Take in what is told of all labs together, and of those that weren't told of yet."""
        for result in results.by_lab.values():
            if result.verdict.lab not in self._known:
                self.add(result)
        self._update(boots=results.boots, timings=timings)

    @property
    def so_far(self) -> Run:
        """The run as it is known by now. Raises ValueError where nobody wanted it."""
        if self.run is None:
            raise ValueError("nothing is recorded")
        return self.run.model_copy(update={"labs": tuple(self._labs.values())})

    def stopped_by(self, error: BaseException) -> None:
        """Take note of what ended the run early, where nobody else will hear of it."""
        self._error = error

    def end(self, error: BaseException | None = None) -> None:
        """Write the run at its end, or where ``error`` ended it early. Raises OSError.

        Of labs that nothing is known of, no cell was measured.
        """
        error = error or self._error
        if self.run is None:
            return
        if error is None:
            self._update(reached="the end")
        else:
            self._update(error=_told(error))
            for lab in self._labs.keys() - self._known:
                self._unmeasured(lab, error)
        self.write()

    def write(self) -> None:
        """Hand what is known to the writers. Raises OSError."""
        began = time.monotonic()
        self._update(until=_now(), labs=tuple(self._labs.values()))
        for writer in self._writers:
            if self.run is not None:
                writer(self.run)
        self._written = time.monotonic()
        self._took = self._written - began

    def _update(self, **fields: object) -> None:
        if self.run is not None:
            self.run = self.run.model_copy(update=fields)

    def _unmeasured(self, lab: str, error: BaseException) -> None:
        plan = self._sources[lab].plan
        provider = self._labs[lab].provider
        unseen = judge(lab, provider, predict(plan), Observation((), {}, {}))
        reached = self.run.reached if self.run else ""
        told = _told(error)
        why = Infrastructure(f"{told.message}, while {reached}", hint=told.hint, detail=told.detail)
        self.add(LabResult(with_intent(unseen, plan), error=why))


@contextmanager
def recorded(recording: Recording, tell: Callable[[str], None]) -> Iterator[Recording]:
    """Yield ``recording``, and write it at its end, whatever that is.

    Raises what its body raises, and OSError where nothing could be written. Where that comes on
    top of another error, ``tell`` is handed a line about it.
    """
    recording.write()
    try:
        yield recording
    except BaseException as error:
        try:
            recording.end(error)
        except OSError as refused:
            tell(f"what is known of the run can't be kept: {refused}")
        raise
    recording.end()


def _told(error: BaseException) -> SavedError:
    if isinstance(error, UnderlayError):
        return saved_error(error)
    if isinstance(error, Interrupted):
        return SavedError(message=error.message, hint=error.hint)
    if isinstance(error, KeyboardInterrupt):
        return SavedError(message="interrupted")
    return SavedError(message=f"a defect of Underlay ended it ({type(error).__name__})")


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
