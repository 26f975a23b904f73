"""YAML text to ruamel.yaml's tree of nodes with marks, and what it says where there is none.

What a file can cost is bounded while it is composed: a megabyte takes ruamel.yaml
20 seconds. An alias stays one node however often it is used.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import Node, ScalarNode
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.tag import Tag

# Aliases of aliases grow without bound; a real lab has a few hundred keys and values.
MAX_VALUES = 20_000
MAX_DEPTH = 12

TEXT_TAGS = ("!", "tag:yaml.org,2002:str")

_INT = re.compile(r"[-+]?[0-9]{1,18}")
_OTHER_INT = re.compile(r"0o[0-7]{1,18}|0x[0-9a-fA-F]{1,15}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,30}|[0-9]{1,30}(\.[0-9]{0,30})?)([eE][-+]?[0-9]{1,3})?")
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# Keeps ruamel.yaml from looking for a tag.
_UNRESOLVED = Tag(suffix="unresolved")

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
    ("found another document", "a second document", "one lab a file"),
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


def parse(text: str) -> Any:
    """Return the root node of the one document in ``text``, None where there is none.

    Raises NotYaml for a syntax error, a second document, more than MAX_DEPTH levels
    or more than MAX_VALUES nodes.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _Composer
    try:
        return yaml.compose(text)
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


def mark_of(node: Node) -> Mark:
    """Return where ``node`` begins; for what an alias stands for, that is at its anchor."""
    return _mark(node.start_mark)


def tag_of(node: Node) -> str:
    """Return what ``node`` is tagged with, empty for none and for text."""
    return "" if isinstance(node, ScalarNode) and node.tag in TEXT_TAGS else node.tag or ""


def scalar_of(node: ScalarNode) -> Any:
    """Return the value of a scalar: text where it is quoted or tagged."""
    return node.value if node.style or node.tag else _resolve(node.value)


class _Composer(Composer):
    """Counts depth and size before they are paid for, and leaves words as they are written.

    ruamel.yaml would resolve them by the rules of the version in ``%YAML``, or fail for
    one that it doesn't know.
    """

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader)
        self.warn_double_anchors = False
        self.left = MAX_VALUES
        self.finished: dict[str, Node] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.parser.peek_event()
        mark = _mark(event.start_mark)
        self.left -= 1
        if self.depth > MAX_DEPTH or self.left < 0:
            raise NotYaml(mark, "too much: it is nested too deep or too long", "a lab")
        if isinstance(event, AliasEvent):
            self.parser.get_event()
            # Not among ruamel.yaml's anchors, where a node stands before all of it is there.
            if event.anchor not in self.finished:
                raise NotYaml(mark, f"the alias *{event.anchor}", f"&{event.anchor} before it")
            return self.finished[event.anchor]
        tag, event.ctag = event.ctag, _UNRESOLVED
        node = super().compose_node(parent, index)
        node.ctag = tag
        if event.anchor:
            self.finished[event.anchor] = node
        return node


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
