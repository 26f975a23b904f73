"""A process that keeps a run is really killed at each of its steps, and its files are read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from junitparser import Error, JUnitXml

import documents
from junit_schema import prove_valid
from underlay.cli import main
from underlay.proof.runs.file import read_run
from underlay.storage import paths

# What check does, with a measurement that is made up; the process ends itself at a step.
CHECK = """\
import os, signal, sys
from pathlib import Path
from dataclasses import replace
from underlay.cli.recording import recorded_in
from underlay.expect import predict
from underlay.lint import load
from underlay.observe.observation import Observation, Seen
from underlay.proof.choice import Choice
from underlay.proof.runs.saving import Source
from underlay.verdict import judge

step, save, junit, file = sys.argv[1:]
loaded = load(Path(file))
cells = predict(loaded.plan)
seen = [
    Seen(c.source, c.destination, c.protocol, "reachable" if c.reachable else "unreachable",
         family=c.family, stopped_at=c.stop)
    for c in cells if c.kind == "reach"
]
seen[0] = replace(seen[0], observed="unreachable", stopped_at="no_answer")
verdict = judge(loaded.plan.lab, "uml", cells, Observation(tuple(seen), {}, {}))

def end(now):
    if now == step:
        os.kill(os.getpid(), signal.SIGKILL)

with recorded_in(Path(save), Path(junit), of="files", strict=False, choice=Choice()) as run:
    end("reading files")
    run.of_labs([Source(file, loaded.text.content, loaded.plan)], "uml")
    for now in ("rendering", "bringing up", "measuring"):
        run.reach(now)
        end(now)
    run.measured(verdict)
    end("looking for causes")
"""
STEPS = ("reading files", "rendering", "bringing up", "measuring", "looking for causes")


@pytest.mark.parametrize("step", STEPS)
def test_what_a_killed_check_left_says_how_far_it_came(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    save, junit = tmp_path / "run.json", tmp_path / "junit.xml"
    words = [step, str(save), str(junit), str(paths.root() / "labs" / "flat.yml")]
    environment = {**os.environ, "PYTHONPATH": str(paths.root() / "src")}
    done = subprocess.run(
        [sys.executable, "-P", "-c", CHECK, *words],
        env=environment,
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    run = read_run(save)
    assert (run.reached, run.error) == (step, None)
    # Elsewhere there is neither a lab nor a state of it.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(paths.HOME, str(tmp_path / "nothing"))
    early = f"the run ended early, while {step}: it was killed"
    differs = step == "looking for causes"
    assert main(["report", str(save)]) == 0
    assert capfd.readouterr().out.startswith(f"{early}\n")
    assert main(["explain", str(save)]) == (1 if differs else 3)
    said = capfd.readouterr().out
    assert said.startswith(f"{early}\n")
    assert ("1 differ" in said) is differs
    assert ("no cause is known" in said) is differs
    assert main(["explain", str(save), "--json"]) == (1 if differs else 3)
    page = json.loads(capfd.readouterr().out)
    assert documents.problems("explain", page) == []
    assert (page["reached"], page["error"]) == (step, early)
    for shape in ("json", "md", "html", "csv", "junit"):
        assert main(["report", str(save), "--format", shape]) == 0
        printed = capfd.readouterr().out
        if shape == "json":
            assert documents.problems("check", json.loads(printed)) == []
    assert printed == junit.read_text()
    prove_valid(printed)
    suites = JUnitXml.fromstring(printed.encode())
    errors = [one for suite in suites for case in suite for one in case.result]
    assert any(isinstance(one, Error) and early in one.message for one in errors)
