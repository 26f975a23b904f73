"""The recipes for CI in examples/ci: whole, with options that there are and flags that labs need.

`tox -e recipes` holds them against the schemas of GitHub and GitLab, which have to be fetched.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from underlay.cli.frame import verb_command
from underlay.cluster.requirements.container import ENGINES, ROOT_FLAG, TUN_FLAG

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "examples" / "ci"
GITHUB, GITLAB = FOLDER / "github-actions.yml", FOLDER / "gitlab-ci.yml"
GITHUB_MATRIX, GITLAB_MATRIX = FOLDER / "github-matrix.yml", FOLDER / "gitlab-matrix.yml"
ON_GITHUB = (GITHUB, GITHUB_MATRIX)
PAGE = ROOT / "docs" / "containers-and-ci.md"
FILES = sorted(FOLDER.iterdir())


def load(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = YAML(typ="safe").load(path)
    return document


def scripts(path: Path) -> list[str]:
    """Return what the recipe has a shell run, a text for each shell."""
    document = load(path)
    if path in ON_GITHUB:
        steps = [step for job in document["jobs"].values() for step in job["steps"]]
        return [step["run"] for step in steps if "run" in step]
    jobs = [job for job in document.values() if isinstance(job, dict) and "script" in job]
    keys = ("before_script", "script")
    first = ["\n".join(line for key in keys for line in job.get(key, ())) for job in jobs]
    return first + ["\n".join(job["after_script"]) for job in jobs if "after_script" in job]


def test_each_system_has_one_and_one_for_many_labs() -> None:
    assert [GITHUB, GITHUB_MATRIX, GITLAB, GITLAB_MATRIX] == FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_recipe_says_where_it_was_not_run_and_where_it_belongs(path: Path) -> None:
    head = " ".join(line.lstrip("# ") for line in path.read_text().splitlines()[:12])
    assert "Copy it to ." in head
    assert "It was NOT run on" in head
    assert "docs/containers-and-ci.md" in head


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_shells_can_read_it(path: Path) -> None:
    for script in scripts(path):
        plain = re.sub(r"\$\{\{.*?\}\}", "word", script)
        done = subprocess.run(
            ["bash" if path in ON_GITHUB else "sh", "-n"],
            input=plain,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{script}\n{done.stderr}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_verbs_and_options_are_there(path: Path) -> None:
    found = []
    joined = "\n".join(scripts(path)).replace("\\\n", " ")
    for words in re.findall(r"\bunderlay (check|doctor|report)\b(.*)", joined):
        verb, rest = words
        known = {name for parameter in verb_command(verb).params for name in parameter.opts}
        options = [word for word in shlex.split(rest.strip("'")) if re.match("--?[a-z]", word)]
        assert set(options) <= known, (verb, options)
        found.append((verb, *options))
    assert ("doctor",) in found
    assert ("report", "--format", "-o") in found
    if path in (GITHUB_MATRIX, GITLAB_MATRIX):
        assert ("check", "--shard", "--save") in found
        assert ("report", "--save", "--format", "-o") in found
    else:
        assert ("check", "--save", "--junit") in found
        assert "--baseline last-run.json" in joined


@pytest.mark.parametrize("path", ON_GITHUB, ids=lambda path: path.stem)
def test_githubs_flags_are_those_that_labs_need_and_what_they_do_without(path: Path) -> None:
    flags = load(path)["env"]["FLAGS"].split()
    withheld = ["--network=none", "--cap-drop=all", ROOT_FLAG, "--security-opt=no-new-privileges"]
    assert flags == [TUN_FLAG, ENGINES[0].proc, *withheld]


@pytest.mark.parametrize("path", ON_GITHUB, ids=lambda path: path.stem)
def test_what_hosted_runners_restrict_is_lifted_before_anything_is_measured(path: Path) -> None:
    text = "\n".join(scripts(path))
    lifted = text.index("kernel.apparmor_restrict_unprivileged_userns")
    assert lifted < text.index("underlay doctor") < text.index("underlay check")


def test_runs_and_junit_are_kept_however_the_job_ends() -> None:
    steps = load(GITHUB)["jobs"]["check"]["steps"]
    (kept,) = [step for step in steps if step.get("uses", "").startswith("actions/upload")]
    assert kept["if"] == "always()"
    assert kept["with"]["path"].split() == ["run.json", "junit.xml", "summary.md"]
    (summary,) = [step for step in steps if "GITHUB_STEP_SUMMARY" in step.get("run", "")]
    assert summary["if"] == "always()"
    artifacts = load(GITLAB)["underlay-check"]["artifacts"]
    assert artifacts["when"] == "always"
    assert artifacts["reports"] == {"junit": "junit.xml"}
    assert artifacts["paths"] == ["run.json", "junit.xml", "summary.md"]


def test_a_matrix_measures_every_shard_and_joins_what_there_is_however_they_ended() -> None:
    document = load(GITHUB_MATRIX)
    check, report = document["jobs"]["check"], document["jobs"]["report"]
    shards = check["strategy"]["matrix"]["shard"]
    assert shards == list(range(1, document["env"]["SHARDS"] + 1))
    assert check["strategy"]["fail-fast"] is False
    (kept,) = [step for step in check["steps"] if step.get("uses", "").startswith("actions/upload")]
    assert kept["if"] == "always()"
    assert kept["with"]["path"] == "run-${{ matrix.shard }}.json"
    assert "!cancelled()" in report["if"]
    assert set(report["needs"]) == {"image", "check"}
    document = load(GITLAB_MATRIX)
    check, report = document["underlay-check"], document["underlay-report"]
    assert check["parallel"] > 1
    assert "$CI_NODE_INDEX/$CI_NODE_TOTAL" in check["script"][0]
    assert check["artifacts"]["when"] == "always"
    assert {rule["when"] for rule in report["rules"]} == {"always"}
    assert [rule["if"] for rule in report["rules"]] == [rule["if"] for rule in check["rules"]]
    # Both tell the whole, and fail by what joining says: a shard that is missing.
    for path in (GITHUB_MATRIX, GITLAB_MATRIX):
        assert 'exit "$joined"' in scripts(path)[-1]


@pytest.mark.parametrize("path", [GITLAB, GITLAB_MATRIX], ids=lambda path: path.stem)
def test_gitlabs_container_is_that_of_the_submodules_commit(path: Path) -> None:
    document = load(path)
    made, check = document["underlay-image"], document["underlay-check"]
    assert made["rules"] == check["rules"]
    assert not any("when" in rule for rule in made["rules"])
    lines = "\n".join(made["script"])
    assert "rev-parse HEAD:underlay" in lines
    assert ":latest" not in path.read_text()
    assert check["image"] == "$UNDERLAY_IMAGE"
    assert "UNDERLAY_IMAGE=$image" in lines
    assert made["artifacts"]["reports"]["dotenv"] == "image.env"
    assert check["needs"] == ["underlay-image"]


def test_the_page_names_every_flag_and_both_recipes() -> None:
    text = PAGE.read_text()
    for engine in ENGINES:
        assert engine.proc in text
    assert {TUN_FLAG, ROOT_FLAG} <= set(re.findall(r"--[\w-]+=[^\s`]+", text))
    for path in FILES:
        assert f"examples/ci/{path.name}" in text
