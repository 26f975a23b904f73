"""Loops in shell scripts: taken as often as their words say, or refused by name; nothing is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from underlay.fleet.carried import carry
from underlay.fleet.document import Document
from underlay.fleet.folder import read_host
from underlay.fleet.formats.script import other_lines
from underlay.fleet.formats.shell import simple_commands, unread_loops
from underlay.fleet.host import Host
from underlay.lint.hosts import lint_hosts, refused

CREATE = (
    "docker network create -d macvlan --subnet 10.1.0.0/24 --ip-range 10.1.0.64/26 -o parent=eth1"
    " lan"
)


def host(folder: Path, *lines: str, head: str = "#!/bin/bash") -> Host:
    (folder / "up.sh").write_text("\n".join((head, CREATE, *lines, "")))
    return read_host("a", folder)


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("1 2 3", ["w1", "w2", "w3"]),
        ("a 'b' \"c\"", ["wa", "wb", "wc"]),
        ("{1..3}", ["w1", "w2", "w3"]),
        ("{3..1}", ["w3", "w2", "w1"]),
        ("{08..10}", ["w08", "w09", "w10"]),
        ("{1..9..4}", ["w1", "w5", "w9"]),
        ("{a..c}", ["wa", "wb", "wc"]),
        ("x{a,b}", ["wxa", "wxb"]),
        ("$(seq 2)", ["w1", "w2"]),
        ("$(seq 2 4)", ["w2", "w3", "w4"]),
        ("$(seq 1 2 5)", ["w1", "w3", "w5"]),
        ("`seq 2`", ["w1", "w2"]),
        ("$MANY", ["wp", "wq"]),
        ("$(seq $N)", ["w1", "w2"]),
        ("$(seq 1 $((N + 1)))", ["w1", "w2", "w3"]),
    ],
)
def test_a_loop_over_literal_words(words: str, names: list[str], tmp_path: Path) -> None:
    found = host(
        tmp_path,
        'MANY="p q"',
        "N=2",
        f"for i in {words}; do",
        "  docker run -d --name w$i --network lan nginx",
        "done",
    )
    assert [one.name for one in found.containers] == names
    assert {one.spot.line for one in found.containers} == {6}
    assert not [one for one in lint_hosts((found,)) if one.id == "script-loop-unread"]
    (document,) = found.documents
    assert list(other_lines(document)) == []


@pytest.mark.parametrize(
    "lines",
    [
        ["for i in 1 2; do docker run -d --name w$i --network lan --ip 10.1.0.$((70+i)) x; done"],
        [
            "for i in 1 2", "do", "docker run -d --name w$i --network lan --ip 10.1.0.7$i x", "done"
        ],
        [
            "for i in 1 2; do",
            'A=10.1.0.$((70 + $i)); docker run -d --name "w${i}" --net lan --ip $A x; done',
        ],
    ],
)  # fmt: skip
def test_its_variable_and_sums_are_filled_in(lines: list[str], tmp_path: Path) -> None:
    found = host(tmp_path, *lines)
    assert [(one.name, str(one.networks[0][1][0])) for one in found.containers] == [
        ("w1", "10.1.0.71"),
        ("w2", "10.1.0.72"),
    ]


def test_a_loop_in_a_loop_and_networks_in_one(tmp_path: Path) -> None:
    found = host(
        tmp_path,
        "for v in 10 20; do",
        "  docker network create -d macvlan --subnet 10.$v.0.0/24 -o parent=eth1.$v v$v",
        "  for i in a b; do docker run -d --name w$v$i --network v$v x; done",
        "done",
    )
    assert [one.parent for one in found.networks] == ["eth1", "eth1.10", "eth1.20"]
    assert [one.name for one in found.containers] == ["w10a", "w10b", "w20a", "w20b"]


def test_containers_without_a_name_are_as_many_as_turns(tmp_path: Path) -> None:
    found = host(tmp_path, "for i in 1 2 3; do docker run -d --network lan nginx; done")
    (one,) = found.containers
    assert (one.name, one.count) == ("line-3", 3)
    (group,) = carry((found,), {}, "lab").lab["containers"]
    assert group["count"] == 3


@pytest.mark.parametrize(
    ("head", "lines", "why"),
    [
        ("#!/bin/bash", ["for i in $(cat names); do"], "$(cat names) isn't known until it runs"),
        ("#!/bin/bash", ["for i in $NAMES; do"], "$NAMES isn't known until it runs"),
        ("#!/bin/bash", ['for i in "$@"; do'], '"$@" isn\'t known until it runs'),
        ("#!/bin/bash", ["for i in *.env; do"], "*.env isn't known until it runs"),
        ("#!/bin/bash", ["for ((i = 0; i < 3; i++)); do"], "how often a `for` like this is taken"),
        ("#!/bin/bash", ["while read i; do"], "how often a `while` like this is taken"),
        ("#!/bin/sh", ["for i in {1..3}; do"], "{1..3} is bash's, and a plain shell takes it"),
        ("#!/bin/bash", ["for i in $(seq 1 100000); do"], "it is taken more than 256 times"),
        ("#!/bin/bash", ["for i in {1..2}; do", "[ -e x ] && break"], "it may be left early"),
        ("#!/bin/bash", ["for i in 10 20 do"], "`do` is missing after it"),
    ],
)
def test_any_other_loop_is_refused_by_name(
    head: str, lines: list[str], why: str, tmp_path: Path
) -> None:
    end = ["docker run -d --name w$i --network lan nginx", "done"]
    found = host(tmp_path, *lines, *end, head=head)
    (said,) = [one for one in lint_hosts((found,)) if one.id == "script-loop-unread"]
    assert (said.severity, said.line) == ("error", 3)
    assert why in said.message
    assert "script-loop-unread" in {one.id for one in refused((found,))}
    assert len(found.containers) == 1
    comment = "# underlay: ignore script-loop-unread: one at a time"
    silenced = host(tmp_path, comment, *lines, *end, head=head)
    assert "script-loop-unread" not in {one.id for one in refused((silenced,))}


def test_a_loop_that_makes_nothing_is_nobodys_business(tmp_path: Path) -> None:
    found = host(tmp_path, "until docker info; do sleep 1; done", "for f in *; do echo $f; done")
    assert not [one for one in lint_hosts((found,)) if one.id == "script-loop-unread"]


def test_loops_in_loops_have_an_end() -> None:
    text = "#!/bin/bash\n" + "for i in {1..200}; do\n" * 4 + "ip link add x$i\n" + "done\n" * 4
    document = Document("up.sh", text)
    assert len(list(simple_commands(document))) <= 4000
    assert len(unread_loops(document)) <= 4


@pytest.mark.parametrize(
    "text",
    [
        "until until while x\n" * 400,
        "for i in 1; do\n" * 2000 + "docker run x\n",
        "while for i in `seq\ndone done\n for i in $((1/0)) {1..9..0} {0..99999999999}; do\ndone",
        "for i in $((9**9)) '\nselect x in\n",
    ],
)
def test_no_script_is_too_odd_to_be_read(text: str) -> None:
    document = Document("up.sh", f"#!/bin/bash\n{text}", kind="script")
    assert len(list(simple_commands(document))) <= 4000
    assert len(unread_loops(document)) <= 4000
    assert len(list(other_lines(document))) <= 4001


def test_nothing_is_run(tmp_path: Path) -> None:
    host(tmp_path, f"for i in $(touch {tmp_path}/ran; echo 1) $((1)); do", "docker run x", "done")
    assert not (tmp_path / "ran").exists()
