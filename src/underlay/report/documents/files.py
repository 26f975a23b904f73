"""Documents about lab files and hosts' own files, for which no node runs."""

from __future__ import annotations

from typing import Any, Literal

from typing_extensions import TypedDict

Severity = Literal["error", "warning"]


class Place(TypedDict):
    """A place in a file; both count from 1, and line 0 is the whole file."""

    file: str
    line: int
    column: int


class Finding(Place):
    """What a rule of lint has found."""

    id: str
    severity: Severity
    message: str
    reason: str
    cure: str
    source: str
    related: list[Place]


class Silenced(Finding):
    """A finding that doesn't count, and why not."""

    by: Literal["comment", "option", "baseline"]
    because: str


class Counts(TypedDict):
    """How many findings there are."""

    errors: int
    warnings: int
    silenced: int


class Lint(TypedDict):
    """What is common to all that ``lint`` prints."""

    findings: list[Finding]
    silenced: list[Silenced]
    summary: Counts


class LintOfLab(Lint):
    """What lint says of a lab file."""

    lab: str
    statements: int
    statements_kept: int
    remarks: list[str]


class LintOfUnreadLab(Lint):
    """What lint says of a file that can't be read as a lab."""

    error: str
    hint: str


class LintOfHosts(Lint):
    """What lint says of hosts: for each the files that were read, and those that weren't.

    ``unjudged`` are the rules that couldn't be judged for a host.
    """

    hosts: dict[str, list[str]]
    ignored: dict[str, list[str]]
    unjudged: dict[str, list[str]]


class Assumption(TypedDict):
    """What had to be assumed for a key of the lab, and the place that led to it."""

    key: str
    text: str
    file: str
    line: int


class LeftOut(TypedDict):
    """What a lab doesn't say of hosts' files."""

    file: str
    line: int
    what: str
    why: str
    matters: bool


class ErrorInFile(TypedDict):
    """An error that ``lint --host`` finds in the files."""

    id: str
    file: str
    line: int
    message: str


class Imported(TypedDict):
    """A lab made of hosts' files; ``lab`` is as the schema of lab files has it."""

    lab: dict[str, Any]
    assumptions: list[Assumption]
    left_out: list[LeftOut]
    errors: list[ErrorInFile]


class Rendered(TypedDict):
    """The files that were written for a lab's nodes."""

    lab: str
    output: str
    files: list[str]
    seconds: float
    cached: bool


class Lab(TypedDict):
    """A lab that is there; ``nodes`` is null where its file can't be read."""

    name: str
    description: str
    nodes: int | None
    drivers: list[str]
    runtimes: list[str]


class Labs(TypedDict):
    """What ``labs`` prints."""

    labs: list[Lab]


class CataloguedFault(TypedDict):
    """A fault that Underlay knows."""

    id: str
    layer: str
    stage: Literal["running", "boot", "file"]
    title: str
    symptom: str
    evidence: str
    cause: str
    cure: str
    reference: str


class Faults(TypedDict):
    """What ``faults`` prints."""

    faults: list[CataloguedFault]


class Image(TypedDict):
    """The nodes' image, as ``image show`` and ``image build`` have it."""

    key: str
    built: bool
    folder: str
    bytes: int
    seconds: float


class BuiltFile(TypedDict):
    """The root file system of another image, as ``image build FILE`` has it."""

    file: str
    bytes: int
    added: list[str]
    left_out: list[str]
    seconds: float


class ExportedImage(TypedDict):
    """A file with the image, and the list of its packages."""

    key: str
    file: str
    bytes: int
    packages_file: str
    packages: int
    seconds: float


class ImportedImage(TypedDict):
    """An image that was read from a file; ``current`` says whether nodes here boot it."""

    key: str
    folder: str
    imported: bool
    current: bool
    seconds: float


class Bundle(TypedDict):
    """A file that carries Underlay, as ``bundle FILE`` and ``bundle check`` have it."""

    file: str
    bytes: int
    underlay: str
    commit: str
    changed: bool
    distribution: str
    release: str
    architecture: str
    python: str
    image: str
    image_bytes: int
    checkout_bytes: int
    packages: int
    packages_bytes: int
    wheels: int
    wheels_bytes: int
    sha256: str
    seconds: float


class InstalledBundle(TypedDict):
    """What ``bundle install`` has put where."""

    file: str
    folder: str
    image: str
    seconds: float


class Requirement(TypedDict):
    """What a machine needs, and what was found."""

    what: str
    found: str
    needed: str
    fix: str
    ok: bool


class Doctor(TypedDict):
    """What ``doctor`` prints."""

    ok: bool
    rows: list[Requirement]


class Layer(TypedDict):
    """How the tests of one layer went."""

    name: str
    passed: int
    failed: int
    skipped: int
    seconds: float
    left: int
    problem: str


class Share(TypedDict):
    """A share of the full proof."""

    number: int
    of: int
    tests: int
    minutes: float
    minutes_of_all: list[float]


class Tests(TypedDict):
    """What ``test`` prints; ``taken`` are rows by record, where it took some over."""

    layers: list[Layer]
    passed: int
    failed: int
    skipped: int
    part: Share | None
    taken: dict[str, int] | None


class Failed(TypedDict):
    """Why a verb could print nothing else, and what to do next; ``hint`` may be empty."""

    error: str
    hint: str


class Versions(TypedDict):
    """Underlay's own version and those of what it stands on."""

    underlay: str
    python: str
    vagrant: str
    ansible: str
    kernel: str
    image: str
    image_built: bool
