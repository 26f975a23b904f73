"""YAML's nodes with their places, and the quick way to them.

libyaml parses YAML many times as fast as ruamel.yaml does, by whose words people are told of a
mistake. So libyaml reads what both are known to read alike, and whatever else stands in a text, or
is wrong with it, is ``Unsure``: ruamel.yaml reads it then. A test holds them against each other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import yaml
from yaml import events

# Characters of which both say the same: no tabs, no line ends but one, no marks of byte order.
_PLAIN = re.compile("[\n\u0020-\u007e\u00a0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd]*")
# Directives, what ends a document, what may be a long key, a tag, an anchor or an alias, and a
# comment where a text of several lines begins.
_UNUSUAL = re.compile(r"^(?:%|\.\.\.)|(?:^|[\s\[{,:-])[?!&*]|[|>][-+0-9]*#", re.MULTILINE)
# Aliases of aliases grow without bound; a real lab has a few hundred keys and values.
MAX_VALUES = 20_000
MAX_DEPTH = 12
# Less than what a lab may have: what comes near is read by ruamel.yaml, which says where it is.
DEEPEST, MOST = 10, 10_000


class Mark(NamedTuple):
    """A place in a file; both count from 1."""

    line: int
    column: int


@dataclass(slots=True)
class Node:
    """A value of a YAML document, where it begins, and its tag and quotes, empty where it has none.

    Of a sequence ``items`` are its values, of a mapping keys and values in turn. An alias is the
    node that it stands for, which is there once.
    """

    kind: Literal["scalar", "sequence", "mapping"]
    mark: Mark
    tag: str = ""
    style: str = ""
    word: str = ""
    items: list[Node] = field(default_factory=list)

    @property
    def pairs(self) -> list[tuple[Node, Node]]:
        """The keys of a mapping with their values."""
        return list(zip(self.items[::2], self.items[1::2], strict=True))


class NotYaml(Exception):
    """The text is not YAML, or not YAML that a lab may use."""

    def __init__(self, mark: Mark, found: str, expected: str) -> None:
        super().__init__(f"{mark.line}:{mark.column}: found {found}, expected {expected}")
        self.mark = mark
        self.found = found
        self.expected = expected


class Unsure(Exception):
    """It has to be read by ruamel.yaml."""


def quickly(text: str) -> Node | None:
    """Return the root of the one document in ``text``, None where there is none.

    Raises Unsure.
    """
    if not yaml.__with_libyaml__ or not _PLAIN.fullmatch(text) or _UNUSUAL.search(text):
        raise Unsure
    try:
        return _Composing(text).root()
    except (yaml.YAMLError, ValueError, UnicodeError) as error:
        raise Unsure from error


class _Composing:
    """A document under way."""

    def __init__(self, text: str) -> None:
        self._next = yaml.CLoader(text).get_event
        self._left = MOST

    def root(self) -> Node | None:
        self._next()  # the stream's start
        if isinstance(self._next(), events.StreamEndEvent):
            return None
        node = self._node(self._next(), 0)
        self._next()  # the document's end
        if not isinstance(self._next(), events.StreamEndEvent) or node.kind == "scalar":
            raise Unsure
        return node

    def _node(self, event: Any, depth: int, *, may_be_empty: bool = False) -> Node:
        self._left -= 1
        if depth > DEEPEST or not self._left:
            raise Unsure
        start = event.start_mark
        mark = Mark(start.line + 1, start.column + 1)
        if isinstance(event, events.ScalarEvent):
            # The two have different places for a value that isn't there. Nobody asks for that of
            # a key's value, whose place is the key's then.
            if not (event.value or event.style or may_be_empty):
                raise Unsure
            return Node("scalar", mark, "", event.style or "", event.value)
        is_sequence = isinstance(event, events.SequenceStartEvent)
        end = events.SequenceEndEvent if is_sequence else events.MappingEndEvent
        node = Node("sequence" if is_sequence else "mapping", mark)
        while not isinstance(inner := self._next(), end):
            is_value = not is_sequence and len(node.items) % 2 == 1
            node.items.append(self._node(inner, depth + 1, may_be_empty=is_value))
        return node
