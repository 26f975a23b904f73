"""The page docs/lies.md, made of docs/proof/lies.json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from statistics import median
from typing import Any

from lies.places import placeless
from lies.record import HEALTHY, NAME, fault_rows, lab_rows
from lies.tally import (
    BROKEN_FINE,
    BROKEN_UNASKED,
    FINE_ASTRAY,
    NO_MATTER,
    RIGHT,
    SILENT,
)
from underlay.faults import RUNNING
from underlay.proof.records import keeping
from underlay.proof.records.keeping import Record
from underlay.proof.records.schema import FaultRow

# In the order in which they are measured.
LABS = ("small-mtu", "one-of-each", "seen-l3")
# Whom these faults hit is decided anew each time, by who comes first to what there is too little
# of: the referee and each tool meet other cells, so that no word on a single cell can be held
# against what the referee saw.
UNSTEADY = ("neighbour-table-full",)
# What these faults take from a cell depends on who else talks: a full table has room for the few
# that are asked alone, and of two owners of a MAC address the switch knows the one that spoke last.
# All others have to do to a cell that is asked alone what they do to it in company.
BY_COMPANY = (*UNSTEADY, "duplicate-mac")
TOOLS = {
    "ping": "ping by testinfra",
    "goss": "goss",
    "star": "star of curls",
    "underlay": "`underlay check`",
}
HEADS = (RIGHT, FINE_ASTRAY, BROKEN_FINE, BROKEN_UNASKED, SILENT, NO_MATTER)
SIGNS = {
    RIGHT: "right",
    FINE_ASTRAY: "**says fine**",
    BROKEN_FINE: "**says broken**",
    SILENT: "no word",
    NO_MATTER: "says broken, not judged",
}

HEAD = """\
# What tools say, and what is so

<!-- Made by docs/reference.py from docs/proof/lies.json; change those, not this page. -->

A test that passes while packets go astray is worse than none. For this page those faults of the
catalogue that have a place in one of three labs are brought about there on running nodes; four
tools look at the lab, and what they say is compared with what a referee of its own saw: packets
at their receiver. The figures are made by `./underlay test --layer cluster --all -- -k test_lies`,
those of one lab with `-k 'test_lies and small-mtu'`.

The faults are those of Underlay's own catalogue, for lack of another one. That favours Underlay:
it was written to see them. The other three are asked what their users ask them, and nothing that
they weren't made for; that they don't look somewhere isn't their fault, but a network can be
broken there all the same.
"""

REFEREE = """\
## The referee

Nobody's own verdict is the truth here, Underlay's neither. The referee (`tests/lies/referee.py`
and `tests/lies/on_node.py`) shares no code for sending, answering or judging with `underlay check`.
It sends a packet with a tag of its own and listens inside every namespace, with packet sockets on
all interfaces and with sockets that are delivered to. A cell is

- **reached** if the tag was seen inside the namespace of the destination that was meant, and the
  answer with the same tag came back to the socket that asked;
- **astray** otherwise: nothing arrived, somebody else answered, or the answer was lost;
- **nobody** if there is no namespace, or no node, to ask from.

Why not simply what tcpdump shows at the receiver? A packet socket sees frames before the
receiver's own filters, so a request that is dropped there would count as arrived, and an answer
that is lost on its way wouldn't be missed; whoever asks cares for both. And in ipvlan l3s a packet
socket of the child sees nothing that comes in: there the delivery to a socket is what counts.

Each pair is asked by ICMP, TCP, UDP, and by an echo request of the network's full MTU that must not
be fragmented; pairs of containers that share no network by ICMP alone. **Each is asked alone**:
both ends and both nodes forget their neighbours, nobody else says a word, and the four packets go
out one after the other. Whoever wasn't reached when all were asked at once is astray without that,
because company only helps: others' requests teach an end where its asker is. That is tried as
well: under each fault some of them are asked alone, too; were one reached, all would be asked, and
the run fails. A request is sent a second time after a second, and given up after two.

What it doesn't see: broadcast and multicast, who answers ARP, which source address a receiver
sees, and what passes between a node and its own containers, or from a container to a node. Where
Underlay finds something there and the referee sees no change, that is *not judged*.
Nor does it see a filter on a single port: it has a port of its own, as the web servers and `check`
have. The fault `container-refuses` refuses the port of `check` alone: that counts against it
here.
"""

HOW = """\
## How each tool is used

All four are asked about the same pairs: containers that share a network, and nodes with the
containers of other nodes. Pairs that don't reach each other on the healthy lab were left out, as
whoever writes tests leaves out what fails. Before each tool all neighbour tables are emptied, and
the tools run one after the other, always in this order. What a tool says of the whole lab is
*broken* if one of its tests fails.

- **ping by testinfra**: `host.addr(ADDRESS, NAMESPACE).is_reachable`, over the lab's shared ssh
  connections, all nodes at once. That is one `ping -W 1 -c 1`, never repeated. An exit code that it
  doesn't expect, or an ssh that fails, is an error, which counts as *no word*.
- **goss**: Debian's, on each node, `goss validate` with a goss file for the node: `addr` for TCP
  to the others' containers, `http` for one container of each, `command` with a ping out of each of
  its own containers. goss's own limits: 500 ms for `addr`, 5 s for `http`, 10 s for `command`; no
  retry, as without `--retry-timeout`.
- **star of curls**: what rook's multus validation tests. In each network the first container has
  a web server; one container on each node is a client, which is ready after twelve curls in a row
  that each ended well within 4 s. Rook pauses for 5 s between them, which is left out here: its
  healthy run takes 55 s more than the seconds below. Three failures in a row are taken for good,
  where rook goes on for three minutes.
- **`underlay check`**: what the command measures and judges, called in the benchmark's own process.
  Its seconds lack the start of the interpreter, and the search for causes where cells differ, which
  change nothing in what it says of a cell. It asks all pairs, also those that should be apart, and
  value cells where the lab has any. Its exit code is its verdict.

None of them has a limit for the whole run but Underlay; ours is 120 s, after which what isn't said
is *no word*. The files are in `tests/lies/as-users-write-them/`.
"""

PARTIAL = (
    "**Partial results.** Of a lab that isn't whole, the faults are those measured so far.",
    "They are no fair sample: the shares below are not yet those of all faults.",
)
LOAD = (
    "*Load* is how many processes wanted to run on the machine. Where that is far above the number",
    "of its processors, seconds are many times those of a quiet machine, and a tool with short",
    "limits may say broken for that alone.",
)
OTHERWISE = (
    "- Less work: ping and curl are there already, goss is one program and a file for each node.",
    "  They need neither a lab file nor nodes that Underlay started: they run on real fleets.",
    "- goss looks at much else of a host: packages, services, files, users.",
    "- The star asks twelve times: a network that fails now and then fails there.",
)


def page() -> str:
    """Return the page."""
    found = documents(keeping.read(NAME))
    lines = [HEAD, *_which(found), *_untried(found)]
    if any(_rows(found)):
        lines += [*_totals(found), *_cells(found), *_better(found), ""]
    lines += [HOW, *_versions(found), "", REFEREE]
    for lab, about in found.items():
        lines += _lab(lab, about)
    return "\n".join(lines).rstrip() + "\n"


def documents(record: Record) -> dict[str, Any]:
    """Return each lab with its rows, of which each has the commit and the date that it is of."""
    found: dict[str, Any] = {}
    order = [HEALTHY, *(fault.id for fault in RUNNING)]
    labs = lab_rows(record)
    for lab in sorted(labs, key=lambda name: LABS.index(name) if name in LABS else len(LABS)):
        rows = fault_rows(record, lab)
        origin = record.origin(lab)
        machine = origin.machine
        found[lab] = {
            **labs[lab].model_dump(),
            "kernel": origin.kernel,
            "processors": machine.cores if machine else "",
            "rows": {
                fault: {
                    **rows[fault].model_dump(),
                    "commit": record.origin(f"{lab} {fault}").commit or "",
                }
                for fault in order
                if fault in rows
            },
        }
    return found


def _faults(about: dict[str, Any]) -> dict[str, Any]:
    return {name: row for name, row in about["rows"].items() if name != HEALTHY}


def _rows(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for about in found.values():
        yield from _faults(about).values()


def _till(first: str, last: str) -> str:
    """Return the minute ``last``, with its day where that isn't the day of ``first``."""
    return last[11:] if last[:10] == first[:10] else last


def _which(found: dict[str, Any]) -> Iterator[str]:
    yield from ("## Which labs are in", "", "| Lab | Faults measured | Of | Commit | When | Load |")
    yield "|---|---|---|---|---|---|"
    for lab, about in found.items():
        rows = _faults(about)
        commits = ", ".join(dict.fromkeys(row["commit"][:7] for row in rows.values()))
        dates = sorted(row["date"][:16].replace("T", " ") for row in rows.values())
        when = f"{dates[0]} to {_till(dates[0], dates[-1])} UTC" if dates else ""
        loads = [row["load"] for row in rows.values()]
        load = f"{min(loads)} to {max(loads)}" if loads else ""
        whole = "" if len(rows) == about["faults"] else " (not whole)"
        name = f"`{lab}`{whole}"
        yield f"| {name} | {len(rows)} | {about['faults']} | {commits} | {when} | {load} |"
    yield ""
    if lacking := [f"`{lab}`" for lab in LABS if lab not in found]:
        yield f"Not measured yet: {', '.join(lacking)}."
        yield ""
    if any(len(_faults(about)) < about["faults"] for about in found.values()):
        yield from (*PARTIAL, "")
    yield from (*LOAD, "")


def _untried(found: dict[str, Any]) -> Iterator[str]:
    """Say how many of the catalogue's faults were tried, and which couldn't be, and why."""
    tried = {name for about in found.values() for name in _faults(about)}
    nowhere = list(placeless(LABS))
    yield from ("## Which faults are in", "")
    yield f"Of the {len(RUNNING)} faults that the catalogue has of a running lab, {len(tried)} were"
    yield f"tried in at least one of the {len(LABS)} labs. {len(nowhere)} have no place in any of"
    yield "them, so that nothing on this page says what a tool makes of these. Why is mostly what"
    yield "`break` says of each such lab. Where the full proof has brought one about by hand in"
    yield "another lab, [Injected and explained](explained.md) has what Underlay said of it."
    yield from ("", "| Fault | What it is | Why it has no place here | By hand in |")
    yield "|---|---|---|---|"
    elsewhere = _by_hand()
    for one in nowhere:
        labs = ", ".join(f"`{lab}`" for lab in elsewhere.get(one.fault, ()))
        yield f"| {one.fault} | {one.title} | {one.why} | {labs} |"
    without = {one.fault for one in nowhere}
    lacking = [f.id for f in RUNNING if f.id not in tried and f.id not in without]
    if lacking:
        yield from ("", f"Not tried yet, though there is a place: {', '.join(lacking)}.")
    yield ""


def _by_hand() -> dict[str, list[str]]:
    """Return of each fault the labs in which the full proof has brought it about by hand."""
    labs: dict[str, set[str]] = {}
    for row in keeping.read("faults").rows.values():
        if isinstance(row, FaultRow):
            labs.setdefault(row.fault, set()).add(row.lab)
    return {fault: sorted(names) for fault, names in labs.items()}


def _totals(found: dict[str, Any]) -> Iterator[str]:
    rows = [row for row in _rows(found) if row["fault"] not in UNSTEADY]
    changed = sum(row["changed"] > 0 for row in rows)
    yield from ("## Fault by fault", "")
    kinds = len({row["fault"] for row in rows})
    yield f"{kinds} faults, brought about {len(rows)} times: not each has a place in each lab."
    yield f"{changed} times the referee saw cells change. How often a tool's word on the whole"
    yield "lab was"
    yield ""
    yield f"({', '.join(f'`{name}`' for name in UNSTEADY)} is left out: the table may be full"
    yield "while a tool asks and not while the referee does, which asks each pair alone.)"
    yield ""
    heads = [head for head in HEADS if head != BROKEN_UNASKED]
    yield f"| Tool | {' | '.join(heads)} | Didn't look there | Seconds, median | longest |"
    yield "|---" * (len(heads) + 4) + "|"
    for tool, title in TOOLS.items():
        own = [row["tools"][tool] for row in rows]
        worth = Counter(one["worth"] for one in own)
        blind = sum(one["blind"] and one["worth"] == FINE_ASTRAY for one in own)
        counts = " | ".join(str(worth[head]) for head in heads)
        seconds = [one["seconds"] for one in own]
        times = f"{median(seconds):.1f} | {max(seconds):.1f}" if seconds else " | "
        yield f"| {title} | {counts} | {blind} | {times} |"
    yield ""
    yield "*Didn't look there*: of the times that it says fine though packets go astray, those in"
    yield "which none of the cells that changed was among its questions."
    yield ""


def _cells(found: dict[str, Any]) -> Iterator[str]:
    heads = [head for head in HEADS if head != NO_MATTER]
    yield from ("## Cell by cell", "")
    yield "What a tool said of a cell that it asked itself, in its own protocol, under all faults."
    yield "*Couldn't ask*: it says broken, but its own request was never made. Cells under"
    yield f"{', '.join(f'`{name}`' for name in UNSTEADY)} are left out: who gets the table's last"
    yield "places is decided anew each time, so that the referee and each tool meet other cells."
    yield ""
    yield f"| Tool | Cells | {' | '.join(heads)} |"
    yield "|---" * (len(heads) + 2) + "|"
    for tool, title in TOOLS.items():
        counts: Counter[str] = Counter()
        for row in _rows(found):
            if row["fault"] not in UNSTEADY:
                counts.update(row["tools"][tool]["cells"])
        said = " | ".join(f"{counts[head]:,}" for head in heads)
        yield f"| {title} | {sum(counts.values()):,} | {said} |"
    yield ""


def _better(found: dict[str, Any]) -> Iterator[str]:
    yield from ("## Where the others are better", "")
    better = [
        (lab, name, row)
        for lab, about in found.items()
        for name, row in about["rows"].items()
        if row["tools"]["underlay"]["worth"] not in (RIGHT, NO_MATTER) and name not in UNSTEADY
    ]
    for lab, name, row in better:
        others = [TOOLS[t] for t in TOOLS if t != "underlay" and row["tools"][t]["worth"] == RIGHT]
        own = row["tools"]["underlay"]["worth"]
        yield f"- `{name}` in `{lab}`: Underlay {own}; right: {', '.join(others) or 'nobody'}."
    wrong = [
        (lab, name, row["tools"]["underlay"]["wrong"])
        for lab, about in found.items()
        for name, row in about["rows"].items()
        if row["tools"]["underlay"]["wrong"] and name not in UNSTEADY
    ]
    for lab, name, cells in wrong:
        words = Counter(cell[-1] for cell in cells)
        said = ", ".join(f"{word} ({count})" for word, count in words.items())
        first = _named(cells[0])
        yield f"- `{name}` in `{lab}`: cells where Underlay {said}, such as {first}."
    if not better and not wrong:
        yield "- No cell and no lab where Underlay was wrong and the referee saw it."
    seconds = {
        tool: median([row["tools"][tool]["seconds"] for row in _rows(found)]) for tool in TOOLS
    }
    for tool, title in TOOLS.items():
        if tool != "underlay" and seconds[tool] < seconds["underlay"]:
            yield f"- Faster: {title}, {seconds[tool]:.1f} s where `check` takes {_own(seconds)}."
    yield from OTHERWISE


def _own(seconds: dict[str, float]) -> str:
    return f"{seconds['underlay']:.1f} s"


def _named(cell: list[Any]) -> str:
    source, destination, protocol, family, _ = cell
    return f"{source} to {destination} by {protocol}{' over IPv6' if family == 6 else ''}"


def _versions(found: dict[str, Any]) -> Iterator[str]:
    yield from ("| Lab | Versions |", "|---|---|")
    for lab, about in found.items():
        said = "; ".join(f"{name} {version}" for name, version in about["versions"].items())
        here = f"kernel here {about['kernel']}, {about['processors']} processors"
        yield f"| `{lab}` | {said}; {here} |"


def _lab(lab: str, about: dict[str, Any]) -> Iterator[str]:
    rows = about["rows"]
    silent = sum(row["silent_alone"] for row in rows.values())
    alone = sum(row["asked_alone"] for row in rows.values())
    yield from ("", f"## {lab}", "")
    yield f"{len(about['cells'])} cells under each fault; {alone:,} were asked alone in all,"
    yield f"{silent} of them after silence in company, none of which was reached."
    yield ""
    yield f"| Fault | Where | Cells that changed | {' | '.join(TOOLS.values())} |"
    yield "|---" * (3 + len(TOOLS)) + "|"
    for name, row in rows.items():
        said = (_said(row["tools"][tool]) for tool in TOOLS)
        yield f"| {name} | {row['where']} | {row['changed']} | {' | '.join(said)} |"


def _said(tool: dict[str, Any]) -> str:
    word = SIGNS[tool["worth"]]
    if tool["worth"] == FINE_ASTRAY and tool["blind"]:
        word += ", didn't look there"
    wrong = Counter(cell[-1] for cell in tool["wrong"])
    counts = ", ".join(_short(wrong.items()))
    return f"{word} ({counts})" if counts else word


def _short(wrong: Iterable[tuple[str, int]]) -> Iterator[str]:
    words = {
        FINE_ASTRAY: "cells fine though astray",
        BROKEN_FINE: "cells broken though they arrive",
        BROKEN_UNASKED: "cells broken though it couldn't ask",
    }
    for word, count in wrong:
        yield f"{count} {words[word]}"
