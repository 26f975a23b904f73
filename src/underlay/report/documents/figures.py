"""Documents with figures: ``bench``, ``bench dataplane``, ``bench growth`` and ``soak``."""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict


class Machine(TypedDict):
    """What the figures were measured on."""

    underlay: str
    commit: str | None
    dirty: bool
    cores: int
    memory_mib: int
    kernel: str
    python: str
    load_before: float
    load_after: NotRequired[float]
    seconds: float
    provider: NotRequired[str]


class Load(TypedDict):
    """Processes that wanted to run, mean of a minute, before and after."""

    before: float
    after: float


class Figure(TypedDict):
    """A figure; ``aim`` is what it should be at most."""

    name: str
    what: str
    median: float
    min: float
    max: float
    unit: str
    runs: int
    aim: float | None
    load: Load


class NotRun(TypedDict):
    """A figure that couldn't be measured, or not as often as it should be."""

    name: str
    reason: str


class Bench(TypedDict):
    """What ``bench`` prints; a ratio is null without both of its figures."""

    machine: Machine
    results: list[Figure]
    not_run: list[NotRun]
    growth: dict[str, float]
    libvirt_ratio: float | None
    floor_ratio: float | None
    ssh_fping_ratio: float | None
    ssh_ping_shared_ratio: float | None
    ssh_ping_ratio: float | None


class Path(TypedDict):
    """The data path of one driver; ``latency_ms`` has percentiles, ``max`` and ``lost``."""

    driver: str
    where: str
    throughput_gbit_s: float
    cpu_s_per_gbit: float
    latency_ms: dict[str, float]
    connections_per_s: float


class Dataplane(TypedDict):
    """What ``bench dataplane`` prints."""

    machine: Machine
    results: list[Path]
    not_run: list[NotRun]
    caveat: str


class Step(TypedDict):
    """What ``size`` of something cost; memory and cells are null where there are none."""

    size: int
    processor_s: float
    wall_s: float
    mib: float | None
    cells: int | None


class Way(TypedDict):
    """What there was more and more of."""

    name: str
    what: str
    steps: list[Step]


class Grown(TypedDict):
    """What ``bench growth`` prints."""

    machine: Machine
    results: list[Way]
    not_run: list[NotRun]


class Trial(TypedDict):
    """A trial that broke a rule."""

    number: int
    verb: str
    signal: str
    moment: float
    exit_code: int | None
    gone_s: float | None
    broken: str


class Growth(TypedDict):
    """What has grown from cycle to cycle of starting and stopping."""

    cycles: int
    failed: list[str]
    files: list[str]
    disk_mib: float
    memory_mib_per_cycle: float


class UnderLoad(TypedDict):
    """How measurements went while every core had too much to do."""

    checks: int
    false_verdicts: list[Any]
    failed: list[Any]


class Soak(TypedDict):
    """What ``soak`` prints."""

    ok: bool
    seed: int
    trials: int
    by_verb: dict[str, int]
    broken: list[Trial]
    longest_gone_s: dict[str, float]
    seconds: float
    state_left: list[str]
    temporary_left: list[str]
    growth: Growth
    load: UnderLoad
