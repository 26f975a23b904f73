"""A lab file mirrors what a survey found: lint takes it, and it says what the switch does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from underlay.errors import BadInput
from underlay.lint.loaded import load_bytes
from underlay.observe.survey.lab_file import lab_text
from underlay.observe.survey.model import Group, Link
from unit.observe.survey.test_sentences import survey

BOTH_PASS = {10: ["a1:eth1=10", "a2:eth1=10"]}


def lab(text: str) -> dict[str, Any]:
    loaded = load_bytes(Path("rack.yml"), "rack.yml", text.encode())
    assert loaded.errors == [], text
    found: dict[str, Any] = YAML(typ="safe").load(text)
    return found


@pytest.mark.parametrize(
    ("port", "wanted"),
    [
        ({"vlans": BOTH_PASS}, {}),
        ({"vlans": BOTH_PASS, "sources": (0, 4)}, {"locked": True}),
        ({"vlans": BOTH_PASS, "reflected": (5, 5)}, {"hairpin": True}),
        ({"vlans": BOTH_PASS, "reflected_own": (5, 5)}, {"hairpin": True}),
        ({"vlans": BOTH_PASS, "returned": (0, 4)}, {"locked": True}),
        ({"vlans": BOTH_PASS, "largest": 1404}, {"mtu": 1404}),
        ({"vlans": BOTH_PASS, "group6": (0, 1)}, {"snooping": True, "unknown_multicast": "drop"}),
        ({"vlans": BOTH_PASS, "strangers4": (0, 1)}, {"snooping": True, "querier": True}),
        ({}, {"ports": {"a1": {"access": 1}, "a2": {"access": 1}}}),
        (
            {"vlans": BOTH_PASS, "reaches": []},
            {"ports": {n: {"trunk": [10]} for n in ("a1", "a2")}},
        ),
    ],
)
def test_each_policy_is_in_the_words_of_a_lab(
    port: dict[str, object], wanted: dict[str, object]
) -> None:
    found = lab(lab_text(survey(**port), "rack"))
    segment = found["segments"]["lan"]
    assert {key: value for key, value in segment.items() if key != "subnet"} == wanted
    (network,) = found["networks"].values()
    assert network["driver"] == ("ipvlan" if "locked" in wanted else "macvlan")
    assert found["nodes"]["names"] == ["a1", "a2"]


def test_a_trunk_with_a_native_vlan_and_an_access_port_of_it() -> None:
    seen = survey()
    trunk = seen.ports[0].model_copy(update={"vlans": {10: ["a2:eth1=none"]}, "reaches": []})
    access = seen.ports[1].model_copy(update={"vlans": {0: ["a1:eth1=10"], 10: []}, "reaches": []})
    found = lab(lab_text(seen.model_copy(update={"ports": [trunk, access]}), "rack"))
    ports = found["segments"]["lan"]["ports"]
    assert ports == {"a1": {"trunk": [10]}, "a2": {"access": 10}}


def test_ports_that_are_meant_to_be_one_segment_are_kept_apart() -> None:
    seen = survey(reaches=[], vlans={}, sources=None, returned=None)
    group = Group(name="lan", stated=True, ports=["a1:eth1", "a2:eth1"])
    found = lab(lab_text(seen.model_copy(update={"groups": [group]}), "rack"))
    segment = found["segments"]["lan"]
    assert {key: value for key, value in segment.items() if key != "subnet"} == {"isolated": True}


def test_of_ports_that_are_kept_apart_nothing_is_said_of_tags_that_were_asked() -> None:
    seen = survey(reaches=[], vlans={10: []}, sources=None, returned=None)
    group = Group(name="lan", stated=True, ports=["a1:eth1", "a2:eth1"], vlans=[10])
    found = lab(lab_text(seen.model_copy(update={"groups": [group]}), "rack"))
    assert "ports" not in found["segments"]["lan"]


def test_addresses_and_names_are_kept_where_a_lab_can_have_them() -> None:
    seen = survey(vlans=BOTH_PASS)
    machines = []
    for number, one in enumerate(seen.machines, 1):
        link = one.links[0].model_copy(
            update={"name": "ens3", "addresses": [f"10.9.0.{number}/24"]}
        )
        machines.append(one.model_copy(update={"links": [link]}))
    ports = [
        port.model_copy(
            update={
                "nic": "ens3",
                "reaches": [one.replace("eth1", "ens3") for one in port.reaches],
                "vlans": {10: [one.replace("eth1", "ens3") for one in port.vlans[10]]},
            }
        )
        for port in seen.ports
    ]
    group = Group(name="ens3", ports=["a1:ens3", "a2:ens3"], vlans=[10])
    update = {"machines": machines, "ports": ports, "groups": [group]}
    found = lab(lab_text(seen.model_copy(update=update), "rack"))
    assert found["segments"]["ens3"] == {"subnet": "10.9.0.0/24", "interface": "ens3"}
    assert found["nodes"]["interfaces"]["a2"] == {"ens3": {"addresses": ["10.9.0.2/24"]}}


def test_a_name_that_no_lab_takes_is_changed_and_what_it_cannot_say_is_told() -> None:
    seen = survey(vlans=BOTH_PASS, largest=9000, tried=9000, sources=(2, 4))
    text = lab_text(seen, "My Rack!")
    found = lab(text)
    assert found["name"] == "my-rack"
    assert "packets of 9000 bytes" in text
    assert "a limit of MAC addresses" in text


def test_macvtap_reflects_and_drops_multicast_of_which_a_lab_has_one() -> None:
    text = lab_text(
        survey(vlans=BOTH_PASS, returned=(0, 4), reflected_own=(5, 5), group6=(0, 1)), "rack"
    )
    segment = lab(text)["segments"]["lan"]
    wanted = {"locked": True, "snooping": True, "unknown_multicast": "drop"}
    assert {key: value for key, value in segment.items() if key != "subnet"} == wanted
    assert "ports that reflect in lan" in text
    assert "in lan what other MAC addresses send gets out" in text


def test_of_more_segments_than_a_lab_has_the_others_are_named() -> None:
    seen = survey(vlans=BOTH_PASS)
    (group,) = seen.groups
    many = [group.model_copy(update={"name": f"wire-{number}"}) for number in range(1, 11)]
    text = lab_text(seen.model_copy(update={"groups": many}), "rack")
    assert [*lab(text)["segments"]] == [f"wire-{number}" for number in range(1, 9)]
    assert "the segment wire-9, as it would be one too many; the segment wire-10" in text


def test_without_frames_or_a_second_machine_there_is_nothing_to_mirror() -> None:
    with pytest.raises(BadInput, match="needs --send"):
        lab_text(survey(sent=False), "rack")
    alone = survey().model_copy(update={"groups": [Group(name="lan", ports=["a1:eth1"])]})
    with pytest.raises(BadInput, match="no two machines"):
        lab_text(alone, "rack")


def test_a_bridge_gives_its_port_its_addresses() -> None:
    seen = survey(vlans=BOTH_PASS, links={"name": "eth1", "master": "br0"})
    one = seen.machines[0]
    bridge = Link(name="br0", kind="bridge", addresses=["10.9.0.1/24"])
    machines = [one.model_copy(update={"links": [*one.links, bridge]}), seen.machines[1]]
    found = lab(lab_text(seen.model_copy(update={"machines": machines}), "rack"))
    assert found["nodes"]["interfaces"]["a1"] == {"eth1": {"addresses": ["10.9.0.1/24"]}}
