"""What stands in the records: a model for the rows of each, and one for what they are of.

Keys that no model names are refused. A row names its origin and carries a sum of itself and
of that: what was changed by hand no longer fits its sum.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, model_validator

LENGTH_OF_SUM = 12
Commit = Annotated[str, Field(pattern="^[0-9a-f]{40}$")]
Date = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$")]
Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]


def _counted(summary: dict[str, int]) -> dict[str, int]:
    lacking = [key for key in ("cells", "as_expected", "differs") if key not in summary]
    if lacking:
        raise ValueError(f"the summary doesn't count {', '.join(lacking)}")
    return summary


class Strict(BaseModel):
    """A model that knows no other keys than its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Machine(Strict):
    """What measured: its processors and its memory."""

    cores: Count
    memory_mib: Count
    processor: str


class Converted(Strict):
    """How an origin was found for rows that were recorded without: by which code, and where.

    ``commit`` has the record as it was before. ``what`` says what was taken for the origin.
    """

    by: str
    commit: Commit
    what: str


class Origin(Strict):
    """What rows are of: a commit on a machine. The commit is null where there is no repository.

    Of a converted origin some things are unknown, and null. ``parts`` are digests of what the rows
    depend on (content.py); older origins have none.
    """

    commit: Commit | None
    dirty: bool | None
    machine: Machine | None
    kernel: str | None
    packages: dict[str, str] | None
    converted_from: Converted | None = None
    parts: dict[str, str] | None = None

    @model_validator(mode="after")
    def _nothing_unknown(self) -> Origin:
        known = None not in (self.dirty, self.machine, self.kernel, self.packages)
        if not known and self.converted_from is None:
            raise ValueError("an origin that wasn't converted knows its machine and its versions")
        return self


class Row(Strict):
    """What every row has: what it is of, its date and its sum, and why it is stale if it is."""

    origin: str
    date: Date
    sum: str
    stale: str | None = None


# How many cells of a lab there were and what became of them, as the verdict counts them.
Summary = Annotated[dict[str, Count], AfterValidator(_counted)]


class OfLab(Row):
    """What every row of a lab has: the digest of its file, and of what was predicted of it."""

    file: str
    prediction: str | None = None


class LabRow(OfLab):
    """A shipped lab, cell by cell.

    ``rules`` are those of the prediction that were measured in it, ``timings`` its seconds by
    phase: a lab that has some for ``boot`` was the first on its nodes.
    """

    summary: Summary
    observed: str
    values: str | None = None
    rules: tuple[str, ...]
    timings: dict[str, Seconds]


class Reach(Strict):
    """How many cells between two kinds of ends were reachable."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    source: str = Field(alias="from")
    destination: str = Field(alias="to")
    node: str
    reachable: Count
    of: Count


class RecipeRow(OfLab):
    """A recipe, counted by kinds of ends."""

    summary: Summary
    reach: tuple[Reach, ...]


class MutationRow(Row):
    """A mutation of an example fleet's files, on nodes.

    ``files`` is the digest of the changed fleet. ``error`` is why it wasn't started; where it was,
    ``changed`` counts the cells in which something else was measured than of the fleet as it is,
    and ``broken`` the statements of what is wanted that aren't kept.
    """

    files: str
    error: str = ""
    summary: Summary | None = None
    changed: Count = 0
    broken: Count = 0


class LibvirtRow(OfLab):
    """A shipped lab on libvirt."""

    summary: Summary
    observed: str
    values: str | None = None
    seconds: Seconds


class GreenRow(OfLab):
    """What so many faults found in a healthy lab."""

    faults: Count
    spaces: Count
    unseen: dict[str, str]
    found: tuple[tuple[str, str], ...]


# A fault, where it is, how sure it is (a number, or a word), and how many cells it accounts for.
Named = tuple[str, str, float | str, Count]


class FaultRow(Row):
    """One fault that was brought about by hand, and what was said of it."""

    lab: str
    fault: str
    where: str
    mechanism: Literal["the catalogue's", "another"]
    differing: Count
    certain: Count
    possible: Count
    causes: tuple[Named, ...]
    unexplained: Count


class FaultsRow(Row):
    """Two faults at once."""

    lab: str
    faults: tuple[tuple[str, str], ...]
    differing: Count
    causes: tuple[Named, ...]
    unexplained: Count


class FuzzRow(Row):
    """How many spoilt inputs there were, and how many of them came to which end."""

    inputs: Count
    ends: dict[str, Count]


class MemoryRow(Row):
    """What containers of one runtime cost a node, from few and from many of them."""

    used_mib: dict[str, float]
    each_mib: float
    rest_mib: float


class AloneRow(OfLab):
    """A shipped lab, of whose cells some were asked by themselves after all of them together.

    ``cells`` were asked together, and ``sampled`` of them alone as well; of ``equal`` came the
    same both times.
    """

    cells: Count
    sampled: Annotated[int, Field(gt=0)]
    equal: Count


class AloneFaultRow(Row):
    """The same of a lab under a fault, some of whose ends couldn't be found."""

    lab: str
    fault: str
    where: str
    cells: Count
    sampled: Annotated[int, Field(gt=0)]
    equal: Count


class StartedLab(Strict):
    """A random lab that was to be started by a runtime."""

    summary: Summary
    runtimes: tuple[str, ...]
    several_links_on_one_parent: bool
    started: bool


class RandomRow(Row):
    """Random labs of one seed; ``elsewhere`` says by lab which cells stopped elsewhere."""

    seed: int
    boots: Count
    seconds: Seconds
    labs: dict[str, Summary]
    elsewhere: dict[str, dict[str, Count]] | None = None


class StartedRow(Row):
    """Random labs of so many nodes, that were to be started by each runtime.

    ``elsewhere`` says by lab which cells stopped elsewhere.
    """

    nodes: Count
    seed: int
    boots: Count
    seconds: Seconds
    started: dict[str, StartedLab]
    elsewhere: dict[str, dict[str, Count]] | None = None


class Load(Strict):
    """How many processes wanted to run, mean of a minute, before and after."""

    before: float
    after: float


class BenchRow(Row):
    """One figure of `bench`, in seconds."""

    what: str
    median: Seconds
    min: Seconds
    max: Seconds
    runs: Annotated[int, Field(gt=0)]
    aim: float | None
    load: Load | None
    growth: dict[str, float] | None = None


class GrowthStep(Strict):
    """What so many of something cost."""

    size: Annotated[int, Field(gt=0)]
    processor_s: Seconds
    wall_s: Seconds
    mib: float | None
    cells: Count | None


class GrowthRow(Row):
    """What more and more of something cost."""

    what: str
    steps: Annotated[tuple[GrowthStep, ...], Field(min_length=1)]
    load: Load


class SoakRow(Row):
    """One of the three things that `soak` does; ``seed`` is that of its trials."""

    count: Annotated[int, Field(gt=0)]
    seconds: Seconds | None
    broken: Count
    seed: int | None = None
    by_verb: dict[str, Count] | None = None
    longest_gone_s: dict[str, Seconds] | None = None
    memory_mib_per_cycle: float | None = None
    disk_mib: float | None = None


class LayerOfPart(Strict):
    """How a layer went."""

    name: str
    passed: Count
    failed: Count
    skipped: Count
    seconds: Seconds
    problem: str


class PartRow(Row):
    """One share of the full proof; ``names`` is a digest of the names of all shares' tests."""

    part: Annotated[int, Field(ge=1)]
    of: Annotated[int, Field(ge=1)]
    names: str
    tests: Count
    layers: tuple[LayerOfPart, ...]


class DurationRow(Row):
    """How long one test took, the lab that it had to start included."""

    seconds: Seconds


# A cell of the benchmark of tools: source, destination, protocol, family.
AskedCell = tuple[str, str, str, int]


class LiesLabRow(OfLab):
    """A lab that tools are asked about, and what a referee saw while it was healthy.

    ``healthy`` has a letter for each of ``cells``, with how often it comes in a row: reached,
    astray, or nobody to ask. ``faults`` is how many the lab has a place for.
    """

    cells: tuple[AskedCell, ...]
    healthy: str
    versions: dict[str, str]
    faults: Count


class ToolSaid(Strict):
    """What a tool said under a fault, and what that was worth.

    ``words`` has a letter for each of the lab's cells: fine, broken, no word, or - for what it
    doesn't ask. ``wrong`` are the cells of which it said what isn't so. ``blind`` says that it
    asked none of the cells that changed; ``beyond`` counts its findings in what nobody else asks.
    """

    seconds: Seconds
    says: Literal["fine", "broken", "no word"]
    worth: str
    blind: bool
    beyond: Count
    cells: dict[str, Count]
    words: str
    wrong: tuple[tuple[str, str, str, int, str], ...]


class LiesRow(Row):
    """What a referee saw of a lab under a fault, and what each tool said.

    ``asked_alone`` counts the cells that were, ``silent_alone`` those of them that had been silent
    when all were asked; ``load`` is how many processes wanted to run.
    """

    lab: str
    fault: str
    where: str
    changed: Count
    truth: str
    asked_alone: Count
    silent_alone: Count
    referee_s: Seconds
    load: float
    tools: dict[str, ToolSaid]


AnyAlone = AloneRow | AloneFaultRow
AnyFault = FaultRow | FaultsRow
AnyLies = LiesLabRow | LiesRow
AnyRandom = RandomRow | StartedRow

# The rows of each record, by the name of its file.
SCHEMAS: dict[str, TypeAdapter[Any]] = {
    "labs": TypeAdapter(LabRow),
    "recipes": TypeAdapter(RecipeRow),
    "mutations": TypeAdapter(MutationRow),
    "libvirt": TypeAdapter(LibvirtRow),
    "green": TypeAdapter(GreenRow),
    "faults": TypeAdapter(AnyFault),
    "lies": TypeAdapter(AnyLies),
    "alone": TypeAdapter(AnyAlone),
    "fuzz": TypeAdapter(FuzzRow),
    "memory-full": TypeAdapter(MemoryRow),
    "memory-lean": TypeAdapter(MemoryRow),
    "random-labs": TypeAdapter(AnyRandom),
    "bench": TypeAdapter(BenchRow),
    "growth": TypeAdapter(GrowthRow),
    "soak": TypeAdapter(SoakRow),
    "tests": TypeAdapter(PartRow),
    "durations": TypeAdapter(DurationRow),
}


def sum_of(row: dict[str, Any], origin: dict[str, Any]) -> str:
    """Return the sum of a row as it stands in JSON, without its own sum, and of its origin."""
    kept = {key: value for key, value in row.items() if key not in ("sum", "stale")}
    text = json.dumps([kept, origin], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH_OF_SUM]
