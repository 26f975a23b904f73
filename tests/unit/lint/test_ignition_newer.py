"""A host's Ignition file that nodes' Ignition refuses: said by lint, with what to do about it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from underlay.errors import BadInput
from underlay.fleet.formats.ignition import is_newer, read_as, spot_of_version, version_of
from underlay.lint import Loaded, load, refuse_errors
from underlay.storage import paths

CASE = paths.root() / "tests" / "golden" / "rules"
RULE = "ignition-newer"


def lab(folder: Path, nodes: str, version: str = "3.4.0") -> Loaded:
    shutil.copytree(CASE / RULE, folder / RULE)
    config = folder / RULE / "core-01" / "config.ign"
    config.write_text(config.read_text().replace("3.4.0", version))
    text = (CASE / f"{RULE}.yml").read_text()
    file = folder / "lab.yml"
    file.write_text(text.replace("nodes: {config: ignition}", nodes))
    return load(file)


@pytest.mark.parametrize("version", ["3.4.0", "3.5.0", "3.6.0"])
def test_a_later_specification_is_not_judged(tmp_path: Path, version: str) -> None:
    loaded = lab(tmp_path, "nodes: {config: ignition}", version)
    (found,) = loaded.errors
    assert (found.id, found.line, found.column) == (RULE, 3, 16)
    assert found.file == str(tmp_path / RULE / "core-01" / "config.ign")
    assert f"not judged: its specification is {version}" in found.message
    assert "ignition_as: 3.3.0" in found.cure
    with pytest.raises(BadInput) as refused:
        refuse_errors(loaded)
    assert "ignition_as: 3.3.0" in refused.value.hint
    assert "--force" not in refused.value.hint


@pytest.mark.parametrize(
    ("nodes", "version"),
    [
        ("nodes: {config: ignition}", "3.3.0"),
        ("nodes: {config: ignition, ignition_as: 3.3.0}", "3.4.0"),
        # cloud-init makes these nodes: what the file says is read, and nobody applies it.
        ("nodes: {config: cloud-config}", "3.4.0"),
    ],
)
def test_no_other_lab_has_it(tmp_path: Path, nodes: str, version: str) -> None:
    assert lab(tmp_path, nodes, version).errors == []


def test_an_error_that_nodes_come_up_with_can_be_forced(tmp_path: Path) -> None:
    """The twin: of every other error ``up --force`` is named."""
    shutil.copy(CASE / "mixed-parent.yml", tmp_path)
    with pytest.raises(BadInput) as refused:
        refuse_errors(load(tmp_path / "mixed-parent.yml"))
    assert "--force" in refused.value.hint


def test_the_version_is_ignitions_own() -> None:
    """A key of that name elsewhere in the file isn't meant, nor one in a file that it writes."""
    text = '{"x": {"version": "3.4.0"},\n "ignition": {"version" : "3.4.0"}}'
    assert version_of(text) == "3.4.0"
    assert is_newer(version_of(text))
    assert read_as(text, "3.3.0") == text[:27] + text[27:].replace("3.4.0", "3.3.0")
    spot = spot_of_version("config.ign", text)
    assert (spot.line, spot.column) == (2, 27)
    assert spot_of_version("config.ign", "no JSON").line == 0
