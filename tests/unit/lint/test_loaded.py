"""Every command reads a lab file once, and plans it once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from underlay.cli import main
from underlay.cluster import access, converging, lifecycle, prepare, switching
from underlay.cluster.state.lab import LabState
from underlay.cluster.vagrant import Vagrant
from underlay.errors import Infrastructure
from underlay.lab import text
from underlay.lint import load, refuse_errors
from underlay.lint.loaded import Loaded, for_machines
from underlay.plan import make
from underlay.plan.naming import macs_apart
from underlay.storage import paths

LABS = paths.root() / "labs"
HERE = "here the nodes would start"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(paths.HOME, str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Count how often any text is read as YAML, and any lab planned, in this process."""
    done = {"read": 0, "planned": 0}

    def count(module: Any, name: str, key: str) -> None:
        original = getattr(module, name)

        def counting(*arguments: Any) -> Any:
            done[key] += 1
            return original(*arguments)

        monkeypatch.setattr(module, name, counting)

    count(text, "text_of", "read")
    # ``make_plan`` is imported by name in many places; this is a step of it alone.
    count(make, "plan_containers", "planned")
    return done


ONCE = {"read": 1, "planned": 1}


class Standing:
    """A provider under which everything is there but the nodes."""

    can_switch = True

    def __init__(self, word: str) -> None:
        self._word = word

    def __getattr__(self, name: str) -> Any:
        if name == "states":
            return lambda plan, _: dict.fromkeys((node.name for node in plan.machines), self._word)
        return lambda *_: None


@pytest.fixture
def nodeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no file be rendered and no node be started."""
    for module in (prepare, lifecycle):
        monkeypatch.setattr(module, "provider", lambda _: Standing("not_created"))
    for module in (switching, converging, access):
        monkeypatch.setattr(module, "provider", lambda _: Standing("running"))
    monkeypatch.setattr("underlay.render.render_cached", lambda *_: True)
    monkeypatch.setattr("underlay.render.render_all", _stop)
    monkeypatch.setattr(Vagrant, "start", _stop)


def _stop(*_: object) -> None:
    raise Infrastructure(HERE)


def started(name: str) -> LabState:
    """Record the lab as one that is up."""
    file = LABS / f"{name}.yml"
    state = LabState(name, str(file), "uml")
    state.write(load(file).plan)
    (state.folder / "key.pub").write_text("ssh-ed25519 AAAA\n")
    return state


@pytest.mark.parametrize("words", [("lint", "coreos"), ("lint", "coreos", "--json")])
def test_lint(words: tuple[str, ...], counts: dict[str, int]) -> None:
    assert main(list(words)) == 0
    assert counts == ONCE


@pytest.mark.parametrize("more", [(), ("--force",)])
def test_render(
    more: tuple[str, ...], counts: dict[str, int], nodeless: None, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    assert main(["render", "coreos", "--output", str(tmp_path / "out"), *more]) == 0
    assert counts == ONCE


def test_env(counts: dict[str, int]) -> None:
    assert main(["env", "--lab", "docker-vlan"]) == 0
    assert counts == ONCE


@pytest.mark.parametrize("words", [("up", "coreos"), ("up", "coreos", "--force"), ("demo",)])
def test_up_and_demo_until_nodes_would_start(
    words: tuple[str, ...],
    counts: dict[str, int],
    nodeless: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(list(words)) == 3
    assert HERE in capsys.readouterr().err
    assert counts == ONCE


def test_switch(
    tmp_path: Path, counts: dict[str, int], nodeless: None, capsys: pytest.CaptureFixture[str]
) -> None:
    started("coreos")
    other = tmp_path / "other.yml"
    other.write_text((LABS / "coreos.yml").read_text().replace("name: coreos", "name: other"))
    counts.update(read=0, planned=0)
    assert main(["switch", str(other)]) == 3
    assert HERE in capsys.readouterr().err
    assert counts == ONCE


def test_converge(
    counts: dict[str, int], nodeless: None, capsys: pytest.CaptureFixture[str]
) -> None:
    started("coreos")
    counts.update(read=0, planned=0)
    assert main(["converge"]) == 3
    assert HERE in capsys.readouterr().err
    assert counts == ONCE


def test_check_of_a_folder(
    tmp_path: Path,
    counts: dict[str, int],
    nodeless: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("flat", "coreos"):
        (tmp_path / f"{name}.yml").write_text((LABS / f"{name}.yml").read_text())
    assert main(["check", str(tmp_path)]) == 3
    assert HERE in capsys.readouterr().err
    assert counts == {"read": 2, "planned": 2}


WRONG = (LABS / "coreos.yml").read_text().replace("segment: lan,", "parent: eth0,")


@pytest.mark.parametrize("words", [(), ("--after", "recreate")])
def test_check_refuses_a_lab_with_errors_before_anything_starts(
    words: tuple[str, ...], tmp_path: Path, nodeless: None, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "wrong.yml"
    file.write_text(WRONG)
    assert main(["check", str(file), *words]) == 2
    said = capsys.readouterr().err
    assert f"lint finds 1 error in {file}, so nothing was started" in said
    assert f"{file}:12:29: error: management-master: " in said
    assert "  cure: " in said
    assert f"underlay lint {file}" in said
    assert HERE not in said


def test_check_of_a_folder_goes_on_without_the_lab_with_errors(
    tmp_path: Path, nodeless: None, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wrong.yml").write_text(WRONG.replace("name: coreos", "name: wrong"))
    (tmp_path / "flat.yml").write_text((LABS / "flat.yml").read_text())
    assert main(["check", str(tmp_path)]) == 3
    assert HERE in capsys.readouterr().err


def test_rules_run_when_findings_are_first_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []
    monkeypatch.setattr("underlay.lint.loaded.lint_lab", lambda *_: runs.append(1) or [])
    loaded = load(LABS / "coreos.yml")
    assert runs == []
    refuse_errors(loaded)
    assert loaded.findings == loaded.errors == []
    assert runs == [1]


SHARED = """\
name: {name}
nodes: {{count: 2, profile: lean}}
segments:
  lan: {{subnet: 192.168.70.0/24}}
networks:
  net: {{driver: macvlan, segment: lan, subnet: 20.1.1.0/24, runtime: cni}}
  share: {{driver: ipvlan, segment: lan, subnet: 20.1.2.0/24, runtime: cni}}
containers:
  - {{on: all, networks: [net]}}
  - {{on: all, networks: [share]}}
  - {{on: [core-01], networks: [net], macs: {{net: "02:00:00:00:01:10"}}}}
"""


def macs(loaded: Loaded, network: str = "net") -> list[str]:
    found = (each for container in loaded.plan.containers for each in container.attachments)
    return [each.mac for each in found if each.network == network]


def test_two_labs_that_share_a_segment_of_machines_have_no_mac_address_in_common(
    tmp_path: Path,
) -> None:
    """Their nodes of their own keep the addresses that files and records of them have."""
    names = ("one", "other", "guests", "rack")
    labs = []
    for name in names:
        file = tmp_path / f"{name}.yml"
        file.write_text(SHARED.format(name=name))
        labs.append(load(file))
    apart = [for_machines(loaded) for loaded in labs]
    assert len({tuple(macs(loaded)) for loaded in labs}) == 1
    fixed = "02:00:00:00:01:10"
    for loaded in apart:
        assert macs(loaded).count(fixed) == 1
        for each in macs(loaded):
            first = int(each[:2], 16)
            assert (first & 1, first & 2) == (0, 2), each
        # An ipvlan child has its parent's, whatever that is.
        assert macs(loaded, "share") == macs(labs[0], "share")
    own = [set(macs(loaded)) - {fixed} for loaded in (*apart, labs[0])]
    assert len(set.union(*own)) == sum(map(len, own)) == 2 * len(own)
    assert for_machines(labs[0]).plan == apart[0].plan


def test_all_names_lead_to_addresses_of_stations_that_nobody_else_makes_up() -> None:
    begun = {macs_apart(f"lab-{number}") for number in range(1000)}
    assert {int(each[:2], 16) & 3 for each in begun} == {2}
    assert not {each[:2] for each in begun} & {"02", "06"}
    assert len(begun) > 950
