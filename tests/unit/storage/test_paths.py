"""Where data, cache and state are, in a checkout and installed; and what the wheel brings along."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from underlay import cli
from underlay.cluster import vagrant
from underlay.cluster.state.lab import LabState
from underlay.storage import paths

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Let Underlay believe that it is installed; return the folder of its data."""
    monkeypatch.setattr(paths, "SHIPPED", tmp_path / "data")
    (tmp_path / "data" / "labs").mkdir(parents=True)
    return tmp_path / "data"


def test_in_a_checkout_everything_is_in_the_checkout() -> None:
    assert paths.is_checkout()
    assert paths.root() == ROOT
    assert paths.state("coreos") == ROOT / ".underlay" / "labs" / "coreos"
    assert paths.locks() == ROOT / ".underlay" / "locks"


def test_installed_nothing_is_written_to_the_data(
    installed: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert not paths.is_checkout()
    assert paths.root() == installed
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert paths.home() == tmp_path / "state" / "underlay"
    for ours in (paths.home(), paths.states(), paths.locks(), paths.state("coreos"), paths.cache()):
        assert not ours.is_relative_to(installed)


@pytest.mark.parametrize("given", [None, "", "relative/folder"])
def test_xdg_defaults(
    installed: Path, given: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
        if given is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, given)
    assert paths.home() == tmp_path / ".local" / "state" / "underlay"
    assert paths.cache() == tmp_path / ".cache" / "underlay"


def test_installed_vagrant_keeps_its_own_files_in_the_state(installed: Path) -> None:
    state = LabState("coreos", str(installed / "labs" / "coreos.yml"), "uml")
    values = vagrant.variables(state)
    assert values["VAGRANT_DOTFILE_PATH"] == str(paths.state("coreos") / "vagrant")


def test_in_a_checkout_plain_vagrant_shares_the_default_lab() -> None:
    state = LabState("coreos", str(ROOT / "labs" / "coreos.yml"), "uml")
    assert "VAGRANT_DOTFILE_PATH" not in vagrant.variables(state)


def test_installed_there_are_no_tests(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["test"]) == 2
    assert "in a checkout of Underlay only" in capsys.readouterr().err


def test_all_that_is_looked_for_is_in_the_wheel() -> None:
    """Every name that follows root() in the sources is mapped into the wheel."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    mapped = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert all(target == f"underlay/data/{source}" for source, target in mapped.items())
    assert all((ROOT / source).exists() for source in mapped)
    looked_for = set()
    for file in (ROOT / "src").rglob("*.py"):
        looked_for |= set(re.findall(r'root\(\) / "([^"]+)"', file.read_text(encoding="utf-8")))
    # A bundle is made of a checkout.
    in_a_checkout_only = {
        *(".underlay", ".vagrant", "docs", "requirements.txt", "tests", "underlay"),
    }
    assert looked_for - in_a_checkout_only <= set(mapped)
    assert {"Vagrantfile", "vagrant", "ansible", "cloud-config", "labs", "inventory"} <= set(mapped)
