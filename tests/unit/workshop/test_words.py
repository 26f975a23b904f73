"""What a learner types: which command lines of Underlay it becomes, and that it is no others."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from underlay.cli import seat_shell
from underlay.cli.frame import verb_command
from underlay.cli.overview import summaries
from underlay.errors import BadInput, UnderlayError
from underlay.workshop import words
from underlay.workshop.course import Deed
from underlay.workshop.words import AT_SWITCH, OF_THE_LAB, WORDS, Places, command_lines, split

PLACES = Places(
    nodes=("core-01", "core-02"),
    containers=("lannet-1a", "lannet-2a"),
    segments=("lan",),
    devices=("core-01:eth1", "core-02:eth1"),
    hosts=("router",),
)
# What may stand behind the option of a word, and nothing else may.
ALLOWED = {
    ("trace", "--port"): "80",
    ("trace", "--protocol"): "icmp",
    ("capture", "--seconds"): "5",
    ("capture", "--count"): "5",
    ("capture", "--filter"): "arp",
}
# A use of each word that is well but for what a test adds.
USED = {
    "ssh": ["core-01"],
    "exec": ["core-01"],
    "trace": ["lannet-1a", "lannet-2a"],
    "capture": ["lan"],
    "switch": ["fdb"],
    "explain": [],
}
# Ends of words that a shell, click, ssh or tcpdump would take for something else.
HOSTILE = (
    "--", "-", "--lab", "--lab=x", "--json", "--output", "--output=/tmp/x", "-o", "-o/tmp/x",
    "--filter", "--filter=-w/tmp/x", "-w", "/tmp/x", "--tty", "-t", "--save=x", "--html", "--junit",
    "-oProxyCommand=id", "$(id)", "`id`", ";id", "&& id", "|id", "> /tmp/x", "< /etc/passwd", "*",
    "~", "~/.ssh", "../..", "\\", "'", '"', "'\"'\"'", "#", "!", "\x00", "\n", "\r", "\x1b[A", "…",
    "switch", "core-01", "core-02", "lannet-1a", "lan", "core-01:eth1", "CORE-01", "core-1", "",
    "--port", "--port=80", "--protocol", "tcp", "80", "=", "--=", "@", "lannet-1a@", "core-01;id",
    "router",
)  # fmt: skip
TYPED = st.one_of(
    st.text(max_size=60),
    st.lists(st.one_of(st.sampled_from([*WORDS, *HOSTILE]), st.text(max_size=12)), max_size=9).map(
        " ".join
    ),
    st.tuples(
        st.sampled_from(list(WORDS)),
        st.lists(st.one_of(st.sampled_from(HOSTILE), st.text(max_size=12)), max_size=7),
    ).map(lambda typed: " ".join((typed[0], *typed[1]))),
)


def parsed(arguments: list[str]) -> tuple[str, dict[str, Any]]:
    """Return the verb of a command line of Underlay, and its parameters as the verb gets them."""
    verb, *rest = arguments
    return verb, command_of(verb).make_context(verb, list(rest)).params


# Made anew for each line it would take most of the time.
command_of = cache(verb_command)


def prove_harmless(line: list[str]) -> None:
    """Prove that Underlay's own parser takes ``line`` for one that a learner may have."""
    verb, given = parsed(line)
    assert verb in ("exec", "trace", "capture", "explain")
    assert not given.get("lab")
    assert not given.get("as_json")
    if verb == "exec":
        assert not given["tty"]
        if given["target"] == "switch":
            assert tuple(given["arguments"]) in AT_SWITCH.values()
        else:
            assert given["target"] in PLACES.targets
    elif verb == "trace":
        assert {given["source"], given["destination"]} <= set(PLACES.targets)
    elif verb == "capture":
        assert str(given["output"]) == "-"
        assert given["target"] in PLACES.points
        assert 0 < given["seconds"] <= 60
        assert 0 < given["count"] <= 1000
    else:
        assert given["run"] is None


@settings(max_examples=400, deadline=None)
@given(TYPED)
@example("capture lan --filter '--output=/tmp/x'")
@example("capture lan --filter=--output=/tmp/x")
@example("trace lannet-1a lannet-2a --port '80 --lab x'")
@example("exec core-01 -- -- --lab x")
@example("exec core-01 --lab x")
@example("exec core-01 -t")
@example("ssh core-01 -- id")
@example("exec 'switch' -- id")
@example("switch 'fdb; id'")
def test_whatever_is_typed_is_refused_or_harmless(line: str) -> None:
    try:
        typed = split(line)
        if not typed or words.word_of(typed).name not in OF_THE_LAB:
            return
        lines = command_lines(typed, PLACES)
    except BadInput:
        return
    for each in lines:
        prove_harmless(each)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=12).filter(str.isprintable), min_size=1, max_size=6))
def test_a_command_reaches_the_node_word_for_word(command: list[str]) -> None:
    """As root there, whatever it is: none of its words is one of ours, and none is lost."""
    found = command_lines(["exec", "core-01", "--", *command], PLACES)
    assert [parsed(line)[1]["arguments"] for line in found] == [command]


@pytest.mark.parametrize("word", OF_THE_LAB)
def test_no_option_of_any_verb_passes_but_those_that_are_named(word: str) -> None:
    for verb in summaries():
        for parameter in verb_command(verb).params:
            for option in (*parameter.opts, *parameter.secondary_opts):
                if not option.startswith("-"):
                    continue
                value = ALLOWED.get((word, option), "x")
                for typed in (
                    [word, option, *USED[word]],
                    [word, option, value, *USED[word]],
                    [word, f"{option}={value}", *USED[word]],
                    [word, f"{option}{value}", *USED[word]],
                    [word, *USED[word], f"{option}={value}"],
                    [word, *USED[word], option, value],
                ):
                    prove_refused_or_named(typed, option)


def prove_refused_or_named(typed: list[str], option: str) -> None:
    word = typed[0]
    try:
        found = command_lines(typed, PLACES)
    except BadInput:
        return
    if word == "exec":
        # Behind the target it is the command's own.
        assert typed[1] == "core-01"
        assert [line[:3] for line in found] == [["exec", "--", "core-01"]]
        return
    assert (word, option) in ALLOWED, typed
    for each in found:
        prove_harmless(each)


@pytest.mark.parametrize(("word", "option"), ALLOWED)
def test_an_option_that_is_named_passes(word: str, option: str) -> None:
    value = ALLOWED[word, option]
    found = command_lines([word, *USED[word], option, value], PLACES)[0]
    assert f"{option}={value}" in found[: found.index("--")]


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("exec switch -- id", "nothing can be run there"),
        ("exec router -- id", "router is an external host: it stands beside the nodes"),
        ("ssh router", "nobody but the trainer runs anything there"),
        ("trace core-01 router", "exec core-01 -- ip neighbour; and from its wire: capture lan"),
        ("capture router", "router is an external host"),
        ("ssh routers", "here are: core-01, core-02"),
        ("exec lan -- id", "has no node or container 'lan'"),
        ("ssh lannet-1a", "has no node 'lannet-1a'"),
        ("ssh core-01 id", "nothing more"),
        ("ssh core-20", "here are: core-01, core-02"),
        ("exec core-01@x", "has no node or container"),
        ("trace core-01", "got 1 name"),
        ("trace core-01 core-02 --port 70000", "a number from 1 to 65535"),
        ("trace core-01 core-02 --port -1", "a number from 1 to 65535"),
        ("trace core-01 core-02 --protocol sctp", "icmp, tcp or udp"),
        ("trace core-01 core-02 --port", "--port needs a value"),
        ("capture lan --seconds 3600", "a number from 0.1 to 60"),
        ("capture lan --seconds 1e9", "a number from 0.1 to 60"),
        ("capture lan --count 0", "a number from 1 to 1000"),
        ("capture lan --output x.pcap", "no option '--output'"),
        ("capture core-01:eth9", "has no segment, container or NODE:DEVICE"),
        ("switch", "one of fdb, links, vlans, mdb"),
        ("explain run.json", "nothing more is expected"),
    ],
)
def test_what_is_refused_says_why(typed: str, why: str) -> None:
    with pytest.raises(BadInput) as raised:
        command_lines(split(typed), PLACES)
    assert why in raised.value.message + raised.value.hint


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("exec core-01 -- echo 'open", "no closing quotation"),
        ("exec core-01 -- echo a\x07b", "can't be seen"),
        ("exec core-01 -- " + "x" * 5000, "expected at most 4096"),
    ],
)
def test_a_line_that_is_no_line_is_refused(line: str, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        split(line)


def test_a_mistyped_word_is_told_the_nearest() -> None:
    with pytest.raises(BadInput) as raised:
        words.word_of(["chek"])
    assert raised.value.hint == "did you mean check?"


@pytest.mark.parametrize("typed", ["cat", "ping", "ls", "ip", "bash"])
def test_another_program_is_not_taken_for_a_word(typed: str) -> None:
    with pytest.raises(BadInput) as raised:
        words.word_of([typed, "/etc/passwd"])
    assert "did you mean" not in raised.value.hint
    assert "exec TARGET -- COMMAND" in raised.value.hint


@pytest.mark.parametrize(
    ("line", "operator"),
    [
        ("exec core-01 -- ip address | grep eth1", "|"),
        ("exec core-01 -- ip address > out", ">"),
        ("exec core-01 -- ip address 2>/dev/null", "2>/dev/null"),
        ("exec core-01 -- ip link && check", "&&"),
        ("exec core-01 -- ip link; check", ";"),
        ("check | grep web", "|"),
    ],
)
def test_a_bare_operator_is_told_of(line: str, operator: str) -> None:
    with pytest.raises(BadInput) as raised:
        words.refuse_operators(line, words.word_of(split(line)[:1]))
    assert raised.value.message.startswith(f"{operator} means nothing here")
    assert "sh -c '" in raised.value.hint


@pytest.mark.parametrize(
    "line",
    [
        "exec core-01 -- sh -c 'ip address | grep eth1 > /tmp/x; true && id'",
        'exec core-01 -- echo "a | b" ";" \\; a\\|b',
        "exec core-01 -- grep -c '|' /etc/hosts",
        "capture lan --filter 'arp or (vlan 70 && udp)'",
        "answer a > b; c | d",
    ],
)
def test_a_quoted_operator_is_the_nodes(line: str) -> None:
    words.refuse_operators(line, words.word_of(split(line)[:1]))


def test_a_solution_is_shown_as_it_is_typed() -> None:
    deeds = [
        Deed(on="core-01", run="ip link set eth1 up; ip route replace 20.1.1.0/24 dev eth1"),
        Deed(on="core-01", run='mac=$(cat /x) &&\n  ip link add x address "$mac"'),
    ]
    lines = words.typed(deeds)
    assert lines[:2] == [
        "exec core-01 -- ip link set eth1 up",
        "exec core-01 -- ip route replace 20.1.1.0/24 dev eth1",
    ]
    # What a shell has to put together stays whole, and each line is one that may be typed.
    assert split(lines[2])[3:5] == ["sh", "-c"]
    for line in lines:
        words.refuse_operators(line, WORDS["exec"])
        assert command_lines(split(line), PLACES)[0][:3] == ["exec", "--", "core-01"]


def test_help_names_every_word() -> None:
    text = seat_shell.help_text()
    assert [word for word in WORDS if f"  {word}" not in text] == []
    assert max(map(len, text.splitlines())) <= 100


def test_completion_offers_words_and_names() -> None:
    assert words.completions(["tr"], PLACES) == ["trace"]
    assert words.completions(["ssh", "core"], PLACES) == ["core-01", "core-02"]
    assert words.completions(["exec", ""], PLACES) == [*PLACES.targets]
    assert words.completions(["trace", "lannet-1a", "--p"], PLACES) == ["--port", "--protocol"]
    assert words.completions(["capture", "l"], PLACES) == ["lan", "lannet-1a", "lannet-2a"]
    assert words.completions(["switch", "f"], PLACES) == ["fdb"]
    # Behind a target it is the node's business.
    assert words.completions(["exec", "core-01", ""], PLACES) == []


class Started:
    """What the shell starts, instead of starting it."""

    def __init__(self) -> None:
        self.commands: list[list[str]] = []

    def __call__(self, command: list[str], **how: Any) -> Any:
        assert "shell" not in how
        assert "executable" not in how
        self.commands.append(command)
        return self

    def wait(self) -> int:
        return 0


@pytest.fixture
def events() -> Iterator[Callable[[], list[tuple[str, Any]]]]:
    """Return what this process has told the interpreter's audit hooks about starting programs."""
    seen: list[tuple[str, Any]] = []
    watching = [True]

    def hook(event: str, arguments: Any) -> None:
        if watching[0] and event in STARTING:
            seen.append((event, arguments))

    sys.addaudithook(hook)
    yield lambda: seen
    # A hook can't be taken away again.
    watching[0] = False


STARTING = {
    "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.startfile", "os.system",
    "pty.spawn", "subprocess.Popen",
}  # fmt: skip


def test_no_line_starts_another_program(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, events: Callable[[], list[tuple[str, Any]]]
) -> None:
    started = Started()
    monkeypatch.setattr(subprocess, "Popen", started)
    own = [sys.executable, "-P", "-m", "underlay.cli.seat_shell", "W", "1", "--word"]
    shell = seat_shell.SeatShell(1, tmp_path, own)
    monkeypatch.setattr(shell, "_where", lambda: PLACES)
    monkeypatch.setattr(seat_shell, "_say", lambda text: None)

    @settings(max_examples=400, deadline=None)
    @given(TYPED)
    def prove(line: str) -> None:
        started.commands.clear()
        shell.do(line)
        for command in started.commands:
            assert command[:3] == [sys.executable, "-P", "-m"]
            if command[3] == "underlay":
                prove_harmless(command[4:])
            else:
                assert command[: len(own)] == own
                assert command[len(own)] in set(WORDS) - {"help", "exit"}

    prove()
    assert events() == []


def test_a_lab_word_without_a_lab_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shell = seat_shell.SeatShell(1, tmp_path, ["false"])
    assert shell.do("ssh core-01") == BadInput.exit_code
    assert "no lab is up in your seat" in capsys.readouterr().out
    assert issubclass(BadInput, UnderlayError)
