"""The verb ``lint``: what would otherwise be found out with nodes running."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from underlay.cli.carried_over import remarks
from underlay.cli.console import err, out, print_document, print_json
from underlay.cli.host_folders import named_pairs
from underlay.cli.which_lab import resolve_lab
from underlay.errors import EXIT_BAD_INPUT, EXIT_DIFFERS, BadInput, UnderlayError, count, listed
from underlay.lab.text import LabError
from underlay.storage.paths import root

if TYPE_CHECKING:
    from collections.abc import Sequence

    from underlay.lint.finding import Finding, RuleText
    from underlay.lint.formats import Note
    from underlay.lint.silence import Silenced

GROUP = "Files"
ORDER = 20

STYLES = {"error": "bold red", "warning": "yellow"}

Format = Literal["text", "json", "sarif", "github"]

# Of the files that aren't looked into, people are shown so many by name.
MOST_NAMED = 12


def command(
    labs: Annotated[
        list[str] | None,
        typer.Argument(
            help="A lab file, the name of one in labs/, or hosts' folders.", metavar="LAB"
        ),
    ] = None,
    hosts: Annotated[
        list[str] | None,
        typer.Option(
            "--host",
            metavar="NAME=DIR",
            help="Look at a real host's configuration in DIR instead; once per host.",
        ),
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(
            "--ignore",
            metavar="RULE",
            help="Silence a rule, with the reason as 'RULE: reason'; may be repeated.",
        ),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Silence what stands in FILE, which an earlier lint --json has printed.",
        ),
    ] = None,
    shape: Annotated[
        Format,
        typer.Option("--format", help="How findings are printed."),
    ] = "text",
    as_json: Annotated[
        bool, typer.Option("--json", help="The same as --format json: one JSON document.")
    ] = False,
) -> None:
    """Find a lab's mistakes before any node starts, or those of real hosts.

    Reads the lab file (labs/coreos.yml where none is named), and says for each
    finding where it is, what it leads to, how to mend it and which source says so.
    Who must reach whom and who never, as the file expects it, is held against the prediction.
    With --host, or for hosts' folders or one that holds these, it reads what hosts are
    configured with instead: CNI's net.d files, cloud-config, Ignition, Compose files,
    Docker's and podman's networks, Quadlet's units, systemd-nspawn, systemd-networkd,
    netplan, NetworkManager, ifupdown; what each file says by itself, and what the hosts do to
    one another. A comment `# underlay: ignore RULE: reason` silences a finding in
    its place. Exits 0 where there are no errors, 1 where there are, and 2 where
    the file can't be read as a lab.

    Example:
      underlay lint
      underlay lint labs/broken/seed-as-written.yml
      underlay lint docker-vlan --format sarif
      underlay lint --host core-01=etc/one --host core-02=etc/two
      underlay lint hosts/*
      underlay lint /etc --ignore 'range-public: a lab of our own'
    """
    if as_json and shape not in ("text", "json"):
        raise BadInput(f"--json and --format {shape} are two formats", hint="name one of them")
    silencing = _Silencing(tuple(ignore or ()), baseline)
    try:
        _lint(labs, hosts, "json" if as_json else shape, silencing)
    except UnderlayError as error:
        # Whoever uploads a document has one also where nothing could be read.
        _print_failure(error, shape)
        raise


def _lint(
    labs: list[str] | None, hosts: list[str] | None, shape: Format, silencing: _Silencing
) -> None:
    """Lint what the command line means; raise BadInput where that makes no sense."""
    if hosts and labs:
        raise BadInput("both a lab and --host", hint="lint one after the other")
    lab = labs[0] if labs else None
    if labs and all(_is_folder(one) for one in labs):
        _refuse_labs(labs)
        hosts = named_pairs(labs, "lint")
    elif labs and len(labs) > 1:
        files = [one for one in labs if not _is_folder(one)]
        hint = f"underlay lint {shlex.quote(files[0])}; of hosts several folders are taken at once"
        raise BadInput(f"lint takes one lab at a time, and here are {listed(labs)}", hint=hint)
    if hosts:
        _lint_hosts(hosts, shape, silencing)
    else:
        _lint_lab(resolve_lab(lab), shape, silencing)


def _refuse_labs(folders: Sequence[str]) -> None:
    """Raise BadInput for a folder that holds lab files and nothing of a host."""
    from underlay.fleet import host_pairs, hosts_inside

    for folder in folders:
        files = sorted(path for path in Path(folder).expanduser().iterdir() if _is_lab(path))
        if not files or hosts_inside(folder) or len(host_pairs(folder)) > 1:
            continue
        names = listed(path.name for path in files)
        raise BadInput(
            f"{folder} is a folder of lab files ({names}), and lint takes one lab at a time",
            hint=f"underlay lint {shlex.quote(str(files[0]))}; `underlay check"
            f" {shlex.quote(folder)}` measures all of them",
        )


def _is_lab(path: Path) -> bool:
    """Whether a file is a lab's, by the keys that no other file of that name has."""
    if path.suffix not in (".yml", ".yaml") or not path.is_file():
        return False
    return re.search(r"^(?:segments|nodes|fleet):", _text_of(str(path)), re.MULTILINE) is not None


def _print_failure(error: UnderlayError, shape: Format) -> None:
    """Say in formats for programs what went wrong; of --json the frame does."""
    if shape == "json":
        print_document("error", {"error": error.message, "hint": error.hint})
    elif shape == "sarif":
        from underlay.lint.formats import failed_sarif

        print_json(failed_sarif(error.message))
    elif shape == "github":
        from underlay.lint.formats import failed_github

        print(failed_github(error.message))


@dataclass(frozen=True)
class _Silencing:
    """What the command line says is to be silenced."""

    rules: tuple[str, ...]
    baseline: Path | None

    def of(
        self, findings: Sequence[Finding], rules: Sequence[RuleText]
    ) -> tuple[list[Finding], list[Silenced]]:
        """Return the findings that count, and those that are silenced."""
        from underlay.lint.silence import baseline_of, chosen, silence

        known = (
            baseline_of(_read_json(self.baseline), str(self.baseline)) if self.baseline else None
        )
        options = chosen(self.rules, (rule.id for rule in rules))
        return silence(findings, _text_of, options, known or Counter(), str(self.baseline))


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no JSON"
        hint = f"underlay lint … --json > {path}"
        raise BadInput(f"cannot read the baseline {path}: {reason}", hint=hint) from error


def _text_of(file: str) -> str:
    """Return what a file with findings holds, nothing where it can't be read as text."""
    try:
        path = Path(file)
        return path.read_text(encoding="utf-8") if path.is_file() else ""
    except (OSError, ValueError):
        return ""


def _is_folder(lab: str) -> bool:
    """Whether ``lab`` is a folder, and no lab of that name in the checkout's ``labs/``."""
    is_path = lab.startswith((".", "/", "~"))
    is_lab = not is_path and (root() / "labs" / f"{lab}.yml").is_file()
    return Path(lab).expanduser().is_dir() and not is_lab


def _lint_lab(path: Path, shape: Format, silencing: _Silencing) -> None:
    from underlay.expect import Prediction
    from underlay.expect.intent import stands_of
    from underlay.expect.intent.before_boot import intent_findings, intent_rules
    from underlay.lint import lab_rules, load
    from underlay.lint.formats import Note
    from underlay.lint.hosts import host_rules
    from underlay.lint.problems import problem_findings
    from underlay.lint.silence import comments

    rules: tuple[RuleText, ...] = (*lab_rules(), *intent_rules())
    try:
        loaded = load(path)
    except LabError as error:
        if shape == "text":
            raise
        findings = problem_findings(error.problems, host_rules())
        rules = (*rules, *host_rules()) if any(one.file != str(path) for one in findings) else rules
        said = _Said(findings, [], rules, {"error": error.message, "hint": error.hint})
        _print(said, shape)
        err.print(f"error: {error.message}")
        raise typer.Exit(EXIT_BAD_INPUT) from error
    if loaded.hosts:
        rules = (*rules, *host_rules())
    stands = stands_of(Prediction(loaded.plan))
    every = [*loaded.findings, *intent_findings(loaded, stands)]
    findings, silenced = silencing.of(sorted(every, key=lambda f: (f.line, f.column)), rules)
    for comment in comments(_text_of(str(path))):
        if not comment.reason:
            text = f"{loaded.text.file}:{comment.line}: no reason to ignore {comment.rule}"
            err.print(
                f"{text}, so that it counts\n\nhint: underlay: ignore {comment.rule}: because …"
            )
    kept = sum(one.word == "kept" for one in stands)
    about: dict[str, Any] = {"lab": loaded.lab.name, "statements": len(stands)}
    about["statements_kept"] = kept
    notes = tuple(Note("fleet", text) for text in remarks(loaded.carried))
    about["remarks"] = [note.text for note in notes]
    said = _Said(findings, silenced, rules, about, notes)
    _print(said, shape)
    for note in notes if shape == "text" else ():
        out.print(note.text)
    wanted = f", {kept} of {count(len(stands), 'statement')} kept" if stands else ""
    _conclude(said, loaded.text.file, shape, wanted)


def _lint_hosts(pairs: list[str], shape: Format, silencing: _Silencing) -> None:
    from underlay.fleet import read_hosts
    from underlay.lint.formats import Note
    from underlay.lint.hosts import host_rules, lint_hosts, unjudged

    hosts = read_hosts(pairs)
    findings, silenced = silencing.of(lint_hosts(hosts), host_rules())
    read = {host.name: list(dict.fromkeys(d.file for d in host.documents)) for host in hosts}
    ignored = {host.name: list(host.ignored) for host in hosts}
    unknown = unjudged(hosts)
    notes = []
    for host in hosts:
        if host.ignored:
            text = f"{host.name}: not looked into: {', '.join(host.ignored)}"
            notes.append(Note("not-looked-into", text, host.ignored))
    if unknown:
        # The rules that need interfaces are the same for each host without.
        rules = ", ".join(next(iter(unknown.values())))
        text = f"{', '.join(unknown)}: no interface is configured there; not judged: {rules}"
        notes.append(Note("not-judged", text))
    about = {"hosts": read, "ignored": ignored, "unjudged": unknown}
    said = _Said(findings, silenced, host_rules(), about, tuple(notes))
    _print(said, shape)
    if shape == "text":
        for note in notes:
            out.print(_shortened(note))
    files = sum(len(files) for files in read.values())
    _conclude(said, f"{count(len(hosts), 'host')}, {count(files, 'file')}", shape)


@dataclass(frozen=True)
class _Said:
    """All that a run of lint has to say; ``about`` is what the JSON document begins with."""

    findings: Sequence[Finding]
    silenced: Sequence[Silenced]
    rules: Sequence[RuleText]
    about: dict[str, Any]
    notes: tuple[Note, ...] = ()

    @property
    def all_notes(self) -> tuple[Note, ...]:
        """The notes for formats that have no other place for what is silenced."""
        from underlay.lint.formats import Note

        if not self.silenced:
            return self.notes
        told = "; ".join(f"{s.finding.spot} {s.finding.id} ({s.reason})" for s in self.silenced)
        text = f"{count(len(self.silenced), 'finding')} silenced: {told}"
        return (*self.notes, Note("silenced", text))


def _shortened(note: Note) -> str:
    """Return a note without most of a long list of files: /etc has a thousand that are none."""
    if len(note.files) <= MOST_NAMED:
        return note.text
    head = note.text.partition(": not looked into: ")[0]
    some = ", ".join(note.files[:MOST_NAMED])
    more = len(note.files) - MOST_NAMED
    return f"{head}: not looked into: {some} and {more} more (--json names them)"


def _print(said: _Said, shape: Format) -> None:
    if shape == "json":
        rows = [asdict(finding) for finding in said.findings]
        silenced = [{**asdict(s.finding), "by": s.by, "because": s.reason} for s in said.silenced]
        document = {**said.about, "findings": rows, "silenced": silenced}
        print_document("lint", {**document, "summary": _summary(said)})
        return
    if shape == "text":
        for finding in said.findings:
            _show(finding)
        return
    from underlay.lint.formats import github, sarif

    if shape == "sarif":
        print_json(sarif(said.findings, said.rules, said.all_notes))
    else:
        for line in github(said.findings, said.all_notes):
            print(line)


def _conclude(said: _Said, what: str, shape: Format, wanted: str = "") -> None:
    summary = _summary(said)
    if shape == "text":
        errors, warnings = summary["errors"], summary["warnings"]
        silenced = f", {summary['silenced']} silenced" if summary["silenced"] else ""
        out.print(
            f"{what}: {count(errors, 'error')}, {count(warnings, 'warning')}{silenced}{wanted}"
        )
    if summary["errors"]:
        raise typer.Exit(EXIT_DIFFERS)


def _summary(said: _Said) -> dict[str, int]:
    errors = sum(finding.severity == "error" for finding in said.findings)
    warnings = len(said.findings) - errors
    return {"errors": errors, "warnings": warnings, "silenced": len(said.silenced)}


def _show(finding: Finding) -> None:
    first, *rest = str(finding).splitlines()
    out.print(first, style=STYLES[finding.severity])
    for line in rest:
        out.print(line)
    out.print()
