"""Why cells differ: as few faults as account for them, each shown by evidence.

Every fault of the catalogue looks at the evidence and says where it is and which cells it
would change there. Of these findings those are kept that the measurement bears out, and of
these as many as are needed. What no finding accounts for is said to be unexplained, with what
was ruled out, the places that all of it passes, and the rules of the prediction that it
contradicts: a rule may be what is wrong. Nothing is guessed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from underlay.drivers.rule import NOTHING as NOT_SEEN
from underlay.expect.value_cells import NOBODY
from underlay.faults import RUNNING, Effect, Finding, Sureness
from underlay.faults.silent_scene import SilentScene
from underlay.faults.value_scene import RESOLVED, ValueScene
from underlay.proof.explanation import Cause, Doubted, Explanation
from underlay.verdict import SILENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from underlay.faults import Cell, Scene
    from underlay.observe.evidence import Evidence
    from underlay.verdict import Cell as Judged

# What a cell is one of: whom it is about, and by what.
Way = tuple[str, ...]
# A finding that less than this part of its certain cells bears out isn't what happened.
LEAST_FIT = 0.6
# Which of several findings is taken first: a surer one explains better. It is no rate, and isn't
# said to anybody.
WEIGHTS: dict[Sureness, float] = {"proven": 1.0, "likely": 0.8, "possible": 0.5}
# What a finding comes to whose cells bear it out in part only.
LESS: dict[Sureness, Sureness] = {"proven": "likely", "likely": "possible", "possible": "possible"}
# A possible cell counts for less than a certain one: the narrower finding explains better.
POSSIBLE_WEIGHT = 0.3

SUSPECTS = 4
# Layers whose faults may be in packet filters, which no ordinary user is told.
OF_ROOT = ("filters", "IPv6")


def explain(
    scene: Scene,
    judged: Iterable[Judged],
    evidence: Evidence,
    unknown: frozenset[Cell] = frozenset(),
) -> Explanation:
    """Return why cells of ``judged`` differ or could not be measured.

    Of those that are ``unknown``, and left out there, nothing is said, and nothing concluded.
    """
    cells = list(judged)
    wrong = {_name(cell) for cell in cells if cell.differs or not cell.measured}
    values = [cell for cell in cells if cell.kind == "value" and _name(cell) in wrong]
    silent = {_name(cell) for cell in cells if _is_silent(cell)} & wrong
    found = _findings(scene, evidence) if wrong else []
    credited = _credited(scene, evidence, values)
    moved = _moved(scene, evidence, silent)
    found = [_with_more(_with_more(one, credited), moved) for one in found]
    ways = Counter(way for cell in scene.healthy for way in _ways(scene, cell))
    fitting = [
        (_with_silent(scene, ways, one, silent), sure)
        for one, sure in _fitting(scene, wrong, found, unknown)
    ]
    causes = _fewest(fitting, wrong)
    covered = {cell for cause in causes for cell in cause.cells}
    unexplained = [cell for cell in map(_name, cells) if cell in wrong - covered]
    return Explanation(
        causes=tuple(causes),
        unexplained=tuple(unexplained),
        ruled_out=_ruled_out(scene, evidence, found) if unexplained else {},
        suspects=_suspects(scene, set(unexplained), wrong | unknown),
        unseen=dict(evidence.failed),
        not_borne_out=_not_borne_out(found, causes) if unexplained else (),
        doubted=_doubted(scene, cells, set(unexplained), evidence.untried),
        lab=scene.plan.lab,
        counts=any(finding.sureness == "possible" and finding.counted for finding in found),
    )


def _findings(scene: Scene, evidence: Evidence) -> list[Finding]:
    return [finding for fault in RUNNING for finding in fault.find(scene, evidence)]


def _fitting(
    scene: Scene, wrong: set[Cell], found: Iterable[Finding], unknown: frozenset[Cell]
) -> list[tuple[Finding, Sureness]]:
    """Return the findings that the measurement bears out, with how sure each is."""
    alive = {end for cell in set(scene.healthy) - wrong - unknown for end in cell[:2]}
    # What a fault would open stays shut for an end that another fault has cut off altogether.
    closed = scene.every - set(scene.healthy) - wrong
    shut = {cell for cell in closed if not alive.issuperset(cell[:2])}
    fitting: dict[tuple[str, str], tuple[Finding, Sureness]] = {}
    for finding in found:
        sureness = _sureness(finding, wrong, shut | unknown, unknown)
        key = (finding.fault.id, str(finding.place))
        if sureness and (key not in fitting or WEIGHTS[sureness] > WEIGHTS[fitting[key][1]]):
            fitting[key] = (finding, sureness)
    return list(fitting.values())


def _sureness(
    finding: Finding, wrong: set[Cell], shut: set[Cell], unknown: frozenset[Cell]
) -> Sureness | None:
    """Return how sure a finding is after the measurement; None where that speaks against it."""
    certain = finding.effect.certain - shut
    possible = finding.effect.possible - finding.effect.certain - unknown
    if finding.fault.sudden:
        certain &= wrong
    if not certain and possible and possible <= wrong:
        return finding.sureness
    if not certain:
        return LESS[finding.sureness] if possible & wrong else None
    if certain <= wrong:
        return finding.sureness
    return LESS[finding.sureness] if len(certain & wrong) >= LEAST_FIT * len(certain) else None


def _fewest(fitting: list[tuple[Finding, Sureness]], wrong: set[Cell]) -> list[Cause]:
    """Take the finding that accounts for most of what is left, until nothing is left."""
    left, causes = set(wrong), []
    stated = {(finding.fault.id, finding.place.node) for finding, _ in fitting}
    late = [one for one in fitting if (one[0].follows, one[0].place.node) in stated]
    rest = [one for one in fitting if one not in late]

    def gain(candidate: tuple[Finding, Sureness]) -> float:
        finding, sureness = candidate
        certain = len(finding.effect.certain & left)
        possible = len((finding.effect.possible - finding.effect.certain) & left)
        # A cell is lost by a packet at least: what has taken fewer did not bring that about.
        if not certain and finding.counted is not None and finding.counted < possible:
            return 0.0
        return WEIGHTS[sureness] * (certain + POSSIBLE_WEIGHT * possible)

    def take(candidates: list[tuple[Finding, Sureness]]) -> None:
        nonlocal left
        while left and candidates:
            best = max(candidates, key=gain)
            if not gain(best):
                break
            candidates.remove(best)
            causes.append(_cause(*best, wrong))
            left -= best[0].effect.every

    take(rest)
    # What is plainly wrong must be put right as well, whoever else accounts for its cells.
    for finding, sureness in sorted(rest, key=lambda entry: -WEIGHTS[entry[1]]):
        if sureness == "proven" and finding.effect.certain:
            causes.append(_cause(finding, sureness, wrong))
    # A consequence is named for what its cause doesn't account for, and after it.
    take(late)
    return causes


def _cause(finding: Finding, sureness: Sureness, wrong: set[Cell]) -> Cause:
    return Cause(finding, sureness, tuple(sorted(finding.effect.every & wrong)))


def _credited(
    scene: Scene, evidence: Evidence, values: Iterable[Judged]
) -> dict[tuple[str, str], frozenset[Cell]]:
    """Return the differing values that each finding changes, by its fault and place.

    Where a value was seen that isn't a loss, that is only what shows something else than planned.
    """
    wrong = {_name(cell): cell for cell in values}

    def shows(finding: Finding, cell: Cell) -> bool:
        otherwise = cell[2] in finding.fault.shows_otherwise
        routed = cell[2] in RESOLVED and finding.fault.layer == "routing"
        return cell in wrong and (_lost(wrong[cell]) or otherwise) and not routed

    return _changed(ValueScene(scene.prediction), evidence, shows) if wrong else {}


def _moved(
    scene: Scene, evidence: Evidence, silent: set[Cell]
) -> dict[tuple[str, str], frozenset[Cell]]:
    """Return the silent cells whose requests each finding takes as they leave."""
    # What is for everybody goes to a network, and no way leads to one.
    leaving = SilentScene(
        scene.prediction, frozenset(cell for cell in silent if cell[1] in scene.ends)
    )
    return _changed(leaving, evidence, lambda _, cell: cell in silent) if leaving.silent else {}


def _changed(
    scene: Scene, evidence: Evidence, counts: Callable[[Finding, Cell], bool]
) -> dict[tuple[str, str], frozenset[Cell]]:
    """Return the cells of ``scene`` that findings change, by fault and place, where one counts."""
    found: dict[tuple[str, str], frozenset[Cell]] = {}
    for finding in _findings(scene, evidence):
        key = (finding.fault.id, str(finding.place))
        cells = {cell for cell in finding.effect.every if counts(finding, cell)}
        found[key] = found.get(key, frozenset()) | cells
    return found


def _lost(cell: Judged) -> bool:
    """Whether something wasn't seen that should have been, and nothing else instead."""
    if isinstance(cell.observed, tuple) and isinstance(cell.expected, tuple):
        return set(cell.observed) < set(cell.expected)
    return not cell.measured or cell.observed in (NOBODY, NOT_SEEN)


def _with_more(finding: Finding, more: dict[tuple[str, str], frozenset[Cell]]) -> Finding:
    """Return a finding with the cells that it has in ``more``, by its fault and place, as well."""
    effect = finding.effect
    cells = more.get((finding.fault.id, str(finding.place)), frozenset())
    if cells <= effect.every:
        return finding
    return replace(finding, effect=Effect(effect.certain, effect.possible | cells))


def _is_silent(cell: Judged) -> bool:
    """Whether a cell got no answer, as expected, but for another reason, or an unknown one."""
    if cell.kind == "value":
        return cell.follows or (not cell.measured and cell.expected in SILENT)
    return cell.follows or (
        cell.expected == "unreachable" and cell.observed in ("unreachable", "not_measured")
    )


def _with_silent(scene: Scene, ways: Counter[Way], finding: Finding, silent: set[Cell]) -> Finding:
    """What cuts an end off has its part in where that end's silent cells stop, too.

    An end is cut off where all whom it reaches are lost to it, or it to all who reach it: in the
    cell's protocol, among the other end's network, or altogether. Who merely asks an end that is
    cut off isn't.
    ``ways`` are those of all healthy cells.
    """
    lost = finding.effect.every
    taken = Counter(way for cell in lost if cell in scene.healthy for way in _ways(scene, cell))
    cut = {way for way, count in taken.items() if count == ways[way]}
    reached = frozenset(cell for cell in silent - lost if not cut.isdisjoint(_ways(scene, cell)))
    if not reached:
        return finding
    return replace(
        finding, effect=Effect(finding.effect.certain, finding.effect.possible | reached)
    )


def _ways(scene: Scene, cell: Cell) -> tuple[Way, ...]:
    """Return what a cell is one of: what each of its ends does, in its protocol and at all.

    A node has an end in each network: without its way to one it still reaches the others.
    """
    source, destination, protocol, family = cell
    child = scene.child(destination)
    of_network = [("asks one of", source, child.network.name, str(family))] if child else []
    return (
        *of_network,
        ("asks", source, protocol, str(family)),
        ("is asked", destination, protocol, str(family)),
        ("either", source, str(family)),
        ("either", destination, str(family)),
    )


def _name(cell: Judged) -> Cell:
    return cell.source, cell.destination, str(cell.protocol), int(cell.family)


def _ruled_out(
    scene: Scene, evidence: Evidence, findings: Iterable[Finding]
) -> dict[str, tuple[str, ...]]:
    """What the lab has places for, all of them looked into, with nothing found at any."""
    there = {finding.fault.id for finding in findings}
    found: dict[str, list[str]] = defaultdict(list)
    for fault in RUNNING:
        targets = {place.target for place in fault.places(scene)}
        seen = all(_shows(evidence, one, fault.layer) for one in targets)
        if fault.id not in there and targets and seen:
            found[fault.layer].append(fault.title)
    return {layer: tuple(titles) for layer, titles in found.items()}


def _shows(evidence: Evidence, name: str, layer: str) -> bool:
    """Whether a namespace was seen, and of packet filters what only root is told."""
    space = evidence.space(name)
    return space is not None and not (layer in OF_ROOT and evidence.unread(space.node))


def _doubted(
    scene: Scene, cells: Iterable[Judged], unexplained: set[Cell], untried: frozenset[str]
) -> tuple[Doubted, ...]:
    """Return the rules that were measured not to hold in unexplained cells.

    No rule is doubted by a cell with an end that nobody looked into: there its cause may be.
    """
    against: dict[tuple[str, str, str], list[Cell]] = defaultdict(list)
    for cell in cells:
        name = _name(cell)
        seen = not untried & {scene.ends[end].space for end in name[:2] if end in scene.ends}
        if cell.differs and name in unexplained and seen:
            against[cell.rule, cell.because, cell.reference].append(name)
    found = (Doubted(*rule, tuple(contradicting)) for rule, contradicting in against.items())
    return tuple(sorted(found, key=lambda one: -len(one.cells)))


def _not_borne_out(findings: Iterable[Finding], causes: Iterable[Cause]) -> tuple[str, ...]:
    named = {(cause.finding.fault.id, cause.where) for cause in causes}
    return tuple(
        dict.fromkeys(
            f"{finding.fault.title} ({finding.place})"
            for finding in findings
            if finding.effect.every and (finding.fault.id, str(finding.place)) not in named
        )
    )


def _suspects(scene: Scene, unexplained: set[Cell], wrong: set[Cell]) -> tuple[str, ...]:
    """Return the places that every unexplained cell passes, and no cell that works."""
    known = {cell for cell in unexplained if cell in scene.healthy}
    if not known or known != unexplained:
        return ()
    common: set[tuple[str, str, str]] | None = None
    for cell in known:
        passed = {(p.where, p.interface, str(p.direction)) for p in scene.passages(cell)}
        common = passed if common is None else common & passed
    for cell in set(scene.healthy) - wrong:
        common = (common or set()) - {
            (p.where, p.interface, p.direction) for p in scene.passages(cell)
        }
    return tuple(f"{where}, {device}, {way}" for where, device, way in sorted(common or ()))[
        :SUSPECTS
    ]
