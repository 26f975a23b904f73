"""Findings as SARIF and as GitHub's workflow commands, and the ids that they carry."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

import documents
from underlay.cli import main
from underlay.errors import Spot
from underlay.lint import lab_rules
from underlay.lint.finding import Finding, RuleText
from underlay.lint.formats import Note, github, sarif

ROOT = Path(__file__).resolve().parents[3]
RULE = RuleText("some-rule", "error", "because", "a source", "lint-rules.md")
HERE = Finding(
    *("some-rule", "error", "labs/a b.yml", 3, 7, "50% lost,\nmostly", "because", "mend it"),
    source="a source",
    related=(Spot("labs/other.yml", 2, 1),),
)
WHOLE = Finding("some-rule", "warning", "/elsewhere/b.yml", 0, 0, "m", "because", "c", "s")


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Text(Strict):
    text: str = Field(min_length=1)


class Region(Strict):
    start_line: int = Field(alias="startLine", ge=1)
    start_column: int = Field(alias="startColumn", ge=1)


class Artifact(Strict):
    uri: str = Field(pattern=r"^(file:///)?[^ :]+$")


class Physical(Strict):
    artifact: Artifact = Field(alias="artifactLocation")
    region: Region


class Location(Strict):
    physical: Physical = Field(alias="physicalLocation")
    id: int | None = None
    message: Text | None = None


class Level(Strict):
    level: Literal["error", "warning", "note"]


class SarifRule(Strict):
    id: str
    short: Text = Field(alias="shortDescription")
    full: Text = Field(alias="fullDescription")
    help: Text
    default: Level = Field(alias="defaultConfiguration")
    properties: dict[str, Any]


class Result(Strict):
    rule: str = Field(alias="ruleId")
    index: int = Field(alias="ruleIndex", ge=0)
    level: Literal["error", "warning", "note"]
    message: Text
    locations: list[Location] = Field(min_length=1, max_length=1)
    fingerprints: dict[str, str] = Field(alias="partialFingerprints")
    related: list[Location] = Field([], alias="relatedLocations")


class Driver(Strict):
    name: str
    version: str = Field(alias="semanticVersion")
    rules: list[SarifRule]


class Tool(Strict):
    driver: Driver


class Descriptor(Strict):
    id: str


class Notification(Strict):
    level: Literal["note", "error"]
    descriptor: Descriptor
    message: Text
    locations: list[Location] = []


class Invocation(Strict):
    successful: bool = Field(alias="executionSuccessful")
    notifications: list[Notification] = Field(alias="toolExecutionNotifications", min_length=1)


class Run(Strict):
    tool: Tool
    invocations: list[Invocation] = Field([], max_length=1)
    columns: Literal["unicodeCodePoints", "utf16CodeUnits"] = Field(alias="columnKind")
    results: list[Result]


class Log(Strict):
    """What GitHub's code scanning reads of SARIF 2.1.0, and not a key more."""

    uri: str = Field(alias="$schema")
    version: Literal["2.1.0"]
    runs: list[Run] = Field(min_length=1, max_length=1)


def checked(document: object) -> Run:
    (run,) = Log.model_validate_json(json.dumps(document)).runs
    for result in run.results:
        assert run.tool.driver.rules[result.index].id == result.rule
    return run


def test_sarif_has_the_shape_that_github_takes() -> None:
    first, second = checked(sarif([HERE, WHOLE], [RULE])).results
    assert first.locations[0].physical.artifact.uri == "labs/a%20b.yml"
    assert first.related[0].physical.region.start_line == 2
    assert second.locations[0].physical.region.start_line == 1
    assert first.fingerprints != second.fingerprints


def test_sarif_fingerprint_outlives_an_edit_above() -> None:
    moved = Finding(**{**HERE.__dict__, "line": 9})
    marks = [checked(sarif([f], [RULE])).results[0].fingerprints for f in (HERE, moved)]
    assert marks[0] == marks[1]


def test_notes_are_notifications_and_notices() -> None:
    note = Note("not-looked-into", "core-01: not looked into: a b.txt, c:d", ("a b.txt", "c:d"))
    (invocation,) = checked(sarif([], [RULE], [note])).invocations
    (notification,) = invocation.notifications
    uris = [location.physical.artifact.uri for location in notification.locations]
    assert (notification.message.text, uris) == (note.text, ["a%20b.txt", "c%3Ad"])
    assert not checked(sarif([], [RULE])).invocations
    assert list(github([], [note])) == [f"::notice title=not-looked-into::{note.text}"]


def test_github_escapes_what_would_end_the_command() -> None:
    first, second = github([HERE, WHOLE])
    assert first.startswith(
        "::error file=labs/a b.yml,title=some-rule,line=3,col=7::50%25 lost,%0A"
    )
    assert second.startswith("::warning file=/elsewhere/b.yml,title=some-rule::m%0A")
    assert "\n" not in first + second


def test_every_rule_has_an_id_of_its_own() -> None:
    ids = [rule.id for rule in lab_rules()]
    assert len(set(ids)) == len(ids)
    assert all(rule.reason and rule.source for rule in lab_rules())


@pytest.mark.parametrize(
    ("lab", "code", "kind"),
    [
        ("labs/broken/seed-as-written.yml", 1, "duplicate-range"),
        ("tests/golden/errors/many.yml", 2, "bad-value"),
    ],
)
def test_verb_in_each_format(
    lab: str,
    code: int,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["lint", lab, "--format", "sarif"]) == code
    run = checked(json.loads(capfd.readouterr().out))
    assert kind in {result.rule for result in run.results}
    assert main(["lint", lab, "--format", "github"]) == code
    lines = capfd.readouterr().out.splitlines()
    assert f"::error file={lab},title={kind},line=" in "\n".join(lines)
    assert len(lines) == len(run.results)
    assert main(["lint", lab, "--format", "json"]) == code
    as_format = capfd.readouterr().out
    assert main(["lint", lab, "--json"]) == code
    assert capfd.readouterr().out == as_format
    assert kind in {finding["id"] for finding in json.loads(as_format)["findings"]}


@pytest.mark.parametrize("shape", ["text", "json", "sarif", "github"])
def test_a_file_whose_name_is_no_text(shape: str, tmp_path: Path) -> None:
    file = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xfflab.yml"))
    lab = (ROOT / "labs" / "coreos.yml").read_text(encoding="utf-8")
    file.write_text(f"{lab}\nnonsense: 1\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "underlay", "lint", file, "--format", shape],
        capture_output=True, timeout=60,
        env={**os.environ, "LC_ALL": "en_US.UTF-8", "PYTHONPATH": str(ROOT / "src")},
    )  # fmt: skip
    assert (done.returncode, b"defect" in done.stderr) == (2, False), done.stderr
    if shape in ("json", "sarif"):
        json.loads(done.stdout.decode())


def test_what_cannot_be_read_has_a_document_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    for words in (["--host", "one=empty"], ["no-such-lab"], ["--host", "one=nowhere"]):
        assert main(["lint", *words, "--format", "sarif"]) == 2
        said = capfd.readouterr()
        run = checked(json.loads(said.out))
        (invocation,) = run.invocations
        assert not invocation.successful
        assert said.err.startswith(f"error: {invocation.notifications[0].message.text}")
        assert main(["lint", *words, "--format", "json"]) == 2
        assert documents.problems("error", json.loads(capfd.readouterr().out)) == []
        assert main(["lint", *words, "--format", "github"]) == 2
        assert capfd.readouterr().out.startswith("::error title=not-read::")


def test_places_count_from_the_root_of_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = tmp_path / "labs" / "ours"
    below.mkdir(parents=True)
    spots = ("x.yml", "../y.yml", str(tmp_path / "z z.yml"), "/elsewhere/w.yml")
    findings = [Finding(**{**HERE.__dict__, "file": one}) for one in spots]

    def uris() -> list[str]:
        results = checked(sarif(findings, [RULE])).results
        return [one.locations[0].physical.artifact.uri for one in results]

    monkeypatch.chdir(below)
    alone = ["x.yml", (below.parent / "y.yml").as_uri(), (tmp_path / "z z.yml").as_uri()]
    assert uris() == [*alone, "file:///elsewhere/w.yml"]
    (tmp_path / ".git").mkdir()
    within = ["labs/ours/x.yml", "labs/y.yml", "z%20z.yml"]
    assert uris() == [*within, "file:///elsewhere/w.yml"]


def test_two_formats_are_one_too_many(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", "--json", "--format", "sarif"]) == 2
    assert "two formats" in capfd.readouterr().err
