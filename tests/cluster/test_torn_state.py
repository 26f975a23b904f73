"""Records of a lab that a full disk or a dying machine has cut: every verb stays usable.

A real sandbox stands, without nodes in it: what matters is that `down` finds and ends
it whatever has become of the files about it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from underlay.cli import main
from underlay.cluster import ssh
from underlay.cluster.providers.uml import sandbox
from underlay.cluster.ssh import lab_key
from underlay.cluster.state.lab import LabState, read_state
from underlay.lint.read import read_lab
from underlay.plan import Plan, make_plan
from underlay.storage import paths

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "labs/coreos.yml"
FILES = ("lab.json", "plan.json", "sandbox.json", "ssh_config", "key")
DAMAGES = {
    "empty": lambda content: b"",
    "cut": lambda content: content[: len(content) // 2],
    "garbage": lambda content: bytes(range(256)),
    "another": lambda content: b'{"lab": "..", "file": 5, "provider": []}',
    "deep": lambda content: b"[" * 100_000,
}
EVERY_DAY = [("lab.json", "cut"), ("plan.json", "garbage"), ("sandbox.json", "empty")]
CASES = [
    pytest.param(*case, marks=[] if case in EVERY_DAY else pytest.mark.all)
    for case in ((file, damage) for file in FILES for damage in DAMAGES)
]


@pytest.fixture
def plan() -> Plan:
    return dataclasses.replace(make_plan(read_lab(FILE)), lab="torn")


@pytest.fixture
def living(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[sandbox.Sandbox]:
    """A lab whose sandbox stands, with all of its records, in a home of its own."""
    monkeypatch.setattr(paths, "home", lambda: tmp_path)
    state = LabState("torn", str(FILE), "uml")
    state.write(plan)
    lab_key("torn")
    ssh.write_config(plan, state.folder, {node.name: ["true"] for node in plan.nodes})
    made = sandbox.start(plan, state.folder)
    yield made
    made.stop()


@pytest.mark.parametrize(("file", "damage"), CASES)
def test_down_leaves_nothing(
    file: str, damage: str, living: sandbox.Sandbox, capfd: pytest.CaptureFixture[str]
) -> None:
    path = paths.state("torn") / file
    content = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(DAMAGES[damage](content))
    for words in (["status"], ["check"], ["exec", "core-01", "--", "true"]):
        code = main(words)
        said = capfd.readouterr()
        # 125 is how exec says that nothing was run.
        assert code in (0, 125 if words[0] == "exec" else 3), said
        assert "defect" not in said.err
        if file in ("lab.json", "plan.json"):
            assert code in (3, 125)
            assert "hint: underlay down --lab torn" in said.err
    if file == "plan.json":
        assert read_state("torn") is not None
    assert main(["down", "--lab", "torn"]) == 0, capfd.readouterr().err
    assert not living.alive
    assert not paths.state("torn").exists()


def test_down_leaves_nothing_without_any_record(
    living: sandbox.Sandbox, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("lab.json", "plan.json", "sandbox.json"):
        (paths.state("torn") / name).unlink()
    assert main(["down", "--all"]) == 0, capfd.readouterr().err
    assert not living.alive
    assert not paths.state("torn").exists()


def test_a_state_of_an_earlier_boot_is_tidied_up_and_no_stranger_is_ended(
    living: sandbox.Sandbox, capfd: pytest.CaptureFixture[str]
) -> None:
    """After a reboot another process may have the sandbox's pid; here it is still the sandbox."""
    state = paths.state("torn")
    earlier = dataclasses.replace(living, boot="00000000-0000-0000-0000-000000000000")
    (state / "sandbox.json").write_text(json.dumps(dataclasses.asdict(earlier)))
    link = state / sandbox.IDENTITY
    link.unlink()
    link.symlink_to(":".join(str(value) for value in dataclasses.asdict(earlier).values()))
    assert sandbox.find(state) is None
    assert main(["status", "--json"]) == 0, capfd.readouterr().err
    assert json.loads(capfd.readouterr().out)["state"] == "stopped"
    assert main(["down", "--lab", "torn"]) == 0, capfd.readouterr().err
    assert not state.exists()
    assert living.alive


def test_a_sandbox_ends_with_its_starter_until_the_lab_is_up(plan: Plan, tmp_path: Path) -> None:
    """A process that starts a sandbox is killed: before it has said `keep`, and after."""
    start = (
        "import sys; from pathlib import Path; from underlay.cluster.providers.uml import sandbox\n"
        "from underlay.plan import plan_from_json\n"
        "state = Path(sys.argv[1]); plan = plan_from_json((state / 'plan.json').read_text())\n"
        "sandbox.start(plan, state); sys.argv[2] == 'keep' and sandbox.keep(state)\n"
        "print('started', flush=True); sys.stdin.read()"
    )
    (tmp_path / "plan.json").write_text(plan.to_json())
    for word in ("half", "keep"):
        starter = subprocess.Popen(
            [sys.executable, "-c", start, str(tmp_path), word],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        )
        assert starter.stdout is not None
        assert starter.stdout.readline() == b"started\n"
        living = sandbox.find(tmp_path)
        assert living is not None
        starter.kill()
        starter.communicate(timeout=30)
        limit = time.monotonic() + (0.5 if word == "keep" else 60)
        while living.alive and time.monotonic() < limit:
            time.sleep(0.05)
        assert living.alive == (word == "keep")
    living.stop()
