"""What providers say of themselves, and how those refuse that can't do something."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from underlay.cluster.prepare import load_plan, prepare
from underlay.cluster.providers import DEFAULT, NAMES, provider
from underlay.cluster.providers.base import Provider
from underlay.errors import BadInput
from underlay.lint import load

LABS = Path(__file__).resolve().parents[3] / "labs"
OTHERS = [name for name in NAMES if name != DEFAULT]
# A lab that comes with Underlay, and what of it the other providers can't make.
DEMANDING = {
    "external-server": "external hosts",
    "vlan-ports": "switch ports with VLANs",
    "bond": "bonds",
    "snooping": "multicast snooping",
    "ignition": "nodes that Ignition makes",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_provider_is_called_as_its_folder(name: str) -> None:
    by = provider(name)
    assert isinstance(by, Provider)
    assert by.name == name
    assert by.title


@pytest.mark.parametrize("name", NAMES)
def test_who_can_switch_says_how_and_nobody_else(name: str) -> None:
    by = provider(name)
    changes = type(by).change_segments is not Provider.change_segments
    assert by.can_switch == changes


@pytest.mark.parametrize("page", ["README.md", "docs/providers.md"])
def test_pages_list_every_provider(page: str) -> None:
    rows = re.findall(r"^\| `(\w+)`.*$", (LABS.parent / page).read_text("utf-8"), re.MULTILINE)
    assert [row for row in rows if row in NAMES] == list(NAMES)


def test_there_is_no_provider_of_another_name() -> None:
    with pytest.raises(BadInput, match="there is no provider 'vmware'") as refused:
        provider("vmware")
    assert refused.value.hint == f"providers: {', '.join(NAMES)}"


@pytest.mark.parametrize("lab", DEMANDING)
@pytest.mark.parametrize("name", OTHERS)
def test_a_lab_that_needs_more_than_its_provider_can_make_is_refused_by_name(
    name: str, lab: str
) -> None:
    plan = load_plan(LABS / f"{lab}.yml")
    if lab != "external-server":
        # They have external hosts, too, which would be named first.
        plan = replace(plan, hosts=())
    with pytest.raises(BadInput) as refused:
        provider(name).refuse_lacking(plan)
    what = DEMANDING[lab]
    assert refused.value.message == f"the lab {lab} has {what}, which {name} can't make"
    assert refused.value.hint == "leave --provider out: uml can"


@pytest.mark.parametrize("name", OTHERS)
def test_a_fleet_is_refused_where_nobody_has_tried_its_files(name: str) -> None:
    """What acts on hosts' own files has been measured on nodes of the default provider alone."""
    plan = load_plan(LABS.parent / "examples" / "quadlet-ipvlan6" / "lab.yml")
    with pytest.raises(BadInput, match="files of hosts' own, a fleet, which"):
        provider(name).refuse_lacking(replace(plan, hosts=()))
    provider(DEFAULT).refuse_lacking(plan)


@pytest.mark.parametrize("name", OTHERS)
def test_a_refused_lab_leaves_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERLAY_HOME", str(tmp_path))
    with pytest.raises(BadInput, match="has external hosts"):
        prepare(load(LABS / "external-server.yml"), name, lambda line: None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("lab", DEMANDING)
def test_the_default_provider_can_make_every_lab(lab: str) -> None:
    provider(DEFAULT).refuse_lacking(load_plan(LABS / f"{lab}.yml"))


@pytest.mark.parametrize("name", OTHERS)
def test_nodes_that_stay_as_they_were_started_refuse_to_switch(name: str, tmp_path: Path) -> None:
    plan = load_plan(LABS / "coreos.yml")
    with pytest.raises(BadInput) as refused:
        provider(name).change_segments(plan, tmp_path)
    expected = f"nodes of provider {name} can't become another lab's while they run"
    assert refused.value.message == expected
    assert refused.value.hint == "underlay down  and  underlay up LAB"


def test_virtualbox_shows_nobody_its_switch(tmp_path: Path) -> None:
    by = provider("virtualbox")
    for refuses in (by.at_switch, by.at_external_hosts):
        with pytest.raises(BadInput, match="VirtualBox keeps its switch to itself") as refused:
            refuses(tmp_path, ["true"])
        assert refused.value.hint == "underlay exec NODE -- …"
