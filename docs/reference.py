"""Writes the pages of this site that say what the code says: models and rules, as tables.

``PAGES`` maps each generated page to its text. ``tests/unit/docs/test_docs_reference.py``
compares them with the files here; with ``--update-golden`` it writes them.
"""

from __future__ import annotations

import inspect
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cluster.faults_by_hand import BY_HAND
from fleets.page import page as mutations
from fleets.published import page as published
from lies.page import page as lies
from underlay.cli.overview import entries as verb_entries
from underlay.drivers import DRIVERS
from underlay.drivers.rule import Rule
from underlay.expect import (
    Prediction,
    filter_hooks,
    filtering,
    routing,
    seen,
    stations,
    switch_ports,
)
from underlay.expect.intent.before_boot import intent_rules
from underlay.faults import RUNNING, Effect, Scene
from underlay.faults.entries import entries
from underlay.lab import (
    Containers,
    ExtraRoute,
    Filter,
    Host,
    HostPort,
    Image,
    Lab,
    Network,
    Nodes,
    Pool,
    Segment,
    Shim,
    Statement,
    SwitchPort,
)
from underlay.lab.model import FORMATS
from underlay.lint.hosts import host_rules as rules_about_hosts
from underlay.lint.problems import problem_rules
from underlay.lint.read import read_lab
from underlay.lint.rules import RULES
from underlay.plan import make_plan
from underlay.proof.records.age import MOST_COMMITS
from underlay.proof.records.keeping import Record, read
from underlay.proof.records.schema import FaultRow, FaultsRow, GrowthRow, RecipeRow, Row
from underlay.proof.runs.file import schema_of_runs
from underlay.proof.runs.schema import DOCUMENT as RUN
from underlay.proof.runs.schema import VERSION as RUN_VERSION
from underlay.report.documents.kinds import VERSIONS, name_of
from underlay.report.documents.schemas import schema_of
from underlay.storage.paths import root

# Which labs the patterns of faults are computed from: the first one that has a place for each.
PATTERN_LABS = ("coreos", "docker-vlan", "one-of-each", "dual-stack")

MADE = "<!-- Made by docs/reference.py; change it or the code that it reads, not this page. -->"

# The models in the order of the page, with the key of the lab file that holds each.
MODELS: dict[type[BaseModel], str] = {
    Lab: "The file",
    Nodes: "`nodes`",
    Image: "`image`",
    Segment: "`segments`",
    SwitchPort: "`ports` of a segment",
    Network: "`networks`",
    Pool: "`subnets`",
    ExtraRoute: "`routes`",
    Shim: "`shim`",
    Containers: "`containers`",
    Host: "`hosts`",
    HostPort: "`on` of a host",
    Filter: "`filters`",
    Statement: "`expect`",
}

# What pages say more about it.
BESIDE: dict[type[BaseModel], str] = {
    Network: "More about subnets and `ipam`: [Who hands out which address](concepts/addresses.md).",
    Shim: "What for: [Why a host can't reach its macvlan child](concepts/macvlan-host.md).",
    Statement: "With an example of a broken one: [What is wanted](concepts/intent.md).",
    Containers: "What `image` and `command` do: [Your own programs](concepts/own-programs.md).",
    Filter: "Which packets each is asked about: [What packet filters see](concepts/filters.md).",
}

# For each model a piece of a lab file that has its keys; a test makes a lab of each.
EXAMPLES: dict[type[BaseModel], str] = {
    Lab: """
name: small
nodes: 2
segments:
  lan: {subnet: 192.168.70.0/24}
networks:
  lannet: {driver: macvlan, segment: lan, subnet: 10.1.1.0/24}
containers:
  - {on: all, count: 2, networks: [lannet]}
checks: [source, pmtu]
protocols: [icmp, tcp, "tcp:5432"]
""",
    Nodes: """
nodes: {names: [core-01, core-02], memory: 640}
""",
    Image: """
image: {path: boxes/mine.qcow2, kernel: boxes/vmlinuz, initrd: boxes/initrd.img}
""",
    Segment: """
segments:
  lan: {subnet: 192.168.70.0/24, subnet6: "fd00:70::/64"}
  wan: {subnet: 192.168.80.0/24, mtu: 1400}
  both: {subnet: 192.168.90.0/24, bond: active-backup}
nodes: {count: 2, profile: lean}
""",
    SwitchPort: """
segments:
  lan:
    subnet: 192.168.70.0/24
    ports: {core-01: {trunk: [70, 80], native: 1}, core-02: {access: 70}}
""",
    Network: """
networks:
  lannet: {driver: macvlan, segment: lan, subnet: 10.1.1.0/24}
  tagged: {driver: ipvlan, mode: l2, segment: lan, vlan: 80, subnet: 10.1.2.0/24, runtime: docker}
  routed:
    driver: macvlan
    segment: lan
    vlan: 90
    subnet: 10.1.3.0/24
    gateway: 10.1.3.1
    default_route: gateway
  picky:
    driver: macvlan
    mode: source
    runtime: iproute2
    allow: [containers]
    segment: lan
    vlan: 91
    subnet: 10.1.4.0/24
""",
    Pool: """
networks:
  lannet:
    driver: macvlan
    segment: lan
    subnets:
      - {subnet: 10.1.1.0/24, gateway: 10.1.1.1, reserved: [10.1.1.65]}
      - {subnet: 10.1.2.0/24, ranges: {core-01: 10.1.2.10-10.1.2.19, core-02: 10.1.2.32/27}}
""",
    ExtraRoute: """
networks:
  lannet:
    driver: macvlan
    segment: lan
    subnet: 10.1.1.0/24
    default_route: none
    routes: [{to: 10.2.0.0/16, via: 10.1.1.1}, {to: 192.168.70.0/24}]
""",
    Shim: """
networks:
  lannet:
    driver: macvlan
    segment: lan
    subnet: 10.1.1.0/24
    shim: {addresses: {core-01: 10.1.1.250/32}, routes: [10.1.1.64/26]}
""",
    Containers: """
containers:
  - {on: all, count: 2, networks: [lannet]}
  - on: core-01
    name: db
    networks: [lannet]
    addresses: {lannet: 10.1.1.70}
    listens: ["tcp:5432"]
  - {on: [core-01, core-02], name: web, networks: [lannet], command: [httpd, -f], ports: [80]}
protocols: [icmp, "tcp:5432", "tcp:80"]
""",
    Host: """
hosts:
  server: {on: {lan: {}}, serves: [dhcp]}
  router:
    on: {lan: {addresses: [192.168.70.250/24]}, wan: {addresses: [192.168.80.250/24]}}
    forwards: true
segments:
  lan: {subnet: 192.168.70.0/24}
  wan: {subnet: 192.168.80.0/24}
""",
    HostPort: """
hosts:
  router:
    on:
      lan:
        - {addresses: [192.168.70.250/24]}
        - {vlan: 80, addresses: [10.1.80.1/24, "fd00:80::1/64"]}
    forwards: true
""",
    Filter: """
filters:
  - {on: lannet, protocol: tcp, port: 5432, from: 10.1.1.64/26, action: accept}
  - {on: [lannet, core-01], protocol: tcp, port: 5432, action: drop}
protocols: [icmp, tcp, "tcp:5432"]
""",
    Statement: """
expect:
  - lannet -> lannet icmp
  - {from: [core-01, lannet-1*], to: lannet-2a, protocols: [icmp, tcp], family: 4}
  - {from: core-01, to: lannet-1a, never: true}
""",
}

# Keys of which a value may be called none: what is so without them, in words.
UNSET = {
    (Network, "default_route"): "`on-link`; with `nat`, `gateway`",
    (Network, "ipam"): "the runtime's own",
}

WORD = Lab.model_json_schema()["properties"]["name"]


def lab_file() -> str:
    """Return the page about the lab file, from the pydantic models."""
    lines = [
        "# The lab file",
        "",
        MADE,
        "",
        "A lab file is YAML. Unknown keys are refused, and so are values that would have to be",
        'converted: `count: "3"` is text and not a number. `underlay lint` says for each mistake',
        "where it is and what was expected. The labs in `labs/` are complete examples.",
        "",
    ]
    for model, title in MODELS.items():
        lines += [f"## {title}", "", _prose(model), ""]
        if model in EXAMPLES:
            lines += ["```yaml", EXAMPLES[model].strip(), "```", ""]
        if model in BESIDE:
            lines += [BESIDE[model], ""]
        lines += ["| Key | Takes | Default | Meaning |", "|---|---|---|---|"]
        lines += [_row(model, name, field) for name, field in model.model_fields.items()]
        lines += [""]
    lines += ["## Words", "", f"Names are {WORD['expected']}.", ""]
    lines += ["## Modes", "", "| Driver | Modes | Default |", "|---|---|---|"]
    for driver in DRIVERS.values():
        named = ", ".join(f"`{mode}`" for mode in driver.modes) or "none"
        default = f"`{driver.default_mode}`" if driver.modes else ""
        lines.append(f"| `{driver.name}` | {named} | {default} |")
    return "\n".join(lines) + "\n"


def lint_rules() -> str:
    """Return the page about what lint looks for, from the table of its rules."""
    lines = [
        "# Lint rules",
        "",
        MADE,
        "",
        "What [`underlay lint`](verbs/lint.md) looks for. With an error, `up` and `render` refuse",
        "the lab unless `--force` is given; a warning stops nothing.",
        "",
        "| Rule | Severity | Why | Source |",
        "|---|---|---|---|",
    ]
    for rule in RULES:
        why = _cell(inspect.getdoc(rule.check) or "")
        lines.append(f"| `{rule.id}` | {rule.severity} | {why} | {_cell(rule.source)} |")
    lines += [
        "",
        "## What is wanted",
        "",
        "These hold what a file [expects](concepts/intent.md) against the prediction. They stop",
        "neither `up` nor `render`: a lab may be started to see what becomes of it.",
        "",
        "| Rule | Severity | Why | Source |",
        "|---|---|---|---|",
        *(
            f"| `{rule.id}` | {rule.severity} | {_cell(rule.reason)} | {_cell(rule.source)} |"
            for rule in intent_rules()
        ),
        "",
        "## Files that can't be read",
        "",
        "These are found first. With one of them there is no lab to look further into: the exit",
        "code is 2.",
        "",
        "| Kind | Why | Source |",
        "|---|---|---|",
        *(f"| `{r.id}` | {_cell(r.reason)} | {_cell(r.source)} |" for r in problem_rules()),
    ]
    return "\n".join(lines) + "\n"


def host_rules() -> str:
    """Return the page about what lint looks for in real hosts' configuration."""
    rules = sorted(rules_about_hosts(), key=lambda rule: rule.id)
    lines = [
        "# Host rules",
        "",
        MADE,
        "",
        "What [`underlay lint --host`](verbs/lint.md) looks for in the configuration of hosts that",
        f"Underlay didn't make: {len(rules)} rules about single files, about one host, and about",
        "what hosts do to one another.",
        "",
        "| Rule | Severity | Why | Source |",
        "|---|---|---|---|",
        *(
            f"| `{rule.id}` | {rule.severity} | {_cell(rule.reason)} | {_cell(rule.source)} |"
            for rule in rules
        ),
    ]
    return "\n".join(lines) + "\n"


def prediction_rules() -> str:
    """Return the page about the prediction, from the drivers' tables of rules."""
    shared = [value for value in vars(routing).values() if isinstance(value, Rule)]
    parts = {
        "Before any driver": shared,
        "Switch and machines": list(stations.RULES),
        "Switch ports with VLANs": [
            value for value in vars(switch_ports).values() if isinstance(value, Rule)
        ],
        "Packet filters and closed ports": [
            value
            for module in (filter_hooks, filtering)
            for value in vars(module).values()
            if isinstance(value, Rule)
        ],
        **{driver.title: [*driver.reach, *driver.beside] for driver in DRIVERS.values()},
    }
    told: dict[tuple[Rule, ...], str] = {}
    lines = [
        "# Prediction rules",
        "",
        MADE,
        "",
        "Why a cell is expected to be reachable or not. In each driver's table the first rule that",
        "holds decides. A request and its answer are looked at one after the other; either may be",
        "what fails. *Stops at* is where the probe should be seen to stop.",
        "",
    ]
    for title, rules in parts.items():
        lines += [f"## {title}", ""]
        if (like := told.setdefault(tuple(rules), title)) != title:
            lines += [f"The rules are those of [{like}](#{like.lower()}).", ""]
            continue
        lines += ["| Rule | Between | Modes | Expected | Stops at | Because | Source |"]
        lines += ["|---|---|---|---|---|---|---|"]
        lines += [_rule(rule) for rule in rules]
        lines += [""]
    lines += [
        "## Who hears a broadcast",
        "",
        "Cells of the checks `broadcast` and `multicast`, and who answers ARP. In each table the",
        "first rule that holds speaks. The sender's driver, the switch and the hearer's driver are",
        "asked in turn, and the first of them that forbids it decides.",
        "",
    ]
    hearing = {stations.BROADCAST: ["Switch and machines"]}
    for driver in DRIVERS.values():
        hearing.setdefault(driver.broadcast, []).append(driver.title)
    for table, titles in hearing.items():
        lines += _short_table(", ".join(titles), "Heard", table) if table else []
    lines += [
        "## What a receiver sees",
        "",
        "Cells of the checks `source`, `macs` and `pmtu`: whether the receiver sees the sender's",
        "own addresses, and whether all that the sender's interface lets out gets there.",
        "",
    ]
    for check, table in seen.TABLES.items():
        lines += _short_table(f"`{check}`", "As sent", table)
    return "\n".join(lines).rstrip() + "\n"


def _short_table(title: str, question: str, rules: Iterable[Rule]) -> list[str]:
    lines = [f"### {title}", "", f"| Rule | Between | Modes | {question} | Because | Source |"]
    lines += ["|---|---|---|---|---|---|"]
    for rule in rules:
        answer = "yes" if rule.reachable else "no"
        cells = (f"`{rule.id}`", *_between(rule), answer, rule.because, rule.reference)
        lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    return [*lines, ""]


PROGRAMS = ("ip", "bridge", "tc", "nft", "sysctl", "systemctl", "networkctl", "docker", "underlay")
PATTERNS = (
    "Everything of one container is lost",
    "Siblings lose each other, everything across nodes goes on",
    "Some protocols are lost, others of the same pairs aren't",
    "A single pair is lost",
    "One container loses some others, or all nodes",
    "It changes from one measurement to the next who reaches whom",
    "A node's own cells are lost, its containers don't notice",
    "A node and its containers lose the others",
    "Two nodes lose each other, a third one reaches both",
    "A whole segment is lost across nodes",
    "Something is reachable that should not be",
    "Cells can't be measured",
)


def troubleshooting() -> str:
    """Return the page from symptoms to causes, from the catalogue of faults."""
    lines = [
        "# Troubleshooting",
        "",
        MADE,
        "",
        "From what is seen to what may be wrong. `underlay explain` looks for all of it by itself;",
        "this page is for reading it up, and for networks where Underlay doesn't run. Which of the",
        "patterns a fault belongs to is computed from shipped labs: the cells that it changes.",
        "",
        "## What do you see?",
        "",
        "| Pattern | Likely causes |",
        "|---|---|",
    ]
    named = {fault.id for fault in RUNNING}
    for pattern, ids in _patterns().items():
        causes = ", ".join(f"[`{name}`](#{name})" for name in ids)
        lines.append(f"| {pattern} | {causes} |")
    found = entries()
    layers = dict.fromkeys(entry.layer for entry in found if entry.id in named)
    for layer in layers:
        lines += ["", f"## Running lab: {layer}"]
        for entry in found:
            if entry.id in named and entry.layer == layer:
                lines += ["", f"### {entry.id}", "", f"*{_sentence(entry.title)}*", ""]
                lines += [f"- Symptom: {_sentence(entry.symptom)}"]
                lines += [f"- Evidence: {_sentence(entry.evidence)}"]
                lines += [f"- Cause: {_sentence(entry.cause)}"]
                lines += [f"- Cure: {_sentence(entry.cure)}"]
                lines += [f"- Source: {_sentence(entry.reference)}"]
    lines += ["", "## A lab doesn't start", ""]
    lines += ["| What is said | What is wrong | Cure | Source |", "|---|---|---|---|"]
    for entry in found:
        if entry.stage == "boot":
            cells = (entry.evidence, f"{entry.title}. {entry.cause}", entry.cure, entry.reference)
            lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    lines += ["", "## A lab file is refused", ""]
    lines += ["What lint finds is in [Lint rules](lint-rules.md)."]
    return "\n".join(lines) + "\n"


def explained() -> str:
    """Return the page about the proof of the faults: what was done, and what was said of it."""
    record = read("faults")
    rows = record.rows.values()
    single = [row for row in rows if isinstance(row, FaultRow)]
    pairs = [row for row in rows if isinstance(row, FaultsRow)]
    first = [row.causes[0][0] if row.causes else "nothing" for row in single]
    right = sum(said == row.fault for said, row in zip(first, single, strict=True))
    seen = sum(row.differing > 0 for row in single)
    other = sum(row.mechanism == "another" for row in single)
    labs = ", ".join(sorted({row.lab for row in single}))
    both = sum(
        all(fault in [cause[:2] for cause in row.causes] for fault in row.faults) for row in pairs
    )
    lacking = [str(hand) for hand in BY_HAND if str(hand) not in record.rows]
    lines = [
        "# Injected and explained",
        "",
        MADE,
        "",
        "The full proof brings faults about by plain commands on real nodes, which `break` has no",
        "part in, measures, and asks what is the matter. A third of them uses another mechanism",
        "than the catalogue's own, such as tc instead of iptables. Afterwards each lab has to be",
        "green again. `docs/proof/faults.json` has a row for each that was measured.",
        "",
        *_without_a_row(len(BY_HAND), lacking),
        f"- {len(single)} single faults, {other} of them by another mechanism, in the labs {labs}",
        f"- {seen} of {len(single)} detected: at least one cell differed or wasn't measured",
        f"- {right} of {len(single)} rightly explained: the first cause named is the one injected",
        f"- {both} of {len(pairs)} pairs of simultaneous faults with both named",
        *_stale(single, "of the single faults' rows"),
        "",
        "| Injected | Times | Labs | Cells that differed | Explained first as |",
        "|---|---|---|---|---|",
    ]
    for fault in dict.fromkeys(row.fault for row in sorted(single, key=lambda row: row.fault)):
        done = [row for row in single if row.fault == fault]
        said = Counter(row.causes[0][0] if row.causes else "nothing" for row in done)
        cells = ", ".join(str(row.differing) for row in done)
        names = ", ".join(sorted({row.lab for row in done}))
        words = ", ".join(f"{name} ({count})" for name, count in said.items())
        lines.append(f"| {fault} | {len(done)} | {names} | {cells} | {words} |")
    lines += ["", "## Two at once", "", "| Injected | Named |", "|---|---|"]
    for row in pairs:
        injected = ", ".join(f"{fault} at {where}" for fault, where in row.faults)
        said_of = ", ".join(f"{cause[0]} at {cause[1]}" for cause in row.causes)
        lines.append(f"| {injected} | {said_of or 'nothing'} |")
    return "\n".join(lines) + "\n"


def _without_a_row(hands: int, lacking: Sequence[str]) -> Iterator[str]:
    """Yield how many of the single faults of ``faults_by_hand.py`` have a row, and which don't."""
    if not lacking:
        yield f"- All {hands} single faults that the proof brings about have a row"
        return
    names = ", ".join(f"`{name}`" for name in lacking)
    had = hands - len(lacking)
    yield f"- {had} of {hands} single faults that the proof brings about have a row"
    yield f"- {len(lacking)} without a row, which none of these figures counts: {names}"


def _patterns() -> dict[str, list[str]]:
    """Return the faults by the pattern they make in the first lab with a place for them."""
    scenes = [
        Scene(Prediction(make_plan(read_lab(root() / "labs" / f"{n}.yml")))) for n in PATTERN_LABS
    ]
    found: dict[str, list[str]] = {pattern: [] for pattern in PATTERNS}
    for fault in RUNNING:
        for scene in scenes:
            place = next((p for p in fault.places(scene) if fault.effect(scene, p).every), None)
            if place is not None:
                effect = fault.effect(scene, place)
                found[_pattern(scene, effect)].append(fault.id)
                break
    return {pattern: names for pattern, names in found.items() if names}


def _pattern(scene: Scene, effect: Effect) -> str:
    """Name the pattern that differing cells make: who they are about, and who goes on."""
    healthy = set(scene.healthy)
    # Of what is only possible, that a cell can't be measured is the lesser part.
    cells = effect.certain or effect.every & healthy or effect.every
    everything, sibling, protocol, pair, one, racing, *rest = PATTERNS
    own, node, two, segment, opened, unseen = rest
    if cells - healthy:
        return unseen if cells & healthy else opened
    if effect.certain and effect.every != effect.certain:
        return racing
    nodes = {scene.ends[name].node for cell in cells for name in cell[:2]}
    if all(scene.ends[c[0]].node == scene.ends[c[1]].node for c in cells):
        return sibling
    pairs = {cell[:2] for cell in cells}
    if any(cell not in cells and cell[:2] in pairs for cell in healthy):
        return protocol
    if len({frozenset(cell) for cell in pairs}) == 1:
        return pair
    shared = set.intersection(*(set(cell) for cell in pairs))
    if shared:
        name = next(iter(shared))
        if {cell for cell in healthy if name in cell[:2]} == cells:
            return everything
        return own if scene.ends[name].kind == "node" else one
    homes = [{scene.ends[name].node for name in cell} for cell in pairs]
    if len(nodes) == 2 and len(scene.plan.nodes) > 2:
        return two
    return node if set.intersection(*homes) else segment


def _sentence(text: str) -> str:
    """A sentence begins with a capital letter, unless a program's name or other code begins it."""
    first = text.split(" ", maxsplit=1)[0].rstrip(".,;:")
    is_code = first in PROGRAMS or re.search(r"[a-z0-9][.(=/_]", first)
    begin = text if is_code else f"{text[:1].upper()}{text[1:]}"
    return begin.rstrip(".") + "."


def recipes() -> str:
    """Return the page about published recipes: what they say, what they do, what they get wrong."""
    record = read("recipes")
    files = sorted((root() / "labs" / "recipes").glob("*.yml"))
    found = [record.rows[file.stem].summary for file in files if file.stem in record.rows]
    cells = sum(summary["cells"] for summary in found)
    right = sum(summary["as_expected"] for summary in found)
    lines = [
        "# Recipes",
        "",
        MADE,
        "",
        "What other people's pages tell you to type, each as a lab in `labs/recipes/` that is",
        "measured on several nodes. `./underlay check labs/recipes` proves all of them,",
        "`./underlay up recipes/NAME` starts one.",
        "",
        f"{len(files)} recipes; measured at {_when(record)}:",
        f"{right:,} of {cells:,} cells as predicted.",
        *_stale((record.rows[f.stem] for f in files if f.stem in record.rows), "of the rows"),
        "",
        "In the tables a row asks and a column answers: ● all of these reach, · none does, or how",
        "many do. A column says whether both are on the same node or on another one; it says",
        "neither where an external host asks or is asked, which is on no node. A cell is blank",
        "where no such pair is asked: nodes don't ask nodes, and a container that is alone on its",
        "node has no other one there.",
        "",
        "## By the page they are from",
        "",
        "| Page | Recipes |",
        "|---|---|",
        *_by_page(files),
        "",
    ]
    for file in files:
        lines += _recipe(file, record.rows.get(file.stem))
    lines += ["## What can't be said", "", "| Recipe | Why |", "|---|---|"]
    lines += [f"| {_cell(what)} | {_cell(why)} |" for what, why in NOT_SAID]
    return "\n".join(lines) + "\n"


# What the same pages have and no lab file can say, with the reason.
NOT_SAID = (
    (
        "Docker's ipvlan page: addresses by SLAAC, with `com.docker.network.endpoint.sysctls`",
        "Docker 28 brought the option; the nodes' Docker is Debian's, 26.1.",
    ),
    (
        "host-local's page: two subnets in one range set, the second for when the first is used up",
        "Subnets of a network are range sets here: a container has an address of each.",
    ),
    (
        "the CNI bridge page: `portIsolation` and `disableContainerInterface`",
        "The lab file has no key for them.",
    ),
)


def _by_page(files: Iterable[Path]) -> Iterator[str]:
    """A table's rows: each page that recipes are from, and those, in the order of their names."""
    found: dict[str, list[str]] = {}
    for file in files:
        said = recipe_head(file.read_text(encoding="utf-8"))
        page = re.sub(r" (at [0-9a-f]{8}|\(read [0-9-]+\))$", "", said["Source"])
        title = said["Recipe"]
        anchor = re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower())
        found.setdefault(page, []).append(f"[{file.stem}](#{anchor})")
    for page, links in sorted(found.items()):
        yield f"| {_cell(page)} | {', '.join(links)} |"


def _recipe(file: Path, proven: RecipeRow | None) -> Iterator[str]:
    """The part about one recipe, from the comment at its file's head and what was measured."""
    said = recipe_head(file.read_text(encoding="utf-8"))
    title = said["Recipe"]
    yield from (f"## {title[0].upper()}{title[1:]}", "", f"From {said['Source']}:", "")
    yield from ("```text", *said["Original"].split("; "), "```", "")
    yield from (f"Changed: {said['Changed']}", "", f"What it gets wrong: {said['Wrong']}", "")
    name = file.relative_to(root() / "labs").with_suffix("")
    if proven is None:
        yield from (f"`{name}` has not been measured.", "")
        return
    counts = proven.reach
    sources = list(dict.fromkeys(count.source for count in counts))
    columns = sorted({(sources.index(count.destination), count.node) for count in counts})
    signs = {(c.source, c.destination, c.node): _sign(c.reachable, c.of) for c in counts}
    headings = [f"{sources[n]}, {where} node" if where else sources[n] for n, where in columns]
    yield f"| `{name}` | {' | '.join(headings)} |"
    yield "|---" * (1 + len(columns)) + "|"
    for source in sources:
        found = (signs.get((source, sources[n], where), "") for n, where in columns)
        yield f"| {source} | {' | '.join(found)} |"
    yield ""


# What each record is about, and what writes it.
ABOUT = {
    "labs": ("every shipped lab, cell by cell", "tests/cluster/test_all_labs.py"),
    "recipes": ("every recipe", "tests/cluster/test_recipes.py"),
    "mutations": ("mistakes in example fleets' files", "tests/cluster/test_mutations.py"),
    "random-labs": ("random labs", "tests/cluster/test_random_labs.py"),
    "libvirt": ("a dozen labs on libvirt", "tests/cluster/test_libvirt.py"),
    "faults": ("faults by hand, and what was said of them", "tests/cluster/test_faults.py"),
    "green": ("that nothing is found in healthy labs", "tests/cluster/test_green_labs.py"),
    "lies": ("what tools say under faults", "tests/cluster/test_lies.py"),
    "alone": ("cells asked together, and then by themselves", "tests/cluster/test_alone.py"),
    "fuzz": ("spoilt lab files and hosts", "tests/unit/lab/test_fuzz.py"),
    "memory-full": ("what containers cost a full node", "tests/cluster/test_memory.py"),
    "memory-lean": ("what containers cost a lean node", "tests/cluster/test_memory.py"),
    "bench": ("how fast Underlay is", "underlay bench --record"),
    "growth": ("what more of each costs", "underlay bench growth --record"),
    "soak": ("commands ended at random", "tests/cluster/test_soak.py"),
    "tests": ("the full proof, share by share", "underlay test --all"),
    "durations": ("how long each test took", "underlay test --all"),
}


def records() -> str:
    """Return the page about the records: of which commits they are, and which are stale."""
    lines = [
        "# Records",
        "",
        MADE,
        "",
        "What was measured is kept in `docs/proof/`, by the code that measured it. Each row says",
        "of which commit it is, when it was measured, on which machine and with which versions;",
        "keys that no code writes are refused, and so is a row that was changed. A row is *stale*",
        "where what it was measured with (probe, model, verdict, the nodes' configuration) differs",
        f"by digest from what is there now, and more than {MOST_COMMITS} commits have changed it",
        "since, or where its lab file is another one now: then it is to be measured anew.",
        "Rows without digests count commits that touched it. [How to](contributing/record.md).",
        "",
        "| Record | What it is about | Rows | Stale | Measured at | By |",
        "|---|---|---|---|---|---|",
    ]
    stale: list[str] = []
    for name, (what, by) in ABOUT.items():
        record = read(name)
        if not record.rows:
            lines.append(f"| `{name}` | {what} | none yet | | | `{by}` |")
            continue
        old = {key: row.stale for key, row in record.rows.items() if row.stale}
        counts = f"{len(record.rows)} | {len(old) or ''}"
        lines.append(f"| `{name}` | {what} | {counts} | {_when(record)} | `{by}` |")
        stale += [
            f"| `{name}` | {sum(why == each for each in old.values())} | {why} |"
            for why in dict.fromkeys(old.values())
        ]
    if stale:
        lines += ["", "## Stale rows", "", "| Record | Rows | Why |", "|---|---|---|", *stale]
    return "\n".join(lines) + "\n"


# Measured twice, a step of a few seconds differs by a fifth. From how many times on a slope at a
# line's end counts as another one, and up to how many times steps count as the same.
STEEPER, SAME = 1.5, 1.2


# The way that is shown over its cells as well; docs/plots.py draws it.
OVER_CELLS = "containers"


def growth() -> str:
    """Return the page about what more of each costs, as `bench growth` has recorded it."""
    record = read("growth")
    lines = [
        "# How cost grows",
        "",
        MADE,
        "",
        "What more nodes, containers, cells, labs, hosts and machines cost, as",
        "[`underlay bench growth`](verbs/bench.md) measured it. Processor seconds are those of all",
        "that a command runs, nodes and Vagrant among it; they hardly move with what else the",
        "machine does, and wall time does. *Each further* is what one more cost on the way from",
        "the step before: where that stays as it is, cost grows in a straight line, dashed in the",
        "pictures. Pairs of hosts or containers are cells, of which there are four times as many",
        "where there are twice as many of them: what each further cell cost says how that grows.",
        *_stale(record.rows.values(), "tables"),
    ]
    for name, row in record.rows.items():
        of = record.origin(name)
        lines += [
            "",
            f"## {name.replace('-', ' ').capitalize()}",
            "",
            f"{row.what}. Measured at {str(of.commit)[:7]} on {row.date[:10]},",
        ]
        lines += [f"at a load of {row.load.before:.1f} before and {row.load.after:.1f} after.", ""]
        over = f"the number of {name.replace('-', ' ')}"
        lines += [f"![Processor seconds over {over}](pictures/growth-{name}.svg)", ""]
        lines += _steps(row)
        lines += _shape(row)
        if name == OVER_CELLS:
            lines += _over_cells(row)
    return "\n".join(lines) + "\n"


def _over_cells(row: GrowthRow) -> Iterator[str]:
    """Yield the section about what a way's steps cost over their cells."""
    yield from ("", "## Cells", "")
    yield f"The same measurement over its cells: {row.what}."
    yield "A cell is a pair of ends in one direction, so that there are four times as many where"
    yield "there are twice as many containers."
    yield from ("", "![Processor seconds over the number of cells](pictures/growth-cells.svg)", "")
    yield "| Cells | Processor s | Of each thousand | Each further thousand |"
    yield "|---:|---:|---:|---:|"
    before: tuple[int, float] | None = None
    points = [(step.cells, step.processor_s) for step in row.steps if step.cells is not None]
    for cells, seconds in points:
        further = ""
        if before:
            further = f"{(seconds - before[1]) / (cells - before[0]) * 1000:.3f}"
        of_each = f"{seconds / cells * 1000:.3f}"
        yield f"| {cells:,} | {seconds:.2f} | {of_each} | {further} |"
        before = (cells, seconds)
    yield from ("", f"On the last step a further cell cost {_compared(points)}.")


def _steps(row: GrowthRow) -> Iterator[str]:
    """Yield the table of what each step cost."""
    yield "| How many | Processor s | Of each | Each further | Wall s | MiB | Cells |"
    yield "|---:|---:|---:|---:|---:|---:|---:|"
    before = None
    for step in row.steps:
        further = ""
        if before is not None:
            further = f"{(step.processor_s - before.processor_s) / (step.size - before.size):.3f}"
        counts = (f"{n:,.0f}" if n is not None else "" for n in (step.mib, step.cells))
        seconds = f"{step.processor_s:.2f} | {step.processor_s / step.size:.3f}"
        columns = (step.size, seconds, further, f"{step.wall_s:.1f}", *counts)
        yield f"| {' | '.join(map(str, columns))} |"
        before = step


def _shape(row: GrowthRow) -> Iterator[str]:
    """Yield what says whether cost grows in a straight line, with their number and with cells.

    Of two steps nothing is said: there is one way from here to there.
    """
    ones = [(step.size, step.processor_s) for step in row.steps]
    if max(seconds for _, seconds in ones) < SAME * min(seconds for _, seconds in ones):
        yield from ("", "More of them cost no more, within a fifth.")
        return
    cells = [(step.cells, step.processor_s) for step in row.steps if step.cells is not None]
    for what, points in (("one", ones), ("cell", cells)):
        if 2 < len(points) == len(ones):
            yield from ("", f"On the last step a further {what} cost {_compared(points)}.")


def _compared(points: Sequence[tuple[int, float]]) -> str:
    """Say how the slope between the last two points compares with that between the first two."""
    first, last = (
        (after[1] - before[1]) / (after[0] - before[0])
        for before, after in (points[:2], points[-2:])
    )
    if first <= 0:
        return "something, and none did on the first"
    times = max(0.0, last / first)
    if times > STEEPER:
        shape = "steeper than a straight line"
    else:
        shape = "a straight line" if times * STEEPER >= 1 else "flatter than a straight line"
    return f"{times:.1f} times what it did on the first: {shape}"


def _stale(rows: Iterable[Row], whose: str) -> list[str]:
    """A paragraph about how many of ``rows`` are stale; none where none is."""
    count = sum(row.stale is not None for row in rows)
    return ["", f"{count} {whose} are stale: see [Records](records.md)."] if count else []


def _when(record: Record) -> str:
    """The commits and the days of a record's rows; where they are many, the first and last."""
    times = {
        (row.date[:10], str(record.origin(name).commit)[:7]) for name, row in record.rows.items()
    }
    said = [f"{commit} on {day}" for day, commit in sorted(times)]
    return ", ".join(said) if len(said) < 4 else f"{said[0]} to {said[-1]}"


def recipe_head(text: str) -> dict[str, str]:
    """Return what the comment at a recipe's head says, by the words before the colons."""
    said: dict[str, str] = {}
    word = ""
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        begun = re.match(r"# ([A-Z][a-z]+): (.*)", line)
        if begun:
            word, said[begun[1]] = begun[1], begun[2]
        else:
            said[word] += f" {line[1:].strip()}"
    return said


def _sign(reachable: int, of: int) -> str:
    return "●" if reachable == of else f"{reachable} of {of}" if reachable else "·"


def run_schema() -> str:
    """The JSON Schema of a run's file."""
    return json.dumps(schema_of_runs(), indent=2, ensure_ascii=False) + "\n"


def document_schema(kind: str) -> str:
    """The JSON Schema of what a verb prints with --json."""
    return json.dumps(schema_of(kind), indent=2, ensure_ascii=False) + "\n"


def json_documents() -> str:
    """The page about what verbs print with --json: each document's version and its schema."""
    rows = []
    for kind, version in VERSIONS.items():
        where = OTHER_DOCUMENTS.get(kind) or f"[`{kind} --json`](verbs/{kind}.md#json)"
        schema = f"[{kind}.schema.json](schemas/{kind}.schema.json)"
        rows.append(f"| `{name_of(kind)}` | {version} | {where} | {schema} |")
    saved = "[`check --save`](verbs/check.md#a-run-as-a-file)"
    schema = "[run.schema.json](schemas/run.schema.json)"
    rows.append(f"| `{RUN}` | {RUN_VERSION} | {saved} | {schema} |")
    return "\n".join([*DOCUMENTS_HEAD.splitlines(), *rows]) + "\n"


OTHER_DOCUMENTS = {
    "error": "any verb with `--json` that fails before it knows more: `error` and `hint`",
    "version": "`underlay --version --json`",
}
DOCUMENTS_HEAD = f"""\
{MADE}

# JSON documents

What do programs rely on that read what Underlay prints?

Every document says first what it is, in `document`, and in which version, in `version`:

```json
{{
  "document": "underlay check",
  "version": 1,
```

Each has a [JSON Schema](https://json-schema.org/draft/2020-12) (draft 2020-12), made from the
models that the tests hold real documents against. `underlay schema WHAT` prints it, where WHAT is
the verb, `error`, `version` or `run`; what the fields mean stands on the verbs' pages.

A schema names every field and which of them are always there, and lets others be: **new fields may
come at any time**, in the same version. So read fields by their names, and don't refuse what you
don't know.

**A version counts up where a program that reads the older one could go wrong**: a field goes, is
there less often, means something else, takes values of another kind, or words that the schema
doesn't list. The changelog names it. A program that wants to be safe compares `document` and
`version`, and stops at others:

```sh
underlay check --json > cells.json
jq -e '.document == "underlay check" and .version == 1' cells.json > /dev/null
```

`report --format json` prints what `check --json` does. With `--json` a verb that can't do what it
was asked prints `underlay error` in place of its own document, and exits as without `--json`.
Standard formats have versions of their own: SARIF (`lint --format sarif`) and JUnit XML (`check
--junit`).

| `document` | `version` | Printed or written by | Schema |
|---|---|---|---|
"""


def verbs() -> str:
    """The page that lists the verbs, in the order and the words of ``--help``."""
    lines = [
        "# Verbs",
        "",
        MADE,
        "",
        "What `underlay --help` lists. Each verb has a page: its options, examples that are run,",
        "the files it writes, and its exit codes.",
    ]
    for group, found in groupby(verb_entries(), key=lambda entry: entry.group):
        lines += ["", f"## {group}", "", "| Verb | What it does |", "|---|---|"]
        lines += [f"| [{one.name}]({one.name}.md) | {one.summary} |" for one in found]
    return "\n".join(lines) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "json-documents.md": json_documents,
    "verbs/index.md": verbs,
    "schemas/run.schema.json": run_schema,
    **{f"schemas/{kind}.schema.json": partial(document_schema, kind) for kind in VERSIONS},
    "records.md": records,
    "growth.md": growth,
    "lab-file.md": lab_file,
    "lint-rules.md": lint_rules,
    "host-rules.md": host_rules,
    "prediction-rules.md": prediction_rules,
    "troubleshooting.md": troubleshooting,
    "explained.md": explained,
    "recipes.md": recipes,
    "published.md": published,
    "mutations.md": mutations,
    "lies.md": lies,
}


def _prose(model: type[BaseModel]) -> str:
    """The model's own docstring, with Python's double backticks made Markdown's."""
    return (inspect.getdoc(model) or "").replace("``", "`")


def _row(model: type[BaseModel], name: str, field: FieldInfo) -> str:
    schema = model.model_json_schema(by_alias=False)
    takes = " or ".join(_takes(schema["properties"][name], schema.get("$defs", {})))
    default = UNSET.get((model, name)) or _default(field)
    cells = (f"`{name.rstrip('_')}`", takes, default, (field.description or "").replace("``", "`"))
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "*required*"
    value = field.default
    if isinstance(value, BaseModel):
        told = value.model_dump(exclude_none=True)
        return ", ".join(f"{key} {entry}" for key, entry in told.items())
    if value is None or value == "" or value == [] or value == {}:
        return "not set"
    if isinstance(value, list):
        return ", ".join(f"`{entry}`" for entry in value)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _takes(schema: dict[str, Any], models: dict[str, Any]) -> Iterator[str]:
    """Yield in words each kind of value that ``schema`` takes, but not null."""
    kind = schema.get("type")
    # What a key looks like is said at the key, also where it may be left out.
    beside = {"such": schema["such"]} if "such" in schema else {}
    if "anyOf" in schema or "oneOf" in schema:
        for option in schema.get("anyOf") or schema["oneOf"]:
            yield from _takes({**option, **beside}, models)
    elif "$ref" in schema:
        key = schema["$ref"].rpartition("/")[2].lower()
        yield f"a mapping, see [`{key}`](#{key})"
    elif "enum" in schema:
        yield ", ".join(f"`{choice}`" for choice in schema["enum"])
    elif kind == "integer":
        yield f"a whole number from {schema['minimum']} to {schema['maximum']}"
    elif kind == "boolean":
        yield "`true` or `false`"
    elif "const" in schema:
        yield f"`{schema['const']}`"
    elif kind in ("array", "object"):
        choices = schema.get("items", {}).get("enum", ())
        listed = ": " + ", ".join(f"`{choice}`" for choice in choices) if choices else ""
        such = f", such as `{schema['such']}`" if "such" in schema and not choices else ""
        yield _several(schema, kind) + listed + such
    elif schema.get("pattern") == WORD["pattern"]:
        yield "[a word](#words)"
    elif kind != "null":
        yield FORMATS.get(schema.get("format", "")) or schema.get("expected") or "text"


def _several(schema: dict[str, Any], kind: str) -> str:
    what, ends = ("list", "Items") if kind == "array" else ("mapping", "Properties")
    least, most = schema.get(f"min{ends}"), schema.get(f"max{ends}")
    if most and least:
        return f"a {what} of {least if least == most else f'{least} to {most}'}"
    return f"a {what} of at most {most}" if most else f"a {what} of at least {least}"


def _rule(rule: Rule) -> str:
    expected = "reachable" if rule.reachable else "unreachable"
    stop = ", ".join(f"`{stop}`" for stop in (rule.stop, *rule.also) if stop)
    cells = (f"`{rule.id}`", *_between(rule), expected, stop, rule.because, rule.reference)
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _between(rule: Rule) -> tuple[str, str]:
    """Return in words which two ends a rule is about, and in which modes."""
    words = {"routing": "any two ends", "any": "any two ends", "wire": "over a wire"}
    modes = " → ".join(", ".join(sorted(ends)) or "any" for ends in (rule.source, rule.destination))
    return words.get(rule.relation, rule.relation), modes


def _cell(text: str) -> str:
    """Return ``text`` for a table: in one line, without a bar of its own."""
    return " ".join(text.replace("|", "\\|").split())
