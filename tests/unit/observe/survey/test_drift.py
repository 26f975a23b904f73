"""What changed between two surveys is named; what comes and goes by itself isn't."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from underlay.cli.verbs.survey import command, stated, tags
from underlay.errors import BadInput
from underlay.observe.survey import surveying
from underlay.observe.survey.drift import Stable, coverage, drift, stable
from underlay.observe.survey.model import Answer, Link, Machine, Sender, Survey
from underlay.observe.survey.surveying import Wanted
from unit.observe.survey.test_sentences import machine, survey


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


def test_what_was_compared_is_said_and_what_was_not() -> None:
    seen = survey()
    known = coverage(stable(seen), seen)
    assert (known.compared[0], known.left) == ("links and routes of a1, a2", [])
    assert "what their ports let through" in known.compared[1]
    read = coverage(stable(seen), survey(sent=False))
    assert read.compared == ["links and routes of a1, a2"]
    assert [one.rpartition(": ")[2] for one in read.left] == ["only the baseline sent frames"]
    (first,) = coverage(stable(survey(sent=False)), seen).left
    assert first.endswith(": only this survey sent frames")


def test_a_machine_or_a_port_of_which_only_one_survey_knows_is_named() -> None:
    seen = survey()
    fewer = changed(seen, machines=seen.machines[:1])
    assert coverage(stable(seen), fewer).left == ["a2: not in this survey"]
    failed = Machine(name="a2", failed="no route to host")
    unread = changed(seen, machines=[seen.machines[0], failed])
    assert coverage(stable(seen), unread).left == ["a2: it could not be read now"]
    others = changed(seen, machines=[machine("b1")], sent=False)
    assert coverage(stable(seen), others).compared == []
    unsized = survey(largest=None, tried=None)
    assert coverage(stable(seen), unsized).left == ["lan: largest packet: not known now"]
    assert coverage(stable(unsized), seen).left == [
        "lan: largest packet: not known in the baseline"
    ]


def test_that_a_router_is_gone_is_compared_only_where_both_asked_for_it() -> None:
    sender = Sender(kind="DHCP offer", at="a1:eth1", mac="02:00:00:00:00:fe", address="10.0.0.9")
    quiet, heard = survey(), changed(survey(), listened=5.0, senders=[sender])
    listened = changed(quiet, listened=5.0)
    (left,) = coverage(stable(heard), listened).left
    assert left == "which of 1 of these are gone: not both asked for them"
    asked = [changed(one, asked=True) for one in (heard, listened)]
    assert coverage(stable(asked[0]), asked[1]).left == []
    (left,) = coverage(stable(heard), quiet).left
    assert left.endswith("only the baseline listened")


def told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: Survey, new: Survey, **more: object
) -> int:
    """Return the verb's exit code where ``old`` was saved, and ``new`` is seen."""
    baseline = tmp_path / "rack.json"
    baseline.write_text(stable(old).model_dump_json())
    monkeypatch.setattr("underlay.observe.survey.inventory.survey_of", lambda *_, **__: new)
    try:
        command(inventory=Path("hosts.yml"), baseline=baseline, **more)  # type: ignore[arg-type]
    except typer.Exit as result:
        return result.exit_code
    return 0


def test_no_drift_is_claimed_of_what_was_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(tmp_path, monkeypatch, survey(), survey(sent=False)) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "rack.json: links and routes of a1, a2" in said
    assert "not compared: segments, what their ports let through" in said
    other = changed(survey(sent=False), machines=[machine("a3")], groups=[])
    assert told(tmp_path, monkeypatch, survey(), other) == 1
    assert "nothing drifted" not in capsys.readouterr().err
    none = changed(survey(sent=False), machines=[], groups=[])
    assert told(tmp_path, monkeypatch, survey(), none) == 3
    assert "could be compared" in " ".join(capsys.readouterr().err.split())


def test_a_survey_that_sent_nothing_names_the_command_that_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told(tmp_path, monkeypatch, survey(sent=False), survey(sent=False))
    assert "next: underlay survey -i hosts.yml --segment lan=eth1 --send" in capsys.readouterr().out
    told(tmp_path, monkeypatch, survey(), survey(), send=True)
    assert "next:" not in capsys.readouterr().out


def test_files_that_cannot_be_written_are_refused_before_any_machine_is_reached(
    tmp_path: Path,
) -> None:
    nothing, kept = tmp_path / "nothing.yml", tmp_path / "rack.json"
    kept.write_text("precious")
    for files, words in (
        ({"output": tmp_path / "nodir" / "x"}, "nodir/x: its folder isn't there"),
        ({"save": tmp_path / "nodir" / "x"}, "nodir/x: its folder isn't there"),
        ({"save": tmp_path}, "it is a folder"),
        ({"save": kept}, f"--save {kept}: it is there already"),
        ({"output": kept}, f"-o {kept}: it is there already"),
        ({"save": Path("/proc/x")}, "--save /proc/x: it can't be written"),
    ):
        with pytest.raises(BadInput, match=words):
            command(inventory=nothing, send=True, **files)  # type: ignore[arg-type]
    assert kept.read_text() == "precious"
    # With --force it is the inventory that isn't there.
    with pytest.raises(BadInput) as raised:
        command(inventory=nothing, save=kept, force=True)
    assert "nothing.yml" in raised.value.message


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
