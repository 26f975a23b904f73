"""What changed between two surveys is named; what comes and goes by itself isn't."""

from __future__ import annotations

from pathlib import Path

import pytest

from underlay.cli.verbs.survey import command, stated, tags
from underlay.errors import BadInput
from underlay.survey import surveying
from underlay.survey.drift import Stable, drift, stable
from underlay.survey.model import Answer, Link, Sender, Survey
from underlay.survey.surveying import Wanted
from unit.survey.test_sentences import machine, survey


def changed(seen: Survey, **more: object) -> Survey:
    return seen.model_copy(update=more)


def test_the_same_machines_have_not_drifted() -> None:
    seen = survey()
    assert drift(stable(seen), stable(changed(seen, seconds=9.0, frames=7))) == []
    assert Stable.model_validate_json(stable(seen).model_dump_json()) == stable(seen)


def test_what_containers_and_neighbours_do_is_no_drift() -> None:
    seen = survey()
    passing = [Link(name="veth1", kind="veth"), Link(name="mv0", kind="macvlan", parent="eth1")]
    one = seen.machines[0]
    busy = one.model_copy(
        update={"links": [*one.links, *passing], "routes": [{"dst": "10.9.0.0/24", "dev": "veth1"}]}
    )
    assert drift(stable(seen), stable(changed(seen, machines=[busy, seen.machines[1]]))) == []


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ({"mtu": 1400}, "a1: eth1: MTU: 1500 before, 1400 now."),
        ({"up": False}, "a1: eth1: up: yes before, no now."),
        ({"carrier": False}, "a1: eth1: carrier: yes before, no now."),
        ({"owner": "NetworkManager"}, "a1: eth1: owner: none before, NetworkManager now."),
        ({"addresses": ["10.0.0.1/24"]}, "a1: eth1: addresses: none before, 10.0.0.1/24 now."),
        ({"master": "br0"}, "a1: eth1: master: none before, br0 now."),
        ({"name": "eth9"}, "a1: eth1 is gone."),
    ],
)
def test_a_link_that_changed_is_named(link: dict[str, object], words: str) -> None:
    assert words in drift(stable(survey()), stable(survey(links=link)))


@pytest.mark.parametrize(
    ("port", "words"),
    [
        ({"sources": (0, 4)}, "lan: several MAC addresses: yes before, no now."),
        ({"largest": 1400}, "lan: largest packet: 1500 before, 1400 now."),
        ({"reflected": (5, 5)}, "lan: reflection: no before, yes now."),
        ({"group6": (0, 1)}, "lan: IPv6 multicast: yes before, no now."),
        ({"vlans": {10: ["a1:eth1=10", "a2:eth1=10"]}}, "lan: VLAN 10: no before, yes now."),
        ({"reaches": []}, "lan: frames between all of its ports: yes before, no now."),
    ],
)
def test_a_port_that_lets_other_things_through_is_named(
    port: dict[str, object], words: str
) -> None:
    assert words in drift(stable(survey()), stable(survey(**port)))


def test_what_only_one_of_them_looked_at_is_not_compared() -> None:
    assert drift(stable(survey()), stable(survey(sent=False))) == []
    assert drift(stable(survey(sent=False)), stable(survey(largest=1400))) == []


def test_machines_that_went_or_could_not_be_read_are_no_changes_of_links() -> None:
    seen = survey()
    fewer = changed(seen, machines=seen.machines[:1])
    assert drift(stable(seen), stable(fewer)) == []
    more = changed(seen, machines=[*seen.machines, machine("a3")])
    assert drift(stable(seen), stable(more)) == ["a3 is new in the inventory."]


def test_routes_duplicates_and_senders_are_compared() -> None:
    seen = survey()
    one = seen.machines[0].model_copy(
        update={"routes": [{"dst": "default", "gateway": "10.0.0.254", "dev": "eth1"}]}
    )
    routed = changed(seen, machines=[one, seen.machines[1]])
    assert drift(stable(seen), stable(routed)) == [
        "a1: the route default via 10.0.0.254 dev eth1 is new."
    ]
    macs = ["02:00:00:00:00:01", "02:aa:00:00:00:01"]
    answer = Answer(address="10.0.0.1", owner="a1:eth1", asked_from="a2:eth1", macs=macs)
    twice = changed(seen, answers=[answer])
    assert drift(stable(seen), stable(twice)) == [
        f"10.0.0.1 is answered for by {' and '.join(macs)} now."
    ]
    assert drift(stable(twice), stable(seen)) == ["10.0.0.1 is answered for by one alone now."]
    sender = Sender(kind="DHCP offer", at="a1:eth1", mac="02:00:00:00:00:fe", address="10.0.0.9")
    quiet, heard = changed(seen, listened=5.0), changed(seen, listened=5.0, senders=[sender])
    assert drift(stable(quiet), stable(heard)) == [
        "new: DHCP offer of 10.0.0.9 (02:00:00:00:00:fe) at a1:eth1."
    ]
    # Silence is no proof, unless it was asked.
    assert drift(stable(heard), stable(quiet)) == []
    asked = [stable(changed(one, asked=True)) for one in (heard, quiet)]
    assert len(drift(*asked)) == 1


def test_tags_and_segments_of_the_command_line() -> None:
    assert tags("10,20-22") == (10, 20, 21, 22)
    for wrong in ("0", "4095", "a", "10-", "1-100"):
        with pytest.raises(BadInput):
            tags(wrong)
    assert stated(["lan=eth1", "wan=a1:eth2,a2:ens3"]) == {
        "lan": [("", "eth1")],
        "wan": [("a1", "eth2"), ("a2", "ens3")],
    }
    for wrong in (["lan"], ["=eth1"], ["lan="], ["lan=a1:"], ["lan=eth1", "lan=eth2"]):
        with pytest.raises(BadInput):
            stated(wrong)


def test_a_baseline_that_is_none_is_refused_before_any_machine_is_reached(tmp_path: Path) -> None:
    file = tmp_path / "old.json"
    for content in ("", "{}", '{"document": "underlay survey"}'):
        file.write_text(content)
        with pytest.raises(BadInput) as raised:
            command(inventory=tmp_path / "nothing.yml", baseline=file)
        assert str(file) in raised.value.message
    with pytest.raises(BadInput) as raised:
        command(inventory=tmp_path / "nothing.yml", vlans="10")
    assert "--vlans needs --send" in raised.value.message


def test_a_segment_of_a_machine_that_is_not_in_the_inventory_is_refused() -> None:
    def start(machine: str, *more: object) -> object:
        raise OSError(f"{machine} isn't there")

    wanted = Wanted(segments={"lan": [("a9", "eth1")]})
    with pytest.raises(BadInput, match="found a9, expected a machine of the inventory") as raised:
        surveying.survey(start, ["a1", "a2"], wanted)  # type: ignore[arg-type]
    assert "a1" in str(raised.value.hint)
