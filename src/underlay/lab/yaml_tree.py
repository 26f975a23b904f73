"""YAML text to a tree of nodes with marks, built from ruamel.yaml's events.

Composing here rather than there bounds what a file can cost: depth and size are
counted before they are paid for, and an alias stays one node however often it is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

TEXT_TAGS = ("!", "tag:yaml.org,2002:str")

_INT = re.compile(r"[-+]?[0-9]{1,18}")
_OTHER_INT = re.compile(r"0o[0-7]{1,18}|0x[0-9a-fA-F]{1,15}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,30}|[0-9]{1,30}(\.[0-9]{0,30})?)([eE][-+]?[0-9]{1,3})?")
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}

# What ruamel.yaml says, and what people can do with: (part of its problem, found, expected).
_PLAINER = (
    (r"found character '\t'", "a tab", "spaces"),
    ("mapping values are not allowed", "a ':' that begins no value", "one 'key: value' a line"),
    ("could not find expected ':'", "a line without ':'", "'key: value'"),
    ("cannot start any token", "a character that cannot begin a value", "quotes around the value"),
    ("found unknown escape", "an unknown escape", "\\\\ for a backslash, or single quotes"),
    ("expected '<document start>'", "text after the end of the lab", "nothing more"),
    ("found undefined tag", "an undefined tag", "no tag"),
    ("expected <block end>", "a line that is indented like nothing above it", "equal indentation"),
    ("the node content", "no value", "a value"),
)


class Mark(NamedTuple):
    """A place in a file; both count from 1."""

    line: int
    column: int


class NotYaml(Exception):
    """The text is not YAML, or not YAML that a lab may use."""

    def __init__(self, mark: Mark, found: str, expected: str) -> None:
        super().__init__(f"{mark.line}:{mark.column}: found {found}, expected {expected}")
        self.mark = mark
        self.found = found
        self.expected = expected


@dataclass
class Node:
    """A scalar, list or mapping; a mapping's ``items`` alternate between key and value.

    ``tag`` is what the value is tagged with, empty for none and for text.
    """

    kind: str
    mark: Mark
    scalar: Any = None
    tag: str = ""
    items: list[Node] = field(default_factory=list)


def parse(text: str, depth: int, size: int) -> Node | None:
    """Return the tree of the one document in ``text``, None where there is none.

    Raises NotYaml for a syntax error, a second document, more than ``depth``
    levels or more than ``size`` nodes.
    """
    events = _events(text)
    tree = _Tree(events, depth, size)
    root = None
    for event in events:
        if isinstance(event, DocumentStartEvent):
            if root is not None:
                raise NotYaml(_mark(event.start_mark), "a second document", "one lab a file")
            root = tree.node(next(events), 0)
    return root


class _Tree:
    def __init__(self, events: Iterator[Any], depth: int, size: int) -> None:
        self.events = events
        self.depth = depth
        self.size = size
        self.anchors: dict[str, Node] = {}

    def node(self, event: Any, level: int) -> Node:
        mark = _mark(event.start_mark)
        self.size -= 1
        if level > self.depth or self.size < 0:
            raise NotYaml(mark, "too much: it is nested too deep or too long", "a lab")
        if isinstance(event, AliasEvent):
            if event.anchor not in self.anchors:
                raise NotYaml(mark, f"the alias *{event.anchor}", f"&{event.anchor} before it")
            return self.anchors[event.anchor]
        node = self._start(event, mark)
        if isinstance(event, (MappingStartEvent, SequenceStartEvent)):
            for child in self.events:
                if type(child).__name__ in ("MappingEndEvent", "SequenceEndEvent"):
                    break
                node.items.append(self.node(child, level + 1))
        if event.anchor:
            self.anchors[event.anchor] = node
        return node

    def _start(self, event: Any, mark: Mark) -> Node:
        tag = str(event.tag or "")
        if not isinstance(event, ScalarEvent):
            return Node(
                "mapping" if isinstance(event, MappingStartEvent) else "list", mark, tag=tag
            )
        if tag in TEXT_TAGS:
            return Node("scalar", mark, event.value)
        value = _resolve(event.value) if event.implicit[0] else event.value
        return Node("scalar", mark, value, tag)


def _resolve(word: str) -> Any:
    """A plain scalar's value by YAML 1.2's core schema; numbers of absurd length stay text."""
    if word in _WORDS:
        return _WORDS[word]
    if _INT.fullmatch(word):
        return int(word)
    if _OTHER_INT.fullmatch(word):
        return int(word, 0)
    if _FLOAT.fullmatch(word):
        return float(word)
    return word


def _events(text: str) -> Iterator[Any]:
    try:
        yield from YAML(typ="safe", pure=True).parse(text)
    except ReaderError as error:
        before = text[: error.position]
        mark = Mark(before.count("\n") + 1, error.position - before.rfind("\n"))
        found = f"the control character U+{ord(text[error.position]):04X}"
        raise NotYaml(mark, found, "printable text") from error
    except MarkedYAMLError as error:
        raise _plainer(error) from error
    except (YAMLError, ArithmeticError, AttributeError, LookupError, RuntimeError) as error:
        raise NotYaml(Mark(1, 1), "text that YAML's reader chokes on", "YAML") from error
    except (AssertionError, TypeError, ValueError) as error:
        # ruamel.yaml lets some of its own through, chr() of a wrong escape for one.
        raise NotYaml(Mark(1, 1), f"no YAML ({error})", "YAML") from error


def _plainer(error: MarkedYAMLError) -> NotYaml:
    problem = str(error.problem or "text that cannot be read")
    mark = _mark(error.problem_mark or error.context_mark)
    start = error.context_mark
    if "end of stream" in problem or "<stream end>" in problem:
        opened = _mark(start) if start else mark
        what = "an end of file inside of what began here"
        return NotYaml(opened, what, "its closing quote or bracket")
    if problem.startswith("expected ',' or"):
        return NotYaml(mark, problem.rpartition("but got ")[2], problem.partition(", but")[0][9:])
    for part, found, expected in _PLAINER:
        if part in problem:
            return NotYaml(mark, found, expected)
    return NotYaml(mark, f"no YAML ({problem})", "YAML")


def _mark(mark: Any) -> Mark:
    return Mark(mark.line + 1, mark.column + 1) if mark else Mark(1, 1)
