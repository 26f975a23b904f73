"""The verb ``import``: a lab file of the networks that hosts' own files describe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from underlay.cli.carried_over import kinds
from underlay.cli.console import err, print_document
from underlay.cli.options import AsJson
from underlay.errors import EXIT_DIFFERS, BadInput, Spot, count, reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from underlay.fleet.carried import Carried
    from underlay.lab.text import LabText, Problem
    from underlay.lint.finding import Finding

GROUP = "Files"
ORDER = 15


def command(
    folders: Annotated[
        list[str],
        typer.Argument(
            help="A host's folder, NAME=DIR, or a folder of hosts' folders.", metavar="HOST"
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The lab file to write; without it, stdout."),
    ] = None,
    segments: Annotated[
        list[str] | None,
        typer.Option(
            "--segment",
            metavar="NAME=HOST:NIC,…",
            help="NICs that are on one wire, where the files don't say so; may be repeated.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write over a lab file that is there already.")
    ] = False,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Exit 1 and write nothing where what is left out may bear on who reaches whom.",
        ),
    ] = False,
    whole: Annotated[
        bool,
        typer.Option(
            "--whole", help="Say in the lab file all that the files lead to, and have no fleet."
        ),
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Say each thing, not one of each kind.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a lab file of the networks that hosts' own files describe.

    Reads a folder per host, as it lies in a repository or on the host's disk, or one
    folder that holds these, with the readers of `underlay lint --host`, and writes a
    lab that `lint`, `up` and `check` take. Its `fleet` names the folders: each time
    the lab is read they are, and its nodes boot with the very files. In the lab file
    stands only what had to be assumed, each with a comment; the last lines name every
    file and key that a lab can't say. With --whole it says all that the files lead to,
    with where each value is from, for a lab that goes its own way from then on:
    drivers, modes, VLANs, subnets, ranges, gateways and names stay as they are, and
    nodes have addresses of the plan. A file that its own reader would refuse,
    or pass over in part, is bad input; what hosts' files do to one another is carried
    over, and the errors that `lint --host` finds in that are named. Nothing of a host's
    is changed or run.

    Example:
      underlay import hosts -o lab.yml
      underlay import core-01=etc/one core-02=etc/two --segment lan=core-01:eth1,core-02:ens3
      underlay import hosts/* --strict --json
      underlay import hosts --whole -o copy.yml
    """
    from underlay.cli.host_folders import named_pairs
    from underlay.fleet import read_hosts
    from underlay.fleet.carried import carry, lab_text, short_text
    from underlay.lint.hosts import lint_hosts, refuse
    from underlay.lint.silence import silent_in

    pairs = named_pairs(folders, "import")
    _refuse_output(output, [Path(pair.partition("=")[2]) for pair in pairs], force=force)
    found = read_hosts(pairs, inside=True)
    refuse(found)
    stated = _stated(segments or [])
    name = _name(output, pairs)
    silent = silent_in(found)
    carried = carry(found, stated, name, real=True, files=not whole, silent=silent)
    files = len({document.file for host in found for document in host.documents})
    text = lab_text(carried, files)
    if whole:
        _refuse_lab(carried, text, output)
    else:
        # The document says all of the lab, wherever the hosts' folders are.
        fleet = _fleet(carried, pairs, output, anywhere=as_json and output is None)
        by_host = dict(zip((host.name for host in found), fleet, strict=True))
        nics = {s: [(by_host[host], nic) for host, nic in each] for s, each in stated.items()}
        text = short_text(carried, fleet, nics)
        statement = _proposed(_refuse_fleet(carried, text, output))
        text = short_text(carried, fleet, nics, statement) if statement else text
    findings = [one for one in lint_hosts(found) if one.severity == "error"]
    refused = strict and bool(findings or any(one.matters for one in carried.left_out))
    if output is not None and not refused:
        _write(output, text)
    if as_json:
        print_document("import", _document(carried, findings))
    elif output is None and not refused:
        print(text, end="")
    _say(carried, findings, output, refused=refused, verbose=verbose)
    if refused:
        raise typer.Exit(EXIT_DIFFERS)


def _stated(segments: list[str]) -> dict[str, list[tuple[str, str]]]:
    """Return the NICs of each segment that the command line names."""
    found: dict[str, list[tuple[str, str]]] = {}
    for text in segments:
        name, equals, rest = text.partition("=")
        ports = [part.strip().partition(":") for part in rest.split(",")]
        if not name or not equals or not all(host and nic for host, _, nic in ports):
            hint = "--segment lan=core-01:eth1,core-02:eth1"
            raise BadInput(f"--segment {text}: expected NAME=HOST:NIC,HOST:NIC", hint=hint)
        if name in found:
            raise BadInput(f"--segment {name} is named twice", hint="name all of its NICs at once")
        found[name] = [(host, nic) for host, _, nic in ports]
    seen: dict[tuple[str, str], str] = {}
    for name, each in found.items():
        for port in each:
            if port in seen:
                message = f"--segment {name}: {':'.join(port)} is in {seen[port]} already"
                raise BadInput(message, hint="a NIC is in one segment")
            seen[port] = name
    return found


def _fleet(
    carried: Carried, pairs: list[str], output: Path | None, *, anywhere: bool
) -> dict[str, str]:
    """Return the path of each node's files, counted from the lab file.

    Raises BadInput for one that lies elsewhere, unless they may be ``anywhere``.
    """
    base = (output.expanduser() if output else Path("lab.yml")).absolute().parent
    found = {}
    for node, pair in zip(carried.lab["nodes"]["names"], pairs, strict=True):
        folder = Path(pair.partition("=")[2]).expanduser()
        lies = folder.resolve()
        inside = lies.is_relative_to(base.resolve())
        if not inside and not anywhere:
            raise BadInput(
                f"{folder} isn't below {base}, where the lab file is: a fleet's files are",
                hint="write the lab file beside the hosts' folders, or say all of it with --whole",
            )
        found[node] = lies.relative_to(base.resolve()).as_posix() if inside else str(folder)
    return found


def _name(output: Path | None, pairs: list[str]) -> str:
    """Return what the lab is called: as its file, else as the folder that holds the hosts'."""
    if output is not None:
        return output.stem
    return Path(pairs[0].partition("=")[2]).expanduser().resolve().parent.name


def _refuse_output(output: Path | None, folders: list[Path], *, force: bool) -> None:
    if output is None:
        return
    if output.is_dir():
        raise BadInput(f"{output} is a folder, expected a file", hint=f"-o {output / 'lab.yml'}")
    if output.exists() and not force:
        raise BadInput(f"{output} is there already", hint="--force writes over it")
    for folder in folders:
        if output.resolve().is_relative_to(folder.expanduser().resolve()):
            message = f"{output} lies in the host's folder {folder}, where nothing is changed"
            raise BadInput(message, hint="write the lab file beside it")


def _refuse_lab(carried: Carried, text: str, output: Path | None) -> None:
    """Raise BadInput where the hosts lead to what no lab can be; it names their own lines."""
    from underlay.lab.text import text_of
    from underlay.lint.read import problems_of

    lab = text_of(str(output or "lab.yml"), text)
    problems = problems_of(lab)
    if problems:
        raise BadInput(
            "what these hosts have is no lab",
            detail="\n".join(_at_origin(carried, lab, problem) for problem in problems),
            hint="mend the hosts' files; `underlay lint --host NAME=DIR …` says more of them",
        )


def _refuse_fleet(carried: Carried, text: str, output: Path | None) -> LabText:
    """Return all that the lab says with its hosts' files.

    Raises BadInput where the hosts lead to what no lab can be, as reading the lab file does.
    """
    from underlay.lab.text import LabError, text_of
    from underlay.lint.derived import laid_over
    from underlay.lint.read import problems_of

    file = str(output or "lab.yml")
    whole = laid_over(text_of(file, text), carried)[0]
    problems = problems_of(whole)
    if problems:
        told = LabError(problems, file)
        hint = "mend the hosts' files; `underlay lint --host NAME=DIR …` says more of them"
        raise BadInput("what these hosts have is no lab", detail=told.message, hint=hint)
    return whole


def _proposed(whole: LabText) -> str:
    """Return a statement that the lab keeps as it is, nothing where none is found."""
    from underlay.expect import Prediction
    from underlay.expect.intent import proposed_statement
    from underlay.lint.read import lab_of_text
    from underlay.plan import make_plan

    try:
        lab = lab_of_text(whole, Path(whole.file).absolute().parent)
    except BadInput:
        # An image's archive isn't there, say: reading the lab file says so.
        return ""
    return proposed_statement(Prediction(make_plan(lab)))


def _at_origin(carried: Carried, lab: LabText, problem: Problem) -> str:
    """Return a problem of the lab file with the line of a host's file that led to it."""
    marks = {**lab.keys, **lab.values}
    near = [place for place, mark in marks.items() if mark.line == problem.line]
    place = max(near, key=len, default=())
    spot = carried.origin(place) or Spot("")
    hint = f" ({problem.hint})" if problem.hint else ""
    where = f"{spot}: " if spot.file else ""
    return f"{where}{problem.where}: found {problem.found}, expected {problem.expected}{hint}"


def _write(output: Path, text: str) -> None:
    from underlay.storage.writing import write_whole

    try:
        write_whole(output, text)
    except OSError as error:
        hint = "name a folder that is there, and that you may write to"
        raise BadInput(f"cannot write {output}: {reason(error)}", hint=hint) from error


def _document(carried: Carried, findings: Sequence[Finding]) -> dict[str, object]:
    return {
        "lab": carried.lab,
        "assumptions": [
            {"key": one.key, "text": one.text, "file": one.spot.file, "line": one.spot.line}
            for one in carried.assumptions
        ],
        "left_out": [
            {
                "file": one.spot.file,
                "line": one.spot.line,
                "what": one.what,
                "why": one.why,
                "matters": one.matters,
            }
            for one in carried.left_out
        ],
        "errors": [
            {"id": one.id, "file": one.file, "line": one.line, "message": one.message}
            for one in findings
        ],
    }


def _say(
    carried: Carried,
    findings: Sequence[Finding],
    output: Path | None,
    *,
    refused: bool,
    verbose: bool,
) -> None:
    """Say on stderr how much was made, what was assumed, what is left out, and what is wrong.

    What is alike is one line with its number, unless ``verbose``.
    """
    lab = carried.lab
    for wrong in findings:
        err.print(f"error in the files: {wrong.spot}: {wrong.id}: {wrong.message}")
    left = [one for one in carried.left_out if one.matters]
    aside = [one for one in carried.left_out if not one.matters]
    lines = [
        *kinds("assumed", ((one.shape, f"{one.key}: {one.text}") for one in carried.assumptions)),
        *kinds("left out", ((one.why, str(one)) for one in left)),
        # What can't change packets is one kind, whatever it is.
        *kinds("without bearing on who reaches whom", (("", str(one)) for one in aside)),
    ]
    every = [
        *(f"assumed: {one.key}: {one.text}" for one in carried.assumptions),
        *(f"left out: {one}" for one in left),
        *(f"without bearing on who reaches whom: {one}" for one in aside),
    ]
    for line in every if verbose else lines:
        err.print(line)
    if not verbose and len(lines) < len(every):
        err.print("hint: -v says each; so do the lab file and --json")
    parts = (
        count(len(lab["nodes"]["names"]), "node"),
        count(len(lab["segments"]), "segment"),
        count(len(lab["networks"]), "network"),
        count(len(lab["containers"]), "group") + " of containers",
    )
    said = f"{count(len(carried.assumptions), 'assumption')}, {len(left)} left out"
    said += f", {len(aside)} without bearing" if aside else ""
    said += f", {count(len(findings), 'error')} in the files" if findings else ""
    err.print(f"{output or 'lab'}: {', '.join(parts)}; {said}")
    if refused:
        what = "something is left out" if left else "there are errors in the files"
        err.print(f"error: --strict, and {what}: no lab file is written")
    elif findings:
        err.print("hint: `underlay lint --host NAME=DIR …` says of each error how to mend it")
    elif output is not None:
        err.print(f"hint: underlay lint {output}")
