"""What is done for a served page: measuring, and what those who look at it ask for.

All of it is done by one thread, one thing after the other, as two commands would have their turns.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from underlay.cluster.state.lock import turn
from underlay.errors import BadInput, Infrastructure, UnderlayError
from underlay.faults import Scene
from underlay.faults.fitting import Fitting, fitting
from underlay.faults.record import inject, mend, recorded
from underlay.proof.followed import followed, packet_of
from underlay.proof.lab import explain_running
from underlay.proof.trace import trace_of
from underlay.report.explanation import explanation_text
from underlay.report.watch_page.page import logged, measured_part, sum_text, watch_page

if TYPE_CHECKING:
    from underlay.cli.served.board import Asked, Board
    from underlay.proof.explanation import Explanation
    from underlay.proof.watched import Measurement, Watch
    from underlay.report.watch_page.page import WatchPage

HIGHEST = 65535  # port
WIDTH = 46  # columns of text beside the matrix
Answer = tuple[str, list[str]]


class Work:
    """Measures the lab of ``watch`` for a ``board``, and does what is asked for there."""

    def __init__(self, watch: Watch, board: Board) -> None:
        self._watch, self._board = watch, board
        self._plan = watch.lab.prediction.plan
        # Made here and not where it is asked for: drawing the picture runs a program.
        self._page = watch_page(self._plan)
        self._fitting: list[Fitting] | None = None
        self._last: Measurement | None = None
        self._explanation: Explanation | None = None
        self._answers = 0

    def page(self) -> WatchPage:
        """Return the page of the lab."""
        return self._page

    def measure(self) -> Measurement:
        """Measure, and put it on the board; raises what ``Watch.measure`` raises."""
        measurement = self._watch.measure(self._now)
        plan = self._watch.lab.prediction.plan
        if plan != self._plan:
            self._plan, self._page, self._fitting = plan, watch_page(plan), None
            self._board.put(plan=measurement.number, faults=[])
        if measurement.anew or measurement.changes:
            self._explanation = None
        self._last = measurement
        self._show(measurement)
        if entry := logged(measurement):
            self._board.log(entry)
        if self._fitting is None:
            self._now("looking which faults fit")
            self._fitting = list(fitting(Scene(self._watch.lab.prediction)))
        self._stands()
        return measurement

    def wait(self, seconds: float) -> None:
        """Wait for ``seconds``, or until something is asked for, and do that."""
        until = time.monotonic() + seconds
        self._now("waiting")
        while (left := until - time.monotonic()) > 0:
            if (asked := self._board.next_asked(left)) is not None:
                self._do(asked)
                return

    def failed(self, error: UnderlayError) -> None:
        """Put on the board that a measurement failed."""
        at = time.strftime("%H:%M:%S")
        self._board.log({"at": at, "rows": [], "sum": f"not measured: {error.message}"})

    def _now(self, what: str) -> None:
        self._board.put(now=what)

    def _stands(self) -> None:
        broken = [f"{one.fault} at {one.where}" for one in recorded(self._watch.lab.state)]
        faults = [
            {"id": one.fault.id, "title": one.fault.title, "places": list(map(str, one.places))}
            for one in self._fitting or ()
        ]
        self._board.put(faults=faults, broken=broken)

    def _show(self, measurement: Measurement) -> None:
        part = measured_part(self._plan, measurement, self._explanation)
        self._board.put_measured(measurement.number, part, sum=sum_text(measurement))

    def _do(self, asked: Asked) -> None:
        try:
            title, lines = self._done(asked)
            bad = False
        except UnderlayError as error:
            title = f"That failed: {error.message}"
            lines = [line for line in (error.detail, error.hint) if line]
            bad = True
        self._answers += 1
        answer = {"number": self._answers, "title": title, "lines": lines, "bad": bad}
        self._stands()
        self._board.put(answer=answer, busy=False)

    def _done(self, asked: Asked) -> Answer:
        """Do what is asked for, and return what is to be said of it; raise UnderlayError."""
        deeds = {
            "break": self._break,
            "mend": self._mend,
            "explain": self._explain,
            "trace": self._trace,
        }
        deed = deeds.get(str(asked.get("what")))
        if deed is None:
            raise BadInput("nobody knows what that is")
        return deed(asked)

    def _break(self, asked: Asked) -> Answer:
        found = next((f for f in self._fitting or () if f.fault.id == asked.get("fault")), None)
        number = asked.get("place")
        if found is None or type(number) is not int or not 0 <= number < len(found.places):
            raise BadInput("this fault makes no sense there")
        place, state = found.places[number], self._watch.lab.state
        self._now(f"breaking {state.lab}")
        with turn(state.lab, self._now):
            broken = inject(state, Scene(self._watch.lab.prediction), found.fault, place)
        return f"Broken: {broken.where}", [found.fault.title, found.fault.symptom]

    def _mend(self, _: Asked) -> Answer:
        state = self._watch.lab.state
        self._now(f"mending {state.lab}")
        with turn(state.lab, self._now):
            mended = mend(state)
        lines = [f"{one.fault} at {one.where}" for one in mended]
        return "Mended" if lines else "Nothing was broken on purpose", lines

    def _explain(self, _: Asked) -> Answer:
        if self._last is None:
            raise Infrastructure("nothing is measured yet")
        verdict = self._last.verdict
        if verdict.as_predicted:
            return "All is as expected", ["There is nothing to explain."]
        lab = self._watch.lab
        with turn(lab.state.lab, self._now):
            found = explain_running(lab, self._last.whole, self._now)
        self._explanation = self._watch.narrowed(found)
        self._show(self._last)
        text = explanation_text(self._explanation, width=WIDTH).plain
        return "Why", text.strip().splitlines()

    def _trace(self, asked: Asked) -> Answer:
        source, destination = str(asked.get("source")), str(asked.get("destination"))
        protocol, _, port = str(asked.get("how", "")).partition(":")
        # What has no port of its own is asked by an echo.
        numbered = protocol in ("tcp", "udp") and port.isdecimal() and 0 < int(port) <= HIGHEST
        packet = packet_of(protocol, int(port)) if numbered else packet_of()
        trace = trace_of(self._plan, source, destination, packet)
        self._now(f"sending {packet.words} from {source} to {destination}")
        points = followed(self._watch.lab.state, trace)
        back = bool(points) and points[-1].seen
        lines = [
            f"{'●' if one.seen else '·'} {one.kind:<11}  {one.at}, {one.direction}:"
            f" {one.frame or 'not seen'}{f' ({words})' if (words := ', '.join(one.arp)) else ''}"
            for one in points
        ]
        lines += ["", "The answer came back." if back else f"No answer. {trace.last(points)}"]
        return f"{source} to {destination}: {packet.words}", lines


def ended(board: Board, why: str) -> None:
    """Say on the board that nothing more is measured."""
    told: dict[str, Any] = {"ended": why, "busy": True, "now": "ended"}
    board.put(**told)
