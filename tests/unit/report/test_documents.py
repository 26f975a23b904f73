"""Each document of --json has a schema, which names its fields as the verb's page does.

Real documents are held against it as far as no node is needed; the others in the cluster's tests.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import doc_pages
from confusion import GREEN
from documents import problems
from underlay import cli
from underlay.cli.frame import verb_command
from underlay.errors import Infrastructure
from underlay.expect import predict
from underlay.lint import load
from underlay.observe.observation import Observation
from underlay.observe.unplanned import Looked
from underlay.proof.result import LabResult
from underlay.proof.runs.comparison import compare
from underlay.proof.runs.saving import saved
from underlay.proof.runs.schema import SavedError
from underlay.report.documents.kinds import VERSIONS, name_of, stamped
from underlay.report.documents.schemas import MODELS, schema_of
from underlay.report.explanation import document as explanation_document
from underlay.report.run import Told, json_text
from underlay.storage import paths
from underlay.verdict import judge, with_intent
from unit.proof.test_explain import FILES, Recorded, explained, judged, recorded, scene
from unit.proof.test_runs import STRANGER, run_of, source
from unit.report.test_report import as_predicted
from unit.report.test_unplanned import BLIND, FOUND

VERBS = [
    verb
    for verb in cli.summaries()
    if any("--json" in parameter.opts for parameter in verb_command(verb).params)
]
# Which page says what the fields mean, where it isn't the verb's own; nothing where none does.
NO_PAGE = ("error", "version")
HOST = """{"cniVersion": "1.0.0", "name": "lannet", "type": "macvlan", "master": "eth1",
 "ipam": {"type": "host-local", "subnet": "192.168.70.0/24"}}
"""


def test_each_verb_that_has_json_has_a_schema_and_a_version() -> None:
    assert set(VERSIONS) == {*VERBS, *NO_PAGE} == set(MODELS)


@pytest.mark.parametrize("kind", VERSIONS)
def test_it_is_a_schema(kind: str) -> None:
    schema = schema_of(kind)
    Draft202012Validator.check_schema(schema)
    assert name_of(kind) == f"underlay {kind}"
    assert schema["title"].endswith(f", version {VERSIONS[kind]}")


def test_a_document_of_another_kind_or_version_is_refused() -> None:
    good = stamped("error", {"error": "no lab is up", "hint": ""})
    assert not problems("error", good)
    for change in ({"version": 2}, {"document": "underlay check"}, {"error": None}, {"more": 1}):
        assert problems("error", {**good, **change}), change
    assert not problems("error", {**good, "more": 1}, closed=False)
    assert problems("error", {"error": "no lab is up", "hint": ""})


@pytest.mark.parametrize("kind", [kind for kind in VERSIONS if kind not in NO_PAGE])
def test_the_schema_names_the_fields_that_the_page_lists(kind: str) -> None:
    page = doc_pages.DOCS / "verbs" / f"{kind}.md"
    listed = set(_listed(doc_pages.section(page, "JSON")))
    named = set(_named(schema_of(kind))) - {"document", "version"}
    # Of a run with several labs there is the same for each of them.
    named -= {name for name in named if kind == "explain" and name.startswith("labs[].")}
    # What is below an imported lab is what the schema of lab files says.
    listed -= {name for name in listed if kind == "import" and name.startswith("lab.")}
    named -= {"lab.<any>"} if kind == "import" else set()
    lacking = [name for name in listed if not any(_is_below(other, name) for other in named)]
    assert not lacking, "the page lists what the schema hasn't"
    untold = [name for name in named if not any(_is_below(name, other) for other in listed)]
    text = "\n".join(doc_pages.section(page, "JSON"))
    # What is told in a sentence, or in another one's cell, stands in backticks there.
    told = set(re.findall(r"`([\w.\[\]]+)`", text))
    assert [name for name in untold if _last(name) not in told] == []


def _listed(lines: list[str]) -> Iterator[str]:
    """Yield the fields that tables list; where several share a row, the first one's place."""
    at = ""
    for line in lines:
        # A part of a page is about what stands in one field.
        at = "labs[].measured." if line == "### Of `--prove`" else "" if line[:3] == "###" else at
        first = line.split(" | ")[0]
        names = re.findall(r"`([^`]+)`", first) if first.startswith("| `") else []
        within = names[0].rpartition(".")[0] if names else ""
        for name in names:
            yield at + (name if "." in name or not within else f"{within}.{name}")


def _last(name: str) -> str:
    return name.replace("[]", "").removesuffix(".<any>").rpartition(".")[2]


def _is_below(name: str, other: str) -> bool:
    """Whether ``name`` is ``other`` or stands within it; a part in brackets stands for any."""
    parts, outer = (one.replace("[]", "").split(".") for one in (name, other))
    return len(parts) >= len(outer) and all(
        mine == theirs or "<" in mine[:1] + theirs[:1]
        for mine, theirs in zip(parts, outer, strict=False)
    )


def _named(schema: dict[str, Any]) -> set[str]:
    """Return the dotted names of all fields that a schema has, as the pages write them."""
    models = schema.get("$defs", {})

    def walk(one: dict[str, Any], at: str) -> Iterator[str]:
        if "$ref" in one:
            yield from walk(models[one["$ref"].rpartition("/")[2]], at)
        elif "anyOf" in one:
            for option in one["anyOf"]:
                yield from walk(option, at)
        elif "properties" in one:
            for name, value in one["properties"].items():
                yield from walk(value, f"{at}.{name}" if at else name)
        elif isinstance(one.get("additionalProperties"), dict):
            yield from walk(one["additionalProperties"], f"{at}.<any>")
        elif "items" in one and isinstance(one["items"], dict):
            yield from walk(one["items"], f"{at}[]")
        else:
            yield at

    return {re.sub(r"(\[\])+$", "", name) for name in walk(schema, "")}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.partition(".")[0])
def test_what_check_and_explain_say_of_faults_is_as_their_schemas_say(file: Path) -> None:
    plan = scene(file).plan
    name = next(name for name in recorded(file)["faults"] if name != GREEN)
    one = Recorded(file, name)
    result = LabResult(judged(one, one.wrong), explained(one), timings={"boot": 1.5})
    before = run_of(saved(source(plan), LabResult(judged(one, {}))))
    run = run_of(saved(source(plan), result), timings={"total": 2.0})
    told = Told(run, compare(before, run, "before.json"))
    became = json.loads(json_text(told))["baseline"]["summary"]
    assert became["worse"] + became["unknown"]
    early = Told(run.model_copy(update={"reached": "measuring"}))
    running = Told(run.model_copy(update={"of": "running"}))
    for one_run in (told, early, running):
        assert problems("check", json.loads(json_text(one_run))) == []
    beside = {"intent": [], "unplanned": [], "origins": []}
    page = {"lab": plan.lab, **explanation_document(explained(one)), **beside}
    assert problems("explain", stamped("explain", page)) == []


def test_what_only_some_runs_have_is_in_the_schema_of_check() -> None:
    plan = load(paths.root() / "labs" / "intent.yml").plan
    observation = Observation(tuple(as_predicted(plan)), {}, {}, Looked(FOUND, BLIND))
    verdict = with_intent(judge("intent", "uml", predict(plan), observation), plan)
    result = LabResult(replace(verdict, strangers=(STRANGER,)), error=Infrastructure("it burnt"))
    run = run_of(saved(source(plan), result))
    assert problems("check", json.loads(json_text(Told(run)))) == []
    killed = run_of(reached="bringing up", error=SavedError(message="interrupted"))
    assert problems("check", json.loads(json_text(Told(killed)))) == []


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "20-lannet.conf").write_text(HOST)
    (tmp_path / "torn.yml").write_text("name: torn\nnonsense: 1\n")
    changed = (paths.root() / "labs" / "flat.yml").read_text().replace("macvlan", "ipvlan")
    (tmp_path / "changed.yml").write_text(changed)
    (tmp_path / "labs").symlink_to(paths.root() / "labs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["lint", "coreos"], "lint"),
        (["lint", "labs/broken/seed-eth0.yml"], "lint"),
        (["lint", "torn.yml"], "lint"),
        (["lint", "--host", "core-01=one", "--host", "core-02=two"], "lint"),
        (["predict", "intent"], "predict"),
        (["diff", "labs/flat.yml", "changed.yml"], "diff"),
        (["import", "one", "two"], "import"),
        (["labs", "docker"], "labs"),
        (["faults"], "faults"),
        (["doctor"], "doctor"),
        (["env"], "env"),
        (["image", "show"], "image"),
        (["check"], "error"),
        (["status", "--lab", "nothing"], "error"),
        (["--version"], "version"),
    ],
    ids=" ".join,
)
def test_what_a_verb_prints_is_as_its_schema_says(
    words: list[str],
    kind: str,
    folder: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("UNDERLAY_HOME", str(folder / "home"))
    cli.main([*words, "--json"])
    printed = json.loads(capfd.readouterr().out)
    assert list(printed)[:2] == ["document", "version"]
    assert problems(kind, printed) == []


def test_the_verb_schema_prints_each(capsys: pytest.CaptureFixture[str]) -> None:
    for kind in ("check", "error", "version"):
        assert cli.main(["schema", kind]) == 0
        assert json.loads(capsys.readouterr().out) == schema_of(kind)
    assert cli.main(["schema", "run"]) == 0
    file = doc_pages.DOCS / "schemas" / "run.schema.json"
    assert json.loads(capsys.readouterr().out) == json.loads(file.read_text())
    assert cli.main(["schema", "chekc"]) == 2
    assert "did you mean `underlay schema check`?" in capsys.readouterr().err


def test_models_say_in_a_sentence_what_they_are() -> None:
    for models in MODELS.values():
        for model in models:
            assert (inspect.getdoc(model) or "").rstrip().endswith("."), model
