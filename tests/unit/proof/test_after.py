"""What happens in production: what is asked for, what is told of it, and why cells fell silent."""

from __future__ import annotations

import json
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from underlay_node import again, cni, routes

from underlay.cli import after as verb
from underlay.cluster.happening import Done
from underlay.cluster.providers import provider
from underlay.errors import (
    EXIT_DIFFERS,
    EXIT_INFRASTRUCTURE,
    EXIT_OK,
    BadInput,
    Infrastructure,
    UnderlayError,
)
from underlay.expect import predict
from underlay.observe.evidence import Evidence
from underlay.observe.observation import Observation
from underlay.observe.on_node.packets import ARP_REPLY, arp_request
from underlay.observe.on_node.pinging import GRACE, Cell, announced
from underlay.observe.pinging import Seen, Went
from underlay.plan import Plan
from underlay.proof import after as happened
from underlay.proof.after import (
    Asked,
    Outcome,
    after,
    all_fine,
    asked_for,
    asked_pairs,
    changes_of,
    silent,
    words_of,
)
from underlay.proof.after_reasons import reasons
from underlay.proof.result import LabResult
from underlay.proof.runs.recording import Recording, recorded
from underlay.proof.runs.restoring import result_of
from underlay.proof.runs.saving import saved
from underlay.proof.runs.schema import Announcement, Event, Healed, NodeEvent, Run, SavedError
from underlay.report.after import after_document, after_text, head
from underlay.report.explained import run_explained_document, run_explained_text
from underlay.report.junit import junit_text
from underlay.report.run import Told
from underlay.report.run_page.page import page_text
from underlay.report.summary import markdown_text
from underlay.verdict import Verdict, judge
from unit.proof.test_runs import read_back, source
from unit.report.test_report import as_predicted, plan_of

MAC, OTHER = "02:00:00:00:00:01", "02:00:00:00:00:02"


def verdict_of(plan: Plan) -> Verdict:
    return judge("shown", "uml", predict(plan), Observation(tuple(as_predicted(plan)), {}, {}))


def seen_of(**spaces: list[dict[str, Any]]) -> Evidence:
    found = {name.replace("_", "-"): {"links": links} for name, links in spaces.items()}
    return Evidence({"core-01": {"spaces": found}})


def link(name: str, address: str = "", mac: str = MAC) -> dict[str, Any]:
    info = [{"local": address, "prefixlen": 24, "scope": "global"}] if address else []
    return {"ifname": name, "address": mac, "addr_info": info}


def healed(source: str, destination: str, seconds: float | None) -> Healed:
    return Healed(
        source=source, destination=destination, family=4, lost=5, after=0.5, healed=seconds
    )


def event_of(*silents: Healed, **more: Any) -> Event:
    node = NodeEvent(node="core-01", seconds=2.5, did=("done",), asked=9, silent=silents)
    return Event(**{"event": "recreate", "lab": "shown", "limit": 60.0, "nodes": (node,), **more})


def test_events_are_named_and_an_upgrade_has_a_file(tmp_path: Path) -> None:
    file = tmp_path / "new.yml"
    file.write_text("name: new\n")
    found = asked_for(["recreate", "reboot", f"upgrade={file}"])
    assert found == [Asked("recreate"), Asked("reboot"), Asked("upgrade", file)]


@pytest.mark.parametrize(
    ("word", "hint"),
    [("reebot", "reboot"), ("restrat", "restart"), ("upgrade=/no/such.yml", "underlay labs")],
)
def test_another_event_is_refused_with_the_nearest_one(word: str, hint: str) -> None:
    with pytest.raises(BadInput) as refused:
        asked_for([word])
    assert word in refused.value.message
    assert hint in refused.value.hint


def test_only_what_was_reachable_is_asked_meanwhile() -> None:
    plan = plan_of()
    asked = {
        (p.source.name, p.destination.name) for p in asked_pairs(plan, verdict_of(plan)).values()
    }
    assert ("lannet-1a", "lannet-2a") in asked
    assert ("lannet-1a", "ipnet-2a") not in asked
    assert ("lannet-1a", "core-01") not in asked


def test_a_gratuitous_arp_packet_is_told_from_a_question_and_an_answer() -> None:
    mac = bytes.fromhex(MAC.replace(":", ""))
    assert announced(arp_request(mac, "10.1.1.70", "10.1.1.70")) == ("10.1.1.70", MAC)
    assert announced(arp_request(mac, "10.1.1.70", "10.1.1.71")) is None
    assert announced(arp_request(mac, "0.0.0.0", "10.1.1.70")) is None
    assert announced(arp_request(mac, "0.0.0.0", "0.0.0.0")) is None
    reply = bytearray(arp_request(mac, "10.1.1.70", "10.1.1.70"))
    reply[21] = ARP_REPLY
    assert announced(bytes(reply)) == ("10.1.1.70", MAC)
    assert announced(b"short") is None


class NoSocket:
    """A namespace from which nothing gets away."""

    def __init__(self) -> None:
        self.icmp = {4: None}


def test_a_cell_is_fine_since_the_first_request_after_which_all_are_answered() -> None:
    cell = Cell(1, NoSocket(), "", "10.1.1.70")  # type: ignore[arg-type]
    for number in range(1, 7):
        cell.waiting[number] = number * 0.2
    cell.answer(1)
    assert cell.fine_since == 0.2
    cell.answer(5)
    cell.answer(6)
    cell.give_up(0.8 + GRACE + 0.01)
    # The second to the fourth are lost: it is fine since the fifth, which isn't heard of again.
    assert (cell.lost, cell.first_lost, cell.fine_since) == (3, 0.4, None)
    cell.waiting[7] = 1.4
    cell.answer(7)
    assert cell.fine_since == 1.4
    cell.forget()
    assert (cell.lost, cell.first_lost, cell.fine_since) == (0, None, None)


def test_who_never_answered_is_not_waited_for() -> None:
    seen = Seen(
        {1: Went(True, 3, 0.1, None), 2: Went(True, 3, 0.1, 2.0), 3: Went(False, 9, 0, None)}
    )
    assert silent(seen) == [1]


def test_who_has_just_begun_to_ask_is_not_taken_for_silent() -> None:
    assert not all_fine(Seen({1: Went(False, 0, None, None)}))
    assert not all_fine(Seen({1: Went(True, 2, 0.1, None)}))
    assert all_fine(Seen({1: Went(True, 2, 0.1, 1.5), 2: Went(True, 0, None, -0.2)}))


def test_what_containers_have_otherwise_is_told_by_interface() -> None:
    plan = plan_of()
    name = plan.containers[0].name.replace("-", "_")
    before = seen_of(**{name: [link("eth0", "20.1.1.65")]})
    now = seen_of(**{name: [link("eth0", "20.1.1.66", OTHER)]})
    found = [(c.what, c.before, c.now) for c in changes_of(plan, before, now)]
    assert found == [("address", "20.1.1.65", "20.1.1.66"), ("MAC address", MAC, OTHER)]
    assert [c.now for c in changes_of(plan, before, seen_of())] == ["", ""]
    assert changes_of(plan, before, before) == ()


@pytest.mark.parametrize("heard", [True, False], ids=["announced", "silent"])
def test_a_new_mac_address_behind_the_old_address_is_a_stale_neighbour(heard: bool) -> None:
    plan = plan_of()
    before = seen_of(core_01=[link("eth1")], lannet_1a=[link("eth0", "20.1.1.65")])
    now = seen_of(core_01=[link("eth1")], lannet_1a=[link("eth0", "20.1.1.65", OTHER)])
    said = Announcement(how="arp", address="20.1.1.65", mac=OTHER, container="lannet-1a", after=1.5)
    node = NodeEvent(
        node="core-01",
        seconds=1,
        silent=(healed("core-02", "lannet-1a", 31.5), healed("core-02", "lannet-1b", 0.0)),
        announced=(said,) if heard else (),
    )
    found = reasons(plan, before, now, changes_of(plan, before, now), [node])
    assert [(one.id, one.where, one.cells) for one in found] == [
        ("stale-neighbour", "lannet-1a", 1),
        ("away", "core-01", 1),
    ]
    assert (found[0].least, found[0].most, found[0].never) == (31.5, 31.5, 0)
    words = "announced by gratuitous ARP after 1.5 s" if heard else "nobody announced it"
    assert words in found[0].evidence[0]


def test_the_reasons_that_do_not_heal_are_told_by_what_is_gone() -> None:
    plan = plan_of()
    before = seen_of(
        core_01=[link("eth1"), link("sh-lannet"), link("vp-1")],
        lannet_1a=[link("eth0", "20.1.1.65")],
        lannet_1b=[link("eth0", "20.1.1.66")],
    )
    now = seen_of(core_01=[link("eth1")], lannet_1b=[link("eth0", "20.1.1.67")])
    silents = (
        healed("core-02", "lannet-1a", None),
        healed("core-02", "lannet-1b", None),
        healed("core-01", "lannet-2a", None),
    )
    node = NodeEvent(node="core-01", seconds=1, silent=silents, failed=("lannet-1a: no parent",))
    found = reasons(plan, before, now, changes_of(plan, before, now), [node])
    assert [(one.id, one.where, one.never) for one in found] == [
        ("not-started", "lannet-1a", 1),
        ("address-changed", "lannet-1b", 1),
        ("interface-lost", "core-01", 1),
    ]
    assert found[0].evidence == ("lannet-1a: no parent",)
    assert found[2].evidence == ("sh-lannet is gone",)
    # After an update the same silence has another reason where the new /usr lacks something.
    lacks = node.model_copy(update={"lacks": ("CNI macvlan isn't in it",)})
    first, *rest = reasons(plan, before, now, changes_of(plan, before, now), [lacks])
    assert (first.id, first.where, first.never) == ("usr-lacks", "lannet-1a", 1)
    assert first.evidence == ("CNI macvlan isn't in it", "lannet-1a: no parent")
    assert rest == list(found[1:])


@pytest.mark.parametrize(
    ("event", "strict", "code"),
    [
        (event_of(), True, EXIT_OK),
        (event_of(healed("a", "b", 3.0)), False, EXIT_OK),
        (event_of(healed("a", "b", 3.0)), True, EXIT_DIFFERS),
        (event_of(healed("a", "b", None)), False, EXIT_DIFFERS),
        (event_of(not_measured=2), False, EXIT_INFRASTRUCTURE),
    ],
)
def test_the_exit_code_is_about_what_is_lost(event: Event, strict: bool, code: int) -> None:
    verdict = replace(verdict_of(plan_of()), strict=strict, looked=None)
    result = LabResult(verdict, after=(event,))
    # Nobody has looked for what isn't planned, which alone is 3 with --strict.
    assert result.exit_code == (code or (EXIT_INFRASTRUCTURE if strict else EXIT_OK))


def test_what_happened_is_read_back_and_told_in_each_format(tmp_path: Path) -> None:
    plan = plan_of()
    event = event_of(healed("core-02", "lannet-1a", None), healed("core-03", "lannet-1a", 2.0))
    run = read_back(tmp_path, saved(source(plan), LabResult(verdict_of(plan), after=(event,))))
    assert result_of(run.labs[0]).after == (event,)
    assert head(event) == (
        "After recreate (containers made anew): 0 cells as before, 0 worse, 1 silent for a while"
        " and healed within 2.0 s, 1 silent and not healed within 60 s"
    )
    assert "core-01: done: 2.5 s; 2 of 9 cells fell silent, 1 for good" in str(
        after_text([event], width=100)
    )
    assert after_document([event])["after"][0]["nodes"][0]["silent"][1]["healed"] == 2.0
    assert after_document([]) == {}
    said = markdown_text(Told(run))
    assert "- **After recreate (containers made anew): 0 cells as before" in said
    assert "  - core-01: done: 2.5 s; 2 of 9 cells fell silent, 1 for good" in said
    explained = str(run_explained_text(Told(run), width=100, ascii_only=False))
    assert explained.startswith("After recreate (containers made anew): 0 cells as before")
    assert run_explained_document(Told(run))["after"] == after_document([event])["after"]
    page = page_text(Told(run))
    assert f"<h2>{head(run.labs[0].after[0])}</h2>" in page
    for one in run.labs[0].after[0].silent:
        told = "not in 60 s" if one.healed is None else f"{one.healed:.1f} s"
        assert f"{one.source} → {one.destination}</td><td>core-01</td>" in page
        assert f'<td class="number">{told}</td>' in page
    assert "After recreate" not in page_text(
        Told(read_back(tmp_path, saved(source(plan), LabResult(verdict_of(plan)))))
    )
    xml = junit_text(Told(run))
    assert "shown: after recreate" in xml
    assert "1 cell silent and not healed within 60 s" in xml


def state_of(plan: Plan, folder: Path) -> Any:
    return SimpleNamespace(lab=plan.lab, provider="uml", folder=folder, plan=lambda: plan)


@pytest.mark.parametrize("error", [Infrastructure, BadInput])
def test_an_event_that_fails_leaves_what_was_known_before_it(
    error: type[UnderlayError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of()
    state, verdict, kept = state_of(plan, tmp_path), verdict_of(plan), list[Outcome]()

    def one(state: Any, before: Verdict, asked: Asked, turns: list[NodeEvent], *_: Any) -> Any:
        turns.append(NodeEvent(node="core-01", seconds=1))
        if asked.event == "reboot":
            raise error("core-02 did not say what became of it", hint="underlay converge")
        return state, event_of(), replace(before, strict=True)

    monkeypatch.setattr(happened, "_one", one)
    asked = [Asked("recreate"), Asked("reboot"), Asked("restart")]
    outcome = after(state, verdict, asked, lambda _: None, keep=kept.append)
    assert [one.event for one in outcome.events] == ["recreate", "reboot"]
    assert [one.events for one in kept] == [outcome.events[:1]]
    failed = outcome.events[1]
    assert failed.error == SavedError(
        message="core-02 did not say what became of it", hint="underlay converge"
    )
    assert [node.node for node in failed.nodes] == ["core-01"]
    assert outcome.failed is not None
    assert outcome.failed.message.startswith("reboot: core-02 did not say")
    assert outcome.failed.exit_code == EXIT_INFRASTRUCTURE
    assert outcome.verdict.strict
    assert LabResult(outcome.verdict, after=outcome.events).exit_code == EXIT_INFRASTRUCTURE
    xml = junit_text(
        Told(read_back(tmp_path, saved(source(plan), LabResult(verdict, after=outcome.events))))
    )
    assert '<error message="core-02 did not say' in xml.replace("'", '"')


@pytest.mark.parametrize("as_json", [True, False])
def test_what_came_before_an_event_that_failed_is_told_and_kept(
    as_json: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan, runs = plan_of(), list[Run]()
    state, verdict = state_of(plan, tmp_path), verdict_of(plan)
    failed = event_of(event="reboot", error=SavedError(message="core-02 is lost", hint="down"))
    outcome = Outcome(
        state, plan, verdict, (event_of(), failed), failed=Infrastructure("reboot: core-02 is lost")
    )
    monkeypatch.setattr(verb, "running_state", lambda _: state)
    monkeypatch.setattr(verb, "source_of", lambda _: source(plan))
    proof = SimpleNamespace(verdict=verdict, explanation=None)
    monkeypatch.setattr(verb, "prove_lab", lambda *_, **__: proof)
    monkeypatch.setattr(happened, "after", lambda *_, **__: outcome)
    with recorded(Recording([runs.append], of="running"), print) as run:
        code = verb.check_running(
            None, [Asked("recreate")], run, healing=1, strict=False, as_json=as_json
        )
    said = capsys.readouterr()
    assert code == EXIT_INFRASTRUCTURE
    assert said.err.splitlines()[-1] == "error: reboot: core-02 is lost"
    if as_json:
        told = json.loads(said.out)["after"]
        assert [one["error"] and one["error"]["message"] for one in told] == [
            None,
            "core-02 is lost",
        ]
    else:
        assert "After reboot (nodes rebooted): it failed: core-02 is lost" in said.out
    assert runs[-1].error == SavedError(message="reboot: core-02 is lost")
    assert runs[-1].labs[0].after == outcome.events
    assert runs[-1].labs[0].cells


class Late:
    """A machine's pingers: they know that a cell is silent ``unsure`` seconds after the event."""

    unsure = 0.3
    failed: ClassVar[dict[str, str]] = {}

    def __init__(self, plan: Plan, spawn: object, pairs: dict[int, Any]) -> None:
        self.numbers, self.over = list(pairs), float("inf")

    def __enter__(self) -> Late:
        return self

    def __exit__(self, *_: object) -> None: ...

    def began(self) -> None: ...

    def ended(self) -> None:
        self.over = time.monotonic()

    def look(self) -> Seen:
        since = time.monotonic() - self.over
        lost = int(since >= self.unsure) * 3
        fine = 0.6 if since > 0.6 else None if lost else -5.0
        return Seen({number: Went(True, lost, 0.1, fine) for number in self.numbers})


def test_what_falls_silent_in_the_last_moment_of_a_turn_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A container that is there again within a second of the turn's end may have another MAC."""
    plan = plan_of()
    pairs = asked_pairs(plan, verdict_of(plan))
    monkeypatch.setattr(happened, "Pingers", Late)
    monkeypatch.setattr(happened, "turn", lambda *_: nullcontext())
    monkeypatch.setattr(happened, "spawn_as_root", lambda _: None)
    monkeypatch.setattr(happened, "happen", lambda *_: Done((), ()))
    state: Any = SimpleNamespace(lab="shown", plan=lambda: plan)
    event = happened._on_node(state, "recreate", "core-01", pairs, set(), lambda _: None, 5.0)
    towards = [one for one in event.silent if one.destination != "core-01"]
    assert towards
    assert {(one.lost, one.healed) for one in event.silent} == {(3, 0.6)}


def test_an_update_stops_at_the_node_that_does_not_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Locksmith's order: those behind it aren't touched, and what the lost one had is lost."""
    plan, asked = plan_of(), list[str]()
    (tmp_path / "lab.yml").write_text("")
    why = Infrastructure("core-01 did not come back", detail="no ssh", hint="underlay doctor")

    def one(state: Any, event: str, node: str, fixed: object, image: Path | None) -> Done:
        asked.append(f"{event} {node} {image}")
        return Done(("the node ends itself",), (), lost=why)

    monkeypatch.setattr(happened, "Pingers", Late)
    monkeypatch.setattr(happened, "turn", lambda *_: nullcontext())
    monkeypatch.setattr(happened, "spawn_as_root", lambda _: None)
    monkeypatch.setattr(happened, "look_into", lambda *_, **__: Evidence({}, {}))
    monkeypatch.setattr(happened, "happen", one)
    state = state_of(plan, tmp_path)
    state.file = str(tmp_path / "lab.yml")
    image = Path("next.ext4")
    outcome = after(state, verdict_of(plan), [Asked("update", image=image)], lambda _: None)
    assert asked == ["update core-01 next.ext4"]
    (event,) = outcome.events
    assert (event.event, event.image, event.file) == ("update", "next.ext4", "")
    (turn,) = event.nodes
    assert turn.lost == SavedError(
        message="core-01 did not come back", detail="no ssh", hint="underlay doctor"
    )
    assert {one.healed for one in turn.silent if one.source != "core-01"} >= {None}
    assert outcome.failed is not None
    rest = ", ".join(node.name for node in plan.nodes[1:])
    assert outcome.failed.message == (
        "update: core-01 did not come back, and the update stops with it; not updated, with the"
        f" /usr of before: {rest}"
    )
    assert outcome.failed.hint == "underlay doctor"
    said = after_text(outcome.events, width=200).plain
    assert "After update (nodes rebooted, one by one, with the /usr of next.ext4): it fail" in said
    assert "  core-01 did not come back\n" in said
    run = read_back(
        tmp_path, saved(source(plan), LabResult(verdict_of(plan), after=outcome.events))
    )
    assert "core-01 did not come back" in page_text(Told(run))


def test_a_reboot_is_refused_before_anything_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(provider("uml")), "can_reboot", False)
    with pytest.raises(BadInput, match="can't be rebooted"):
        verb._refuse("uml", [Asked("recreate"), Asked("reboot")], plan_of())
    verb._refuse("uml", [Asked("recreate")], plan_of())


def test_what_the_new_file_says_otherwise_is_no_loss_of_an_upgrade() -> None:
    plan = plan_of()
    planned = plan.containers[0].attachments[0].addresses[0].ip
    before = seen_of(core_01=[link("eth1"), link("sh-old")], lannet_1a=[link("eth0", "20.1.1.99")])
    now = seen_of(core_01=[link("eth1")], lannet_1a=[link("eth0", planned)])
    (changed,) = changes_of(plan, before, now)
    assert happened._as_planned(changed, plan)
    assert not happened._as_planned(changed.model_copy(update={"now": "20.1.1.98"}), plan)
    assert reasons(plan, before, now, [], [], switched=True) == ()
    gone = seen_of(core_01=[], lannet_1a=[link("eth0", planned)])
    assert [one.evidence for one in reasons(plan, before, gone, [], [], switched=True)] == [
        ("eth1 is gone",)
    ]


def test_the_head_line_counts_all_cells_and_says_which_are_only_stopped_elsewhere() -> None:
    def became(what: str, before: str, now: str) -> dict[str, Any]:
        cell = {"source": "a", "destination": "b", "protocol": "icmp", "family": 4}
        return {"what": what, "cell": cell, "before": before, "now": now}

    cells = (
        became("worse", "reachable", "unreachable (no_neighbour)"),
        became("worse", "unreachable (no_neighbour)", "unreachable (no_route)"),
        became("unknown", "reachable", "not measured"),
    )
    assert head(event_of(cells=cells, same=5)) == (
        "After recreate (containers made anew): 5 cells as before, 2 worse (1 unreachable as"
        " before, but stopped elsewhere), 1 not measured by now"
    )


def test_what_was_seen_of_a_cell_is_said_in_words() -> None:
    plan = plan_of()
    words = {words_of(cell) for cell in verdict_of(plan).cells}
    assert words == {"reachable", "unreachable (no_neighbour)"}
    assert words_of(None) == "not there"


def specified(runtime: str, **more: Any) -> dict[str, Any]:
    network = {"mode": "bridge", "own_mac": True, "ipam": "", **more}
    attachment = {"network": "net", "interface": "eth0", "address": "10.1.1.70/24", "mac": MAC}
    container = {"name": "web", "runtime": runtime, "attachments": [attachment]}
    return {"container": container, "networks": {"net": network}}


@pytest.mark.parametrize(
    ("runtime", "more", "fixed", "address", "mac"),
    [
        ("docker", {}, set(), True, True),
        ("cni", {}, {"10.1.1.70"}, False, True),
        ("podman", {}, {"10.1.1.70", MAC}, False, False),
        ("iproute2", {}, set(), False, True),
        ("cni", {"ipam": "static"}, set(), False, True),
        ("cni", {"ipam": "dhcp"}, set(), False, False),
        ("docker", {"slaac": True}, set(), True, False),
        ("docker", {"mode": "source"}, set(), True, False),
    ],
)
def test_what_nobody_fixes_is_left_to_the_runtime(
    runtime: str, more: dict[str, Any], fixed: set[str], address: bool, mac: bool
) -> None:
    one = specified(runtime, **more)
    opened = again.left_open(one, fixed)
    attachment = opened["container"]["attachments"][0]
    assert (attachment["open_address"], attachment["open_mac"]) == (address, mac)
    network = one["networks"]["net"]
    assert bool(routes.given(attachment, network)) is not address
    assert bool(routes.given_mac(attachment, network)) is not mac
    # What it is made from otherwise is as the plan has it.
    assert one["container"]["attachments"][0].keys() == {"network", "interface", "address", "mac"}


def test_what_host_local_wrote_down_before_a_boot_is_known_by_its_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cni, "LEASES", str(tmp_path))
    assert not cni._noted("web", "lannet")
    (tmp_path / "lannet").mkdir()
    (tmp_path / "lannet" / "10.1.1.70").write_bytes(b"web\r\neth0")
    (tmp_path / "lannet" / "last_reserved_ip.0").write_text("10.1.1.70")
    assert cni._noted("web", "lannet")
    assert not cni._noted("we", "lannet")
    assert not cni._noted("web", "other")
