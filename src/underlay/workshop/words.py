"""The words of a seat's shell, and the command lines of Underlay that some of them are.

A learner never has a shell on the trainer's machine. What is typed becomes one of a few command
lines, each of them made here: the verb is ours, an option passes only if its word names it and its
value is what that option takes, names are those of the seat's lab, and what is run on a node is
one argument after another behind ``--``. No option passes that reads or writes a file here.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from underlay.errors import BadInput, count, did_you_mean, listed, nearest
from underlay.plan import SWITCH, Plan
from underlay.report.pasted import OF_A_SHELL

if TYPE_CHECKING:
    from underlay.workshop.course import Deed

LONGEST_LINE = 4096
HIGHEST_PORT, MOST_SECONDS, MOST_FRAMES, LONGEST_FILTER = 65535, 60.0, 1000, 400
# What `switch` may show. It is where all bridges are, on the trainer's machine: so nothing that is
# typed reaches it.
AT_SWITCH = {
    "fdb": ("bridge", "fdb", "show"),
    "links": ("bridge", "-d", "link", "show"),
    "vlans": ("bridge", "vlan", "show"),
    "mdb": ("bridge", "mdb", "show"),
}
CAPTURED = {"--seconds": "10", "--count": f"{MOST_FRAMES}"}
# `-e`: the link layer, for who sends to whom is the question here. What tcpdump says of the file
# that it reads is of no use to a learner; all else that it complains of is.
READ_FRAMES = (
    "sh", "-c",
    "{ tcpdump -n -e -r - 2>&1 >&3 | sed '/^reading from file -, /d' >&2; } 3>&1",
)  # fmt: skip
# What is like a word by less is another program's name: `cat` was not meant to be `capture`.
LIKENESS = 0.7
# What a shell takes quoted, or behind a backslash, as it is; and what it makes something of where
# that stands as a word of its own, or at the end of one.
QUOTED = re.compile(r"""\\.|'[^']*'|"(?:\\.|[^"\\])*\"""")
OPERATOR = re.compile(r"(?<!\S)(?:[|&]{1,2}|;|\d?>&\d|&?\d?>{1,2}\S*|<{1,3}\S*)(?!\S)|;(?!\S)")


@dataclass(frozen=True)
class Word:
    """A word of the shell: how it is written, and what it does, as `help` says it."""

    name: str
    usage: str
    text: str


WORDS = {
    word.name: word
    for word in (
        Word("story", "story", "what has happened, and what this stage wants"),
        Word("status", "status", "who is where in your lab, and how far you are"),
        Word("check", "check", "send packets: is it mended, the stage done?"),
        Word("answer", "answer TEXT", "the answer, where the stage itself asks"),
        Word("hint", "hint", "the next hint; how many you took is counted"),
        Word("next", "next", "go on, once the stage or the exercise is done"),
        Word("reset", "reset", "this stage as it began, in a fresh lab"),
        Word("skip", "skip", "have this stage solved, and see how"),
        Word("ssh", "ssh NODE", "a shell on a node, as root"),
        Word("exec", "exec TARGET [-- COMMAND…]", "a command on a node or in a container, as root"),
        Word(
            "trace", "trace A B [--port P] [--protocol icmp|tcp|udp]",
            "one packet, and where it was seen",
        ),
        Word(
            "capture", "capture WHERE [--seconds S] [--count N] [--filter EXPR]",
            "frames at a segment, a container or NODE:DEVICE",
        ),
        Word("switch", f"switch {'|'.join(AT_SWITCH)}", "what the switch knows"),
        Word("explain", "explain", "the cause, where this exercise allows it"),
        Word("help", "help", "these words"),
        Word("exit", "exit", "leave"),
    )
}  # fmt: skip
# Those that are command lines of Underlay; the others are the exercise's own.
OF_THE_LAB = ("ssh", "exec", "trace", "capture", "switch", "explain")


@dataclass(frozen=True)
class Places:
    """The names of a seat's lab that a learner may use."""

    nodes: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    # NODE:DEVICE of each parent.
    devices: tuple[str, ...] = ()
    # External hosts: namespaces where the switch is, mostly with this machine's own programs.
    hosts: tuple[str, ...] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """Where a learner is root: on nodes and in containers, but never where the switch is."""
        return self.nodes + self.containers

    @property
    def points(self) -> tuple[str, ...]:
        """Where frames can be captured."""
        return self.segments + self.containers + self.devices


def places_of(plan: Plan) -> Places:
    """Return the names in ``plan``."""
    return Places(
        tuple(node.name for node in plan.nodes),
        tuple(container.name for container in plan.containers),
        tuple(segment.name for segment in plan.segments),
        tuple(f"{node.name}:{nic.interface}" for node in plan.nodes for nic in node.nics),
        tuple(host.name for host in plan.hosts),
    )


def split(line: str) -> list[str]:
    """Return the words of ``line``, by a shell's rules of quoting and by none of its others.

    Raises BadInput where a quote is open or the line is too long.
    """
    if len(line) > LONGEST_LINE:
        raise BadInput(f"the line has {len(line)} characters, expected at most {LONGEST_LINE}")
    if not all(each.isprintable() or each == "\t" for each in line):
        raise BadInput("the line holds characters that can't be seen")
    try:
        return shlex.split(line)
    except ValueError as error:
        raise BadInput(f"{str(error).lower()}: {line}", hint="close it, or write \\' ") from error


def word_of(words: Sequence[str]) -> Word:
    """Return the word that a line of ``words`` begins with; raise BadInput for any other."""
    if words[0] in WORDS:
        return WORDS[words[0]]
    hint = did_you_mean(nearest(words[0], WORDS, likeness=LIKENESS)) or (
        "help  shows the words; what nodes and containers have is run by  exec TARGET -- COMMAND"
    )
    raise BadInput(f"there is no word {words[0]!r} here", hint=hint)


def refuse_operators(line: str, word: Word) -> None:
    """Raise BadInput where ``line`` has a bare operator of a shell's; an answer may have any."""
    found = OPERATOR.search(QUOTED.sub("x", line)) if word.name != "answer" else None
    if found is None:
        return
    raise BadInput(
        f"{found[0]} means nothing here: a line is one word with its arguments",
        hint="a shell on a node takes it, quoted: exec NODE -- sh -c 'ip address | grep eth1'",
    )


def text_of(words: Sequence[str]) -> str:
    """Return what follows a word that takes text, in one piece; raise BadInput for nothing."""
    if len(words) < 2:
        raise _use(words[0], "it needs a TEXT")
    return " ".join(words[1:])


def alone(words: Sequence[str]) -> None:
    """Raise BadInput where something follows a word that takes nothing."""
    if len(words) > 1:
        raise _use(words[0], f"nothing more is expected: {words[1]}")


def command_lines(words: Sequence[str], places: Places) -> list[list[str]]:
    """Return what ``words``, the first of ``OF_THE_LAB``, are as arguments of ``underlay``.

    Of several the first one's output is the next one's input. Raises BadInput for what isn't
    allowed here.
    """
    return _MADE[word_of(words).name](words, places)


def typed(deeds: Iterable[Deed]) -> list[str]:
    """Return the lines that a learner types to do ``deeds``, one for each command in them.

    What only a shell can put together stays together, as a script.
    """
    lines = []
    for deed in deeds:
        script = " ".join(deed.run.split())
        parts = re.split(r"\s*(?:&&|;)\s*", script)
        if any(QUOTED.search(part) or OF_A_SHELL & set(part) for part in parts):
            lines.append(shlex.join(["exec", deed.on, "--", "sh", "-c", script]))
        else:
            lines += [f"exec {deed.on} -- {part}" for part in parts if part]
    return lines


def completions(words: Sequence[str], places: Places) -> list[str]:
    """Return what may follow ``words``, of which the last is not finished."""
    *before, current = words
    if not before:
        found: Sequence[str] = list(WORDS)
    elif before[0] in ("ssh", "exec") and len(before) == 1:
        found = places.nodes if before[0] == "ssh" else places.targets
    elif before[0] == "trace":
        found = (*places.targets, *_TRACE)
    elif before[0] == "capture":
        found = _CAPTURE.keys() if len(before) > 1 else places.points  # type: ignore[assignment]
    elif before[0] == "switch" and len(before) == 1:
        found = list(AT_SWITCH)
    else:
        found = ()
    return [each for each in found if each.startswith(current)]


def _ssh(words: Sequence[str], places: Places) -> list[list[str]]:
    if len(words) != 2:
        raise _use("ssh", "it needs a NODE, and nothing more")
    return [["exec", "--", _name(words[1], places.nodes, "node", places)]]


def _exec(words: Sequence[str], places: Places) -> list[list[str]]:
    _, *rest = words
    if not rest:
        raise _use("exec", "it needs a TARGET")
    if rest[0] == SWITCH:
        raise BadInput(
            "the switch is the trainer's: nothing can be run there",
            hint=WORDS["switch"].usage,
        )
    target, *command = rest
    if command[:1] == ["--"]:
        del command[0]
    # Behind -- nothing is an option of ours, whatever it looks like.
    return [["exec", "--", _name(target, places.targets, "node or container", places), *command]]


def _trace(words: Sequence[str], places: Places) -> list[list[str]]:
    names, options = _parted(words, _TRACE)
    if len(names) != 2:
        raise _use("trace", f"it needs A and B, and got {count(len(names), 'name')}")
    ends = [_name(name, places.targets, "node or container", places) for name in names]
    return [["trace", *options, "--", *ends]]


def _capture(words: Sequence[str], places: Places) -> list[list[str]]:
    names, options = _parted(words, _CAPTURE)
    if len(names) != 1:
        raise _use("capture", f"it needs one WHERE, and got {len(names)}")
    point = _name(names[0], places.points, "segment, container or NODE:DEVICE", places)
    given = {option.partition("=")[0] for option in options}
    # Never without both: frames are kept in this machine's memory.
    options += [f"{each}={most}" for each, most in CAPTURED.items() if each not in given]
    taken = ["capture", "--output=-", *options, "--", point]
    # Frames that a learner has made are read on a node, and never by a program of this machine.
    return [taken, ["exec", "--no-tty", "--", places.nodes[0], *READ_FRAMES]]


def _switch(words: Sequence[str], places: Places) -> list[list[str]]:
    if len(words) != 2 or words[1] not in AT_SWITCH:
        raise _use("switch", f"it shows one of {', '.join(AT_SWITCH)}")
    return [["exec", "--no-tty", "--", SWITCH, *AT_SWITCH[words[1]]]]


def _explain(words: Sequence[str], places: Places) -> list[list[str]]:
    alone(words)
    return [["explain"]]


_MADE = {
    "ssh": _ssh,
    "exec": _exec,
    "trace": _trace,
    "capture": _capture,
    "switch": _switch,
    "explain": _explain,
}


def _port(text: str) -> str:
    return _number(text, "[0-9]{1,5}", 1, HIGHEST_PORT)


def _protocol(text: str) -> str:
    if text not in ("icmp", "tcp", "udp"):
        raise ValueError("icmp, tcp or udp")
    return text


def _seconds(text: str) -> str:
    return _number(text, "[0-9]{1,3}([.][0-9]{1,3})?", 0.1, MOST_SECONDS)


def _frames(text: str) -> str:
    return _number(text, "[0-9]{1,5}", 1, MOST_FRAMES)


def _filter(text: str) -> str:
    if not text.strip() or len(text) > LONGEST_FILTER:
        raise ValueError(f"an expression of tcpdump's, of at most {LONGEST_FILTER} characters")
    return text


# The options that pass, and what makes sure of their values.
Options = Mapping[str, Callable[[str], str]]
_TRACE: Options = {"--port": _port, "--protocol": _protocol}
_CAPTURE: Options = {"--seconds": _seconds, "--count": _frames, "--filter": _filter}


def _number(text: str, form: str, least: float, most: float) -> str:
    if not re.fullmatch(form, text) or not least <= float(text) <= most:
        raise ValueError(f"a number from {least:g} to {most:g}")
    return text


def _parted(words: Sequence[str], allowed: Options) -> tuple[list[str], list[str]]:
    """Return the names among ``words``, and the options as ``--option=value``, each allowed."""
    name, *rest = words
    names, options = [], []
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            names.append(word)
            continue
        option, joined, value = word.partition("=")
        if option not in allowed:
            raise _use(name, f"there is no option {option!r} here")
        if not joined:
            if not rest:
                raise _use(name, f"{option} needs a value")
            value = rest.pop(0)
        try:
            options.append(f"{option}={allowed[option](value)}")
        except ValueError as error:
            raise _use(name, f"{option}: found {value!r}, expected {error}") from error
    return names, options


def _name(word: str, names: Sequence[str], what: str, places: Places) -> str:
    """Return ``word`` where it is one of ``names``; raise BadInput for any other."""
    if word in names:
        return word
    if word in places.hosts:
        raise BadInput(
            f"{word} is an external host: it stands beside the nodes, where the switch is, and"
            " nobody but the trainer runs anything there",
            hint=f"look at it from a node: exec {places.nodes[0]} -- ip neighbour; and from its"
            f" wire: capture {places.segments[0]}",
        )
    hint = did_you_mean(nearest(word, names)) or f"here are: {listed(names)}"
    raise BadInput(f"your lab has no {what} {word!r}", hint=hint)


def _use(word: str, why: str) -> BadInput:
    return BadInput(f"{word}: {why}", hint=WORDS[word].usage)
