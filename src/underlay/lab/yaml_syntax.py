"""YAML as ruamel.yaml reads it, which takes its time and says what is wrong with a text."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import Node as Composed
from ruamel.yaml.nodes import ScalarNode, SequenceNode
from ruamel.yaml.parser import Parser
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.tag import Tag

from underlay.lab.nodes import MAX_DEPTH, MAX_VALUES, Mark, Node, NotYaml

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
    ("expected alphabetic or numeric", "a value that begins with * or &", "quotes around it"),
    ("found another document", "a second document", "one lab a file"),
)


def carefully(text: str) -> Node | None:
    """Return the root node of the one document in ``text``, None where there is none.

    What a file can cost is bounded while it is composed: a megabyte takes ruamel.yaml
    20 seconds. An alias stays one node however often it is used.

    Raises NotYaml for a syntax error, a second document, more than MAX_DEPTH levels
    or more than MAX_VALUES nodes.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.Parser, yaml.Composer = _Parser, _Composer
    try:
        return _node(yaml.compose(text), {})
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


def _node(composed: Composed | None, known: dict[int, Node]) -> Node | None:
    """Return a node as `nodes` has it; one that is there several times stays one."""
    return None if composed is None else _same(composed, known)


def _same(composed: Composed, known: dict[int, Node]) -> Node:
    if id(composed) in known:
        return known[id(composed)]
    tag, mark = composed.tag or "", _mark(composed.start_mark)
    if isinstance(composed, ScalarNode):
        node = Node("scalar", mark, tag, composed.style or "", composed.value)
    elif isinstance(composed, SequenceNode):
        node = Node("sequence", mark, tag)
        node.items = [_same(item, known) for item in composed.value]
    else:
        node = Node("mapping", mark, tag)
        node.items = [_same(item, known) for pair in composed.value for item in pair]
    known[id(composed)] = node
    return node


class _Parser(Parser):
    """Knows its scanner: ruamel.yaml would look for it anew at each token."""

    @cached_property
    def scanner(self) -> Any:
        """What hands out tokens; there is one for each text."""
        return super().scanner


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

    @cached_property
    def parser(self) -> Any:
        """What hands out events; there is one for each text."""
        return super().parser

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
