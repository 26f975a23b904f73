"""The page docs/mutations.md: what is said to each mutation of the example fleets, and by what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, cast

from fleets.mutated import FLEETS, Mutation, Said, mutations, said
from underlay.proof.records.keeping import read

if TYPE_CHECKING:
    from underlay.proof.records.schema import MutationRow

HEAD = """\
# What is said to mistakes in a fleet's files

<!-- Made by docs/reference.py from examples/ and docs/proof/mutations.json, not by hand. -->

Each [example fleet](tutorials/compose-shim.md) is changed as people change such files, one mistake
at a time, and four means are asked: `lint`, what the fleet's lab file says is
[wanted](concepts/intent.md), `diff` with the fleet as it was, and packets. The first three need no
node and are asked every day. Packets are measured by
`./underlay test --layer cluster --all -- -k test_mutations`.

Hosts that contradict each other are no lab: `lint`, `predict`, `diff` and `check` all refuse the
file then and name both lines, and no packet is sent. A comment at one of the lines that
[silences](verbs/lint.md#silencing) the rule says that they are to differ: then each host has a
network of its own, and packets are asked (`tests/cluster/test_silenced.py`). A mistake that changes
packets is to be seen by at least one of the four. What systemd starts at boot, and in which order,
isn't tried: the units of all containers are started one after the other. The mistakes themselves,
old text and new, stand in `mutations.yml` of each fleet's folder in `examples/`.
"""
CHANGES = ("lost", "gained", "changed", "came", "went")


def page() -> str:
    """Return the page."""
    rows = cast("dict[str, MutationRow]", read("mutations").rows)
    lines = [HEAD, *_sums(rows)]
    for fleet in FLEETS:
        lines += ["", f"## {fleet}", "", *_table(mutations(fleet), rows)]
    return "\n".join(lines) + "\n"


def _sums(rows: dict[str, MutationRow]) -> Iterator[str]:
    """Yield the table of how many mutations each of the means sees."""
    yield "| Fleet | Mistakes | `lint` | of these no lab | wanted | `diff` | packets | nobody |"
    yield "|---|---|---|---|---|---|---|---|"
    counts = [_counted(mutations(fleet), rows) for fleet in FLEETS]
    for fleet, count in zip(FLEETS, counts, strict=True):
        yield f"| [{fleet}](#{fleet}) | {' | '.join(map(str, count))} |"
    yield f"| all | {' | '.join(str(sum(column)) for column in zip(*counts, strict=True))} |"


def _counted(found: Iterable[Mutation], rows: dict[str, MutationRow]) -> tuple[int, ...]:
    alike = [(said()[one], rows.get(one.key)) for one in found]
    return (
        len(alike),
        sum(bool(one.rules or one.refused) for one, _ in alike),
        sum(bool(one.refused) for one, _ in alike),
        sum(bool(one.broken) for one, _ in alike),
        sum(bool(one.cells) for one, _ in alike),
        sum(row is not None and bool(row.changed) for _, row in alike),
        sum(not one.seen and not (row and row.changed) for one, row in alike),
    )


def _table(found: Iterable[Mutation], rows: dict[str, MutationRow]) -> Iterator[str]:
    yield "| Mistake | What was meant | `lint` | Wanted | `diff` | Packets |"
    yield "|---|---|---|---|---|---|"
    for one in found:
        heard = said()[one]
        cells = (
            f"**{one.name}**",
            one.meant,
            _rules(heard),
            _wanted(heard),
            _cells(heard),
            _packets(rows.get(one.key), heard),
        )
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _rules(heard: Said) -> str:
    told = [f"`{name}`" + (" (warning)" if kind == "warning" else "") for kind, name in heard.rules]
    if heard.refused:
        file = heard.refused.partition(":")[0].removeprefix("hosts/")
        told.append(f"no lab by `{file}`")
    return ", ".join(told) or "nothing"


def _wanted(heard: Said) -> str:
    if heard.refused:
        return "no lab"
    return ", ".join(f"`{text}`" for text in heard.broken) or "all kept"


def _cells(heard: Said) -> str:
    if heard.refused:
        return "no lab"
    counts = dict(heard.cells)
    return ", ".join(f"{counts[what]} {what}" for what in CHANGES if what in counts) or "nothing"


def _packets(row: MutationRow | None, heard: Said) -> str:
    if row is None:
        return "none sent" if heard.refused else "not measured yet"
    if row.error:
        # What lint finds errors in isn't started; else a program of a node has refused it.
        by_lint = row.error.startswith(("hosts/", "lab.yml"))
        return "none sent" if by_lint else f"not started: {row.error}".replace("|", "\\|")
    if row.summary is None:
        return "not measured"
    says = f"{row.changed} of {row.summary['cells']} cells other than before" if row.changed else ""
    broken = f"{row.broken} statement{'s' * (row.broken > 1)} broken" if row.broken else ""
    differs = f"{row.summary['differs']} not as predicted" if row.summary["differs"] else ""
    return ", ".join(filter(None, (says, broken, differs))) or "as before"
