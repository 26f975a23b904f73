"""A run as a plugin of Nagios tells it: one line with performance data, and its exit codes.

After the Monitoring Plugins Development Guidelines (monitoring-plugins.org/doc/guidelines.html):
2.1 and 2.3 for the line, 2.3 for the exit codes, 2.6 for the performance data. Icinga, Naemon,
Checkmk and Sensu read the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from underlay.errors import EXIT_DIFFERS, count
from underlay.expect.intent import broken_words
from underlay.report.live import unsized_words
from underlay.report.results import ended_early, outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from underlay.proof.result import LabResult
    from underlay.report.run import Told
    from underlay.verdict import Verdict

State = Literal["OK", "WARNING", "CRITICAL", "UNKNOWN"]
EXIT_CODES: Final[dict[State, int]] = {"OK": 0, "WARNING": 1, "CRITICAL": 2, "UNKNOWN": 3}
NAME = "UNDERLAY"
SHOWN = 3
# Nagios 3 and its agents read 4 KB of a plugin; the performance data has to get through as well.
LONGEST = 800


def nagios_line(told: Told) -> tuple[str, int]:
    """Return the line about a run, and the exit code that goes with it.

    CRITICAL where something isn't as it should be, else UNKNOWN where something isn't known, else
    WARNING where there is something that nobody planned and that doesn't count by itself.
    """
    state = _state(told)
    return f"{_line(state, _words(told, state))}{_performance(told)}", EXIT_CODES[state]


def nagios_failure(message: str) -> tuple[str, int]:
    """Return the line and the exit code of a command that came to no result: UNKNOWN."""
    return _line("UNKNOWN", message), EXIT_CODES["UNKNOWN"]


def _line(state: State, words: str) -> str:
    # A line break would end the line, and a bar begins the performance data.
    plain = " ".join(words.replace("|", "/").split())
    plain = plain if len(plain) <= LONGEST else f"{plain[: LONGEST - 1]}…"
    return f"{NAME} {state} - {plain}"


def _state(told: Told) -> State:
    if told.exit_code:
        return "CRITICAL" if told.exit_code == EXIT_DIFFERS else "UNKNOWN"
    verdicts = [result.verdict for result in told.results.by_lab.values()]
    return "WARNING" if any(one.summary.unplanned for one in verdicts) else "OK"


def _words(told: Told, state: State) -> str:
    results = list(told.results.by_lab.values())
    early = [words] if (words := ended_early(told.run)) else []
    if state == "OK":
        return _well(results)
    wrong = [result for result in results if _about(result, state)]
    said = [f"{one.verdict.lab}: {_about(one, state)}" for one in wrong[:SHOWN]]
    said += [f"{count(len(wrong) - SHOWN, 'lab')} more"] if len(wrong) > SHOWN else []
    if len(results) > 1 and wrong:
        said.insert(0, f"{len(wrong)} of {count(len(results), 'lab')}")
    return "; ".join(early + said) or "no lab was measured"


def _well(results: Iterable[LabResult]) -> str:
    verdicts = [result.verdict for result in results]
    summaries = [verdict.summary for verdict in verdicts]
    cells = sum(one.cells for one in summaries)
    statements = sum(one.statements for one in summaries)
    name = verdicts[0].lab if len(verdicts) == 1 else count(len(verdicts), "lab")
    kept = f", {count(statements, 'statement')} kept" if statements else ""
    return f"{name}: {cells} of {count(cells, 'cell')} as expected{kept}"


def _about(result: LabResult, state: State) -> str:
    """Return what is to be said of a lab in the ``state`` of all; nothing of one that is well.

    Where something is known to be wrong, what isn't known stands behind it.
    """
    verdict = result.verdict
    if state == "CRITICAL" and result.exit_code != EXIT_DIFFERS:
        return ""
    said = [*_differs(result), *_unknown(result)]
    if state == "WARNING" or verdict.strict:
        said += _unplanned(verdict)
    for event in result.after:
        if event.error or event.lost or event.not_measured:
            said.append(f"not as before {event.event}")
    # Whatever else makes it what it is, is said in the words of the other formats.
    return ", ".join(said) or (outcome(verdict) if result.exit_code else "")


def _differs(result: LabResult) -> Iterator[str]:
    verdict, summary = result.verdict, result.verdict.summary
    if summary.differs:
        causes = result.explanation.causes if result.explanation else ()
        heads = [f"{one.finding.fault.title} ({one.where})" for one in causes]
        why = " and ".join(heads[:SHOWN]) or "no cause found"
        more = f" and {count(len(heads) - SHOWN, 'cause')} more" if len(heads) > SHOWN else ""
        differ = "differs" if summary.differs == 1 else "differ"
        yield f"{summary.differs} of {count(summary.cells, 'cell')} {differ}: {why}{more}"
    broken = [one for one in verdict.intent if one.word == "broken"]
    for one in broken[:SHOWN]:
        why = f" ({broken_words(one.statement.never, one.broken)})" if one.broken else ""
        yield f"line {one.statement.line}: {one.statement.text}: broken{why}"
    if len(broken) > SHOWN:
        yield f"{count(len(broken) - SHOWN, 'statement')} more broken"


def _unknown(result: LabResult) -> Iterator[str]:
    summary = result.verdict.summary
    if result.error is not None:
        yield f"not measured: {result.error.message}"
    elif summary.not_measured:
        why = next(cell.reason for cell in result.verdict.cells if not cell.measured)
        yield f"{summary.not_measured} of {count(summary.cells, 'cell')} not measured: {why}"
    elif not summary.cells:
        yield "it has no cell"
    if summary.statements_not_measured:
        yield f"{count(summary.statements_not_measured, 'statement')} not measured"
    if sizes := unsized_words(result.verdict):
        yield f"{sizes}: {result.verdict.unsized[0].reason}"
    looked = result.verdict.looked
    if result.verdict.strict and result.error is None and (looked is None or looked.blind):
        yield "not everywhere was looked for what nobody planned"


def _unplanned(verdict: Verdict) -> Iterator[str]:
    if number := verdict.summary.unplanned:
        yield f"{count(number, 'way')} or {'container' if number == 1 else 'containers'} unplanned"


def _performance(told: Told) -> str:
    """Return the performance data of all labs together; nothing where there is no lab.

    Each is ``'label'=value[unit];[warning];[critical];[minimum];[maximum]``, and U a value that
    isn't known.
    """
    verdicts = [result.verdict for result in told.results.by_lab.values()]
    if not verdicts:
        return ""
    summaries = [verdict.summary for verdict in verdicts]
    cells = sum(one.cells for one in summaries)
    looked = all(one.looked is not None for one in verdicts)
    unplanned = str(sum(one.unplanned for one in summaries)) if looked else "U"
    data = (
        f"cells={cells};;;0;",
        f"as_expected={sum(one.as_expected for one in summaries)};;;0;{cells}",
        f"differs={sum(one.differs for one in summaries)};;0;0;{cells}",
        f"not_measured={sum(one.not_measured for one in summaries)};;;0;{cells}",
        f"statements_broken={sum(one.statements_broken for one in summaries)};;0;0;",
        f"unplanned={unplanned};{';0' if told.run.strict else '0;'};0;",
        f"packets_lost={sum(one.lost for one in summaries)};;;0;",
        f"time={told.run.seconds:.3f}s;;;0;",
    )
    return f" | {' '.join(data)}"
