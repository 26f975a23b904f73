"""Two labs compared: each kind of change is found, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from underlay.errors import BadInput
from underlay.expect import predict
from underlay.lab.text import LabText, text_of
from underlay.lint.loaded import Loaded, load_bytes
from underlay.plan import Plan
from underlay.proof.difference.blocks import SAME_NODE, grouped
from underlay.proof.difference.cells import Difference, compare
from underlay.proof.difference.keys import NOTHING, differing_keys
from underlay.proof.difference.labs import LabPair
from underlay.proof.difference.results import lab_difference
from underlay.storage.paths import root

LAB = """\
name: mine
nodes: 2
segments:
  lan: {subnet: 192.168.70.0/24}
  wan: {subnet: 192.168.80.0/24}
networks:
  lannet: {driver: macvlan, segment: lan, subnet: 10.1.1.0/24}
  ipnet: {driver: ipvlan, segment: wan, subnet: 10.2.1.0/24}
containers:
  - {count: 2, networks: [lannet]}
  - {count: 1, networks: [ipnet]}
"""
# Children of macvlan pass no hook of their node: the filter is in the container itself.
DROP = "filters:\n  - {on: lannet-1a, protocol: tcp, port: 5432, action: drop}\n"


def loaded(text: str) -> Loaded:
    return load_bytes(Path("mine.yml"), "mine.yml", text.encode())


def plan(text: str) -> Plan:
    return loaded(text).plan


def changed(*replacements: tuple[str, str], lab: str = LAB) -> str:
    for old, new in replacements:
        assert old in lab
        lab = lab.replace(old, new)
    return lab


def difference(*replacements: tuple[str, str]) -> Difference:
    return compare(plan(LAB), plan(changed(*replacements)))


def by_hand(old: Plan, new: Plan) -> tuple[set[tuple[str, ...]], set[tuple[str, ...]]]:
    """Return the cells that only one of two labs reaches, without the code that is tested."""
    before, now = (
        {(c.source, c.destination, c.protocol, str(c.family)) for c in predict(p) if c.reachable}
        for p in (old, new)
    )
    return before - now, now - before


def named(found: Difference, what: str) -> set[tuple[str, ...]]:
    return {
        (c.source, c.destination, c.cell.protocol, str(c.cell.family))
        for c in found.changes
        if c.what == what
    }


def test_equal_labs_have_no_difference() -> None:
    found = difference()
    assert not found.any
    assert found.cells == found.same == len(predict(plan(LAB)))
    assert grouped(found) == []
    assert differing_keys(text(LAB), text(LAB)) == []


@pytest.mark.parametrize("name", ["coreos", "seen", "filters", "cluster-ipam", "external-server"])
def test_a_shipped_lab_is_as_it_is(name: str) -> None:
    file = root() / "labs" / f"{name}.yml"
    content = file.read_bytes()
    old, new = (load_bytes(file, name, content) for _ in range(2))
    result = lab_difference(LabPair(name, old, new))
    assert not result.any
    assert not result.keys
    assert result.same == result.cells


def test_what_is_in_a_comment_or_a_description_is_no_difference_of_cells() -> None:
    found = difference(("name: mine\n", "name: mine\ndescription: another  # word\n"))
    assert not found.any
    assert found.cells


@pytest.mark.parametrize(
    "replacements",
    [
        [("driver: macvlan,", "driver: macvlan, mode: private,")],
        [("segment: wan,", "segment: lan,")],
        [("driver: ipvlan,", "driver: ipvlan, mode: l3,")],
        [("driver: macvlan, segment: lan", "driver: bridge, segment: lan")],
        [("count: 1", "count: 2")],
        [("count: 2", "count: 1"), ("nodes: 2", "nodes: 3")],
        [("subnet: 10.1.1.0/24", "subnet: 10.1.1.0/24, subnet6: 'fd00:1::/64'")],
    ],
)
def test_what_is_gained_and_lost_is_what_only_one_lab_reaches(
    replacements: list[tuple[str, str]],
) -> None:
    old, new = plan(LAB), plan(changed(*replacements))
    found, back = compare(old, new), compare(new, old)
    lost, gained = by_hand(old, new)
    assert (named(found, "lost"), named(found, "gained")) == (lost, gained)
    assert lost or gained or named(found, "changed")
    # The way back is the same with the signs turned round.
    assert (named(back, "lost"), named(back, "gained")) == (gained, lost)
    assert named(back, "changed") == named(found, "changed")
    assert found.cells == back.cells
    assert found.same == back.same


def test_an_unreachable_cell_that_stops_elsewhere_is_changed() -> None:
    found = difference(("segment: wan,", "segment: lan,"))
    assert found.of("changed")
    for change in found.changes:
        if change.what == "changed":
            assert change.old is not None
            assert change.new is not None
            assert not change.old.reachable
            assert not change.new.reachable
            before, now = ((c.stop, c.rule) for c in (change.old, change.new))
            assert before != now
    assert not difference(("count: 1", "count: 2")).of("changed")


def test_values_are_compared_where_a_lab_asks_for_them() -> None:
    checks = ("name: mine\n", "name: mine\nchecks: [source, pmtu]\n")
    old = plan(changed(checks))
    new = plan(
        changed(
            checks, ("wan: {subnet: 192.168.80.0/24", "wan: {mtu: 1400, subnet: 192.168.80.0/24")
        )
    )
    found = compare(old, new)
    values = [change for change in found.changes if change.cell.kind == "value"]
    assert values
    assert {change.cell.protocol for change in values} == {"pmtu"}
    for change in values:
        assert change.what == "changed"
        assert (change.old and change.old.value, change.new and change.new.value) == (
            "1500",
            "1400",
        )
    assert not compare(old, old).changes


def test_a_check_or_port_that_only_one_lab_asks_for_is_asked_of_both() -> None:
    asked = difference(("name: mine\n", "name: mine\nprotocols: [icmp, 'tcp:5432']\n"))
    assert not asked.changes
    assert asked.cells > len(predict(plan(LAB)))
    # The port is refused now, for nobody listens there; the filter alone would not show.
    protocols = ("name: mine\n", "name: mine\nprotocols: [icmp, 'tcp:5432']\n")
    dropped = difference(protocols, ("containers:\n", f"{DROP}containers:\n"))
    assert {change.cell.protocol for change in dropped.changes} == {"tcp:5432"}
    assert dropped.of("changed")


def test_ends_that_come_and_go_take_their_cells_with_them() -> None:
    found = difference(("count: 1, networks: [ipnet]", "count: 2, networks: [ipnet]"))
    assert [end.name for end in found.come] == ["ipnet-1b", "ipnet-2b"]
    assert not found.go
    assert not found.of("lost")
    come = {end.name for end in found.come}
    for change in found.changes:
        assert not change.stays
        assert {change.source, change.destination} & come
    back = compare(found.new.prediction.plan, found.old.prediction.plan)
    assert [end.name for end in back.go] == ["ipnet-1b", "ipnet-2b"]
    assert back.of("lost") == found.of("gained")
    assert back.of("went") == found.of("came")


def test_a_container_that_joins_a_second_network_stays_who_it_is() -> None:
    found = difference(("networks: [lannet]", "networks: [lannet, ipnet]"))
    renamed = {old.name: new.name for old, new in found.moved}
    assert renamed == {
        end.name: f"{end.name}@lannet" for end in found.old.ends.values() if end.network == "lannet"
    }
    # The third container in ipnet has the name of the third now, wherever it stood before.
    assert {end.network for end in found.go} <= {"ipnet"}
    between = [
        change
        for change in found.changes
        if change.stays and "lannet" in change.source and "lannet" in change.destination
    ]
    assert not [change for change in between if change.what == "lost"]


def test_an_address_that_changes_moves_an_end_and_loses_nothing() -> None:
    found = difference(("10.1.1.0/24", "10.1.9.0/24"))
    assert {end.network for end, _ in found.moved} == {"lannet"}
    assert {new.address.rpartition(".")[0] for _, new in found.moved} == {"10.1.9"}
    assert not found.changes
    assert found.any


def test_cells_that_fare_alike_are_one_line() -> None:
    found = difference(("driver: macvlan,", "driver: macvlan, mode: private,"))
    (group,) = grouped(found)
    (block,) = group.blocks
    assert (group.what, group.stays) == ("lost", True)
    assert (block.source, block.destination, block.where) == ("lannet", "lannet", SAME_NODE)
    assert block.whole
    assert block.protocols == ()
    assert group.cells == len(block.changes) == found.lost
    assert group.now.rule == "macvlan-private-siblings"
    assert group.now.because


def test_every_changed_cell_is_in_one_block_and_no_other_is() -> None:
    for replacements in (
        [("segment: wan,", "segment: lan,")],
        [("driver: ipvlan,", "driver: ipvlan, mode: l3,"), ("count: 1", "count: 2")],
    ):
        found = difference(*replacements)
        inside = [c for group in grouped(found) for block in group.blocks for c in block.changes]
        assert len(inside) == len(set(map(id, inside)))
        assert {id(c) for c in inside} == {id(c) for c in found.changes if c.cell.kind == "reach"}
        for group in grouped(found):
            for block in group.blocks:
                assert len(block.changes) <= block.of


def test_a_block_of_which_some_cells_change_says_how_many() -> None:
    drop = "filters:\n  - {on: lannet-1a, protocol: tcp, action: drop}\n"
    found = difference(("containers:\n", f"{drop}containers:\n"))
    assert {change.cell.protocol for change in found.changes} == {"tcp"}
    for group in grouped(found):
        for block in group.blocks:
            assert block.protocols == ("tcp",)
            assert {"lannet-1a"} <= {c.source for c in block.changes} | {
                c.destination for c in block.changes
            }
    assert not all(block.whole for group in grouped(found) for block in group.blocks)


def test_a_filter_s_line_alone_is_no_change() -> None:
    """The reason of a filtered cell may tell the line, which moves with any line above it."""
    drop = "filters:\n  - {on: lannet-1a, protocol: tcp, action: drop}\n"
    one = changed(("containers:\n", f"{drop}containers:\n"))
    moved = changed(("containers:\n", f"# one\n# two\n{drop}containers:\n"))
    old, new = loaded(one), loaded(moved)
    assert not compare(old.plan, new.plan).changes
    assert not differing_keys(old.text, new.text)


def test_reasons_that_differ_in_their_place_alone_are_one_group_and_are_counted() -> None:
    """A filter's reason names the container that it is in."""
    drop = "filters:\n  - {on: [lannet-1a, lannet-2a], protocol: tcp, action: drop}\n"
    found = difference(("containers:\n", f"{drop}containers:\n"))
    told = [group for group in grouped(found) if group.now.rule == "filter-in"]
    assert told
    for group in told:
        reasons = {c.new.because for b in group.blocks for c in b.changes if c.new}
        assert group.now.because in reasons
        assert group.now.further == len(reasons) - 1
    assert any(group.now.further for group in told)


def text(lab: str) -> LabText:
    return text_of("mine.yml", lab)


def keys(*replacements: tuple[str, str]) -> list[tuple[str, object, object, int, int]]:
    found = differing_keys(text(LAB), text(changed(*replacements)))
    return [(k.path, k.old, k.new, k.old_line, k.new_line) for k in found]


def test_a_value_that_differs_is_named_with_both_lines() -> None:
    assert keys(("name: mine\n", "name: mine\ndescription: x\n"), ("nodes: 2", "nodes: 3")) == [
        ("description", NOTHING, "x", 0, 2),
        ("nodes", 2, 3, 2, 3),
    ]


def test_a_key_that_is_gone_has_no_line_in_the_new_file() -> None:
    assert keys(("  wan: {subnet: 192.168.80.0/24}\n", "")) == [
        ("segments.wan", {"subnet": "192.168.80.0/24"}, NOTHING, 5, 0)
    ]


def test_an_item_that_comes_first_does_not_move_the_others() -> None:
    added = "containers:\n  - {count: 3, networks: [lannet, ipnet]}\n"
    item = {"count": 3, "networks": ["lannet", "ipnet"]}
    assert keys(("containers:\n", added)) == [("containers[0]", NOTHING, item, 0, 10)]


def test_one_item_of_a_list_that_differs_is_looked_into() -> None:
    assert keys(("count: 1", "count: 4")) == [("containers[1].count", 1, 4, 11, 11)]


def test_values_of_other_types_differ_though_they_look_alike() -> None:
    assert keys(("nodes: 2", "nodes: '2'")) == [("nodes", 2, "2", 2, 2)]
    assert keys(("nodes: 2", "nodes: true")) == [("nodes", 2, True, 2, 2)]


def test_order_and_comments_are_no_difference() -> None:
    swapped = LAB.replace("driver: macvlan, segment: lan", "segment: lan, driver: macvlan")
    assert differing_keys(text(LAB), text(f"# {swapped}".replace("# name", "# a\nname"))) == []


def by_keys(old: str, new: str) -> dict[str, list[list[str]]]:
    """Return for each rule that decides now the keys that alone make its groups."""
    result = lab_difference(LabPair("", loaded(old), loaded(new)))
    assert result.group_keys is not None
    told: dict[str, list[list[str]]] = {}
    for group, keys in zip(result.groups, result.group_keys, strict=True):
        paths = [key.path for key in keys.alone]
        told.setdefault(group.now.rule, []).append([*paths, *(["together"] * keys.together)])
    return told


def test_each_group_is_told_by_the_key_that_makes_it() -> None:
    new = changed(
        ("nodes: 2", "description: idle\nnodes: 2"),
        ("driver: macvlan,", "driver: macvlan, mode: private,"),
        ("wan: {subnet: 192.168.80.0/24", "wan: {isolated: true, subnet: 192.168.80.0/24"),
    )
    told = by_keys(LAB, new)
    assert told.pop("macvlan-private-siblings") == [["networks.lannet.mode"]]
    assert told
    for rule, keys in told.items():
        assert rule.startswith("isolated")
        assert keys == [["segments.wan.isolated"]] * len(keys)


def test_what_only_two_keys_together_do_is_by_neither() -> None:
    filters = """\
filters:
  - {on: lannet-1a, protocol: tcp, from: lannet-2a, action: accept}
  - {on: lannet-1a, protocol: tcp, from: lannet, action: accept}
  - {on: lannet-1a, protocol: tcp, action: drop}
"""
    old = changed(("containers:\n", f"{filters}containers:\n"))
    first, second = filters.splitlines(keepends=True)[1:3]
    both = by_keys(old, old.replace(first, "").replace(second, ""))
    # Without the second alone whom the first doesn't name is kept out; for lannet-2a it takes both.
    assert both["filter-in"] == [["filters[1]", "together"], ["filters[1]"]]
    alike = old.replace("from: lannet,", "from: lannet-2a,")
    gone = alike.replace(first, "").replace(second.replace("lannet,", "lannet-2a,"), "")
    assert by_keys(alike, gone)["filter-in"] == [["together"]]
    one = by_keys(old, old.replace(second, ""))
    assert {tuple(key) for keys in one.values() for key in keys} == {("filters[1]",)}
    assert not lab_difference(LabPair("", loaded(old), loaded(old.replace(first, "")))).groups


def test_a_key_that_is_no_lab_alone_is_not_blamed() -> None:
    """Mode l3 is ipvlan's alone: neither key makes a lab without the other but driver."""
    new = changed(("driver: macvlan,", "driver: ipvlan, mode: l3,"))
    told = by_keys(LAB, new)
    assert told
    paths = {path for keys in told.values() for key in keys for path in key}
    assert "networks.lannet.mode" not in paths


def test_of_many_keys_or_cells_none_is_tried() -> None:
    filters = "filters:\n" + "".join(
        f"  - {{on: lannet-1a, protocol: tcp, port: {port}, action: drop}}\n"
        for port in range(1, 11)
    )
    old = changed(("containers:\n", f"{filters}containers:\n"))
    new = old.replace("macvlan,", "macvlan, mode: private,").replace(
        "on: lannet-1a", "on: lannet-1b"
    )
    result = lab_difference(LabPair("", loaded(old), loaded(new)))
    assert result.groups
    assert result.group_keys is None


def test_trying_keys_changes_nothing_of_the_labs() -> None:
    old, new = loaded(LAB), loaded(changed(("nodes: 2", "nodes: 3"), ("count: 2", "count: 1")))
    data = repr((old.text.data, new.text.data))
    assert lab_difference(LabPair("", old, new)).group_keys is not None
    assert repr((old.text.data, new.text.data)) == data


def test_a_lab_that_goes_loses_all_that_was_reachable(make: Callable[[str], LabPair]) -> None:
    gone, come = make("gone"), make("come")
    reachable = sum(cell.reachable and cell.kind == "reach" for cell in predict(plan(LAB)))
    assert lab_difference(gone).counts["lost"] == reachable
    assert lab_difference(come).counts["lost"] == 0
    assert lab_difference(come).counts["gained"] == reachable
    assert lab_difference(come).any


@pytest.fixture
def make() -> Callable[[str], LabPair]:
    lab = loaded(LAB)
    return lambda which: LabPair(
        "mine.yml", lab if which == "gone" else None, lab if which == "come" else None
    )


def test_a_file_that_is_no_lab_is_refused_under_its_own_name() -> None:
    with pytest.raises(BadInput, match=r"HEAD~1:mine\.yml:1:1: found an empty file"):
        load_bytes(Path("mine.yml"), "HEAD~1:mine.yml", b"")
    with pytest.raises(BadInput, match="more than 1 MiB"):
        load_bytes(Path("mine.yml"), "mine.yml", b"#" * (1 << 21))
    with pytest.raises(BadInput, match="not UTF-8"):
        load_bytes(Path("mine.yml"), "mine.yml", b"\xff")


NAMED = changed(
    ("{count: 2, networks: [lannet]}", "{on: core-01, name: web, networks: [lannet, ipnet]}"),
    ("nodes: 2", "nodes: 2\nchecks: [broadcast, source]"),
)


def test_a_container_that_is_only_called_otherwise_is_renamed() -> None:
    found = compare(plan(NAMED), plan(changed(("name: web", "name: www"), lab=NAMED)))
    assert (found.changes, found.come, found.go) == ((), (), ())
    assert found.cells == found.same > 0
    assert {(old.name, new.name) for old, new in found.moved} == {
        ("web@lannet", "www@lannet"),
        ("web@ipnet", "www@ipnet"),
    }
    # It is the same the other way round, and with something else that changes beside it.
    mode = compare(
        plan(NAMED), plan(changed(("name: web", "name: www"), ("macvlan,", "ipvlan,"), lab=NAMED))
    )
    assert (mode.come, mode.go) == ((), ())
    # A list of who hears a broadcast names it as it is called now.
    heard = [c for c in mode.changes if c.cell.protocol == "broadcast" and c.old]
    assert not [c for c in heard if c.old and "web@lannet" in c.old.value]


@pytest.mark.parametrize(
    "replacements",
    [
        # On another node, in another network, at another address: somebody else.
        [("on: core-01, name: web", "on: core-02, name: www")],
        [("name: web, networks: [lannet, ipnet]", "name: www, networks: [lannet]")],
        [("name: web,", "name: www, addresses: {lannet: 10.1.1.200},")],
    ],
)
def test_another_container_by_another_name_comes_and_goes(
    replacements: list[tuple[str, str]],
) -> None:
    found = compare(plan(NAMED), plan(changed(*replacements, lab=NAMED)))
    assert "web" in {end.space for end in found.go}
    assert "www" in {end.space for end in found.come}
    assert found.lost


WANTED = """\
expect:
  - lannet-1a -> lannet-2a
  - lannet-1a -> lannet-1b icmp
  - ipnet -x lannet
"""


def statements(old: str, new: str) -> list[tuple[str, str, bool]]:
    """Return what became of each statement that isn't as before, and how it would stand with it."""
    result = lab_difference(LabPair("", loaded(old), loaded(new)))
    lost = [change for change in result.statements if change.what != "came"]
    assert result.any or not lost
    found = []
    for change in result.statements:
        would = change.would.word if change.would else ""
        assert change.loses == (would == "broken")
        found.append((change.what, would, result.breaks_intent))
    return found


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (WANTED, []),
        # Neither order nor spelling matters, nor does what is said twice.
        (
            "expect:\n  - {from: ipnet, to: lannet, never: true}\n"
            "  - lannet-1a ->  lannet-1b icmp\n"
            "  - lannet-1a -> lannet-2a\n  - lannet-1a -> lannet-2a\n",
            [],
        ),
        (WANTED.replace("  - ipnet -x lannet\n", ""), [("went", "kept", False)]),
        ("", [("went", "kept", False)] * 3),
        (f"{WANTED}  - lannet -x ipnet\n", [("came", "", False)]),
        (WANTED.replace("lannet-1b icmp", "lannet-1b tcp"), [("changed", "kept", False)]),
    ],
)
def test_statements_that_differ_are_told(now: str, expected: list[tuple[str, str, bool]]) -> None:
    assert statements(LAB + WANTED, LAB + now) == expected


def test_a_statement_that_goes_with_what_keeps_it_is_lost() -> None:
    private = changed(("driver: macvlan,", "driver: macvlan, mode: private,"))
    silent = WANTED.replace("  - lannet-1a -> lannet-1b icmp\n", "")
    assert statements(LAB + WANTED, private + silent) == [("went", "broken", True)]
    # The same where it says the contrary now, and where nothing is wanted any more.
    contrary = WANTED.replace("lannet-1a -> lannet-1b", "lannet-1a -x lannet-1b")
    assert statements(LAB + WANTED, private + contrary) == [("changed", "broken", True)]
    assert ("went", "broken", True) in statements(LAB + WANTED, private)


def test_that_nothing_is_unplanned_is_a_statement_that_may_go() -> None:
    wanted = f"{WANTED}  - unplanned: never\n"
    assert statements(LAB + wanted, LAB + wanted) == []
    assert statements(LAB + wanted, LAB + WANTED) == [("went", "", False)]
    assert statements(LAB + WANTED, LAB + wanted) == [("came", "", False)]


def test_what_was_broken_before_is_not_lost() -> None:
    forbidden = WANTED.replace("lannet-1a -> lannet-2a", "lannet-1a -x lannet-2a")
    result = lab_difference(LabPair("", loaded(LAB + forbidden), loaded(LAB)))
    assert {(one.before, one.would.word, one.loses) for one in result.statements if one.would} == {
        ("broken", "broken", False),
        ("kept", "kept", False),
    }
    assert not result.breaks_intent


def test_a_statement_whose_ends_are_gone_is_about_no_cell() -> None:
    fewer = changed(("count: 2", "count: 1"))
    silent = WANTED.replace("  - lannet-1a -> lannet-1b icmp\n", "")
    told = statements(LAB + WANTED, fewer + silent)
    assert ("went", "not measured", False) in told


def test_statements_of_a_lab_that_goes_go_with_it() -> None:
    lab = loaded(LAB + WANTED)
    gone = lab_difference(LabPair("mine.yml", lab, None))
    assert [(one.what, one.would) for one in gone.statements] == [("went", None)] * 3
    come = lab_difference(LabPair("mine.yml", None, lab))
    assert [one.what for one in come.statements] == ["came"] * 3
