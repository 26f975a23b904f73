"""A run as metrics: Prometheus' text exposition, for the textfile collector of node_exporter.

Names, units and labels follow Prometheus' own guide (prometheus.io/docs/practices/naming): base
units, one meaning for each metric, and a sum over its labels that means something. What isn't
known is NaN and never left out, for an alert can't see what isn't there.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from underlay.report.cell_words import networks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client import Metric

    from underlay.expect import End
    from underlay.proof.result import LabResult
    from underlay.report.run import Told
    from underlay.verdict import Cell

VERDICTS: Final = ("as_expected", "differs", "not_measured")
CELLS: Final = "Cells of the lab by what became of them; NaN where nobody knows, as it isn't up."
KEPT: Final = {"kept": 1.0, "broken": 0.0, "not measured": math.nan}


def prometheus_text(told: Told, asked: str | None = None) -> str:
    """Return a run as metrics, with their types and what each means.

    A lab that was ``asked`` for by name and of which the run knows nothing, since it isn't up, has
    its series as well: a query about that lab would else be about nothing, and say nothing.
    """
    registry = CollectorRegistry()
    registry.register(_Run(told, asked))
    return generate_latest(registry).decode()


class _Gauges:
    """Gauges under way: each is made where its first value comes, and all in that order."""

    def __init__(self) -> None:
        self._by_name: dict[str, GaugeMetricFamily] = {}
        self._known: set[tuple[str, ...]] = set()

    def add(self, name: str, meaning: str, value: float, **labels: str) -> None:
        """Take in one value; all of a name have labels of the same names.

        A second one with equal labels is left out, for no reader takes both: somebody has written
        the same statement twice in one line.
        """
        words = [_label(one) for one in labels.values()]
        if (name, *words) in self._known:
            return
        self._known.add((name, *words))
        metric = self._by_name.get(name)
        if metric is None:
            metric = GaugeMetricFamily(f"underlay_{name}", meaning, labels=list(labels))
            self._by_name[name] = metric
        metric.add_metric(words, value)

    def metrics(self) -> Iterator[Metric]:
        """Yield them all."""
        yield from self._by_name.values()


@dataclass(frozen=True, eq=False)
class _Run(Collector):
    """What a registry asks for the metrics of one run."""

    told: Told
    asked: str | None = None

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        gauges = _Gauges()
        _check(gauges, self.told)
        for lab in self.told.run.labs:
            result = self.told.results.by_lab[lab.lab]
            success = float(result.exit_code == 0 and result.error is None)
            _lab_success(gauges, lab.lab, success)
            gauges.add(
                "lab_info",
                "Where the lab is from, and what runs its nodes.",
                1,
                lab=lab.lab,
                file=lab.file,
                provider=lab.provider,
            )
            _cells(gauges, result, lab.ends)
            _beside(gauges, result)
            _causes(gauges, result)
        if self.asked and self.asked not in self.told.results.by_lab:
            _lab_success(gauges, self.asked, 0.0)
            unknown = dict.fromkeys(VERDICTS, math.nan)
            _by_verdict(gauges, "cells", CELLS, unknown, lab=self.asked)
        yield from gauges.metrics()


def _lab_success(gauges: _Gauges, lab: str, success: float) -> None:
    meaning = "1 where all of the lab was measured and is as it should be, else 0."
    gauges.add("lab_success", meaning, success, lab=lab)


def _check(gauges: _Gauges, told: Told) -> None:
    run = told.run
    gauges.add(
        "check_success",
        "1 where the check came to its end, and all was measured and is as it should be, else 0.",
        float(told.exit_code == 0),
    )
    complete = float(run.reached == "the end")
    gauges.add("check_complete", "1 where the check came to its end, else 0.", complete)
    gauges.add(
        "check_timestamp_seconds",
        "When the check ended, in seconds since 1970.",
        datetime.fromisoformat(run.until).timestamp(),
    )
    gauges.add("check_duration_seconds", "How long the check took.", run.seconds)
    gauges.add(
        "check_info",
        "What the check stood on, and how far it came.",
        1,
        version=run.versions.get("underlay", ""),
        kernel=run.kernel,
        of=run.of,
        reached=run.reached,
    )


def _cells(gauges: _Gauges, result: LabResult, ends: tuple[End, ...]) -> None:
    """Take in how many cells have which verdict: all, of each pair of networks, by protocol."""
    lab, network_of = result.verdict.lab, networks(ends)
    every: Counter[str] = Counter()
    pairs: dict[tuple[str, str], Counter[str]] = {}
    protocols: dict[tuple[str, int], Counter[str]] = {}
    for cell in result.verdict.cells:
        verdict = _verdict(cell)
        every[verdict] += 1
        pair = (
            network_of.get(cell.source, cell.source),
            network_of.get(cell.destination, cell.destination),
        )
        pairs.setdefault(pair, Counter())[verdict] += 1
        protocols.setdefault((str(cell.protocol), cell.family), Counter())[verdict] += 1
    _by_verdict(gauges, "cells", CELLS, every, lab=lab)
    for (source, destination), counted in pairs.items():
        _by_verdict(
            gauges,
            "network_cells",
            "Cells from one network to another by what became of them.",
            counted,
            lab=lab,
            source=source,
            destination=destination,
        )
    for (protocol, family), counted in protocols.items():
        _by_verdict(
            gauges,
            "protocol_cells",
            "Cells that were asked by a protocol or check, by what became of them.",
            counted,
            lab=lab,
            protocol=protocol,
            family=str(family),
        )
    seconds = {**result.verdict.timings, **result.timings}
    for phase, spent in seconds.items():
        gauges.add(
            "lab_phase_seconds", "Where the time of the lab went.", spent, lab=lab, phase=phase
        )


def _by_verdict(
    gauges: _Gauges, name: str, meaning: str, counted: Mapping[str, float], **labels: str
) -> None:
    for verdict in VERDICTS:
        gauges.add(name, meaning, counted.get(verdict, 0), **labels, verdict=verdict)


def _verdict(cell: Cell) -> str:
    if not cell.measured:
        return "not_measured"
    return "differs" if cell.differs else "as_expected"


def _beside(gauges: _Gauges, result: LabResult) -> None:
    """Take in what is wanted of the lab, what nobody planned, and packets that got lost."""
    verdict, lab = result.verdict, result.verdict.lab
    for one in verdict.intent:
        gauges.add(
            "statement_kept",
            "1 where what the lab file expects is so, 0 where it isn't, NaN where nobody knows.",
            KEPT[one.word],
            lab=lab,
            line=str(one.statement.line),
            statement=one.statement.text,
        )
    summary = verdict.summary
    gauges.add(
        "unplanned",
        "Ways and containers that are there and nobody planned; NaN where nobody looked for ways.",
        math.nan if verdict.looked is None else summary.unplanned,
        lab=lab,
    )
    gauges.add(
        "packets_lost", "Packets that had to be sent again for the check.", summary.lost, lab=lab
    )


def _causes(gauges: _Gauges, result: LabResult) -> None:
    lab, explanation = result.verdict.lab, result.explanation
    for cause in explanation.causes if explanation else ():
        fault = cause.finding.fault
        gauges.add(
            "cause_info",
            "A cause of cells that differ, as explain names it.",
            1,
            lab=lab,
            fault=fault.id,
            where=cause.where,
            title=fault.title,
            sureness=cause.sureness,
        )
        gauges.add(
            "cause_cells",
            "Cells that a cause accounts for; a cell may have several causes.",
            len(cause.cells),
            lab=lab,
            fault=fault.id,
            where=cause.where,
        )
    gauges.add(
        "unexplained_cells",
        "Cells that differ and for which no cause was found.",
        _unexplained(result),
        lab=lab,
    )


def _unexplained(result: LabResult) -> int:
    """Return how many cells differ without a cause, whether any was looked for or not."""
    causes = result.explanation.causes if result.explanation else ()
    known = {cell for cause in causes for cell in cause.cells}
    return sum(
        cell.differs
        and (cell.source, cell.destination, str(cell.protocol), cell.family) not in known
        for cell in result.verdict.cells
    )


def _label(words: str) -> str:
    """Return ``words`` without what UTF-8 can't hold; the rest is escaped by the library."""
    return words.encode("utf-8", "replace").decode()
