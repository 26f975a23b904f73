"""Variables in a Compose file, as ``docker compose`` fills them in before it looks at anything.

Source: https://docs.docker.com/reference/compose-file/interpolation/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from underlay.fleet.document import Document

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_PLAIN = re.compile(_NAME)
_BRACED = re.compile(rf"({_NAME})(?:(:?[-?+])(.*))?", re.DOTALL)
# A default may hold a variable with a default, and so on; nobody writes more.
DEEPEST = 8


@dataclass(frozen=True)
class Variable:
    """A variable in a text: its name, the rule behind it (``:-`` and the like) and its word."""

    name: str
    rule: str
    word: str
    start: int
    end: int


def environment(document: Document | None) -> dict[str, str]:
    """Return what an ``.env`` file sets; but in single quotes a value may name others above it."""
    found: dict[str, str] = {}
    for line in document.text.splitlines() if document else ():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and re.fullmatch(_NAME, name.strip()):
            text = value.strip()
            quote = text[:1]
            if quote in ("'", '"') and text.endswith(quote) and len(text) > 1:
                text = text[1:-1]
            else:
                text = re.split(r"\s#", text)[0].strip()
            found[name.strip()] = text if quote == "'" else filled_in(text, found)
    return found


def variables(text: str) -> Iterator[Variable | int]:
    """Yield the variables of ``text`` in order, and the place of each ``$$`` as a number."""
    at = text.find("$")
    while 0 <= at < len(text) - 1:
        end = at + 2
        if text[at + 1] == "$":
            yield at
        elif text[at + 1] == "{":
            end = _closing(text, at + 2)
            inside = _BRACED.fullmatch(text[at + 2 : end - 1]) if end else None
            if inside:
                yield Variable(inside[1], inside[2] or "", inside[3] or "", at, end)
            end = end or at + 2
        elif plain := _PLAIN.match(text, at + 1):
            end = plain.end()
            yield Variable(plain[0], "", "", at, end)
        at = text.find("$", end)


def _closing(text: str, start: int) -> int:
    """Return the place behind the brace that closes the one before ``start``, 0 for none."""
    depth = 1
    for position in range(start, len(text)):
        depth += (text[position] == "{") - (text[position] == "}")
        if not depth:
            return position + 1
    return 0


def filled_in(text: str, known: dict[str, str], depth: int = 0) -> str:
    """Return ``text`` with its variables filled in; those that aren't known stay as they are."""
    made, behind = "", 0
    for one in variables(text) if depth < DEEPEST else ():
        if isinstance(one, int):
            made, behind = f"{made}{text[behind:one]}$", one + 2
            continue
        made += text[behind : one.start]
        made, behind = made + _value(one, text, known, depth), one.end
    return made + text[behind:]


def _value(one: Variable, text: str, known: dict[str, str], depth: int) -> str:
    found = known.get(one.name)
    there = found is not None and (found != "" or not one.rule.startswith(":"))
    if one.rule.endswith("+"):
        return filled_in(one.word, known, depth + 1) if there else ""
    if there and found is not None:
        return found
    if one.rule.endswith("-"):
        return filled_in(one.word, known, depth + 1)
    return text[one.start : one.end]


def unset(text: str, known: dict[str, str]) -> Iterator[Variable]:
    """Yield the variables of ``text`` that nothing sets and that have no default."""
    for one in variables(text):
        if not isinstance(one, int) and one.name not in known and one.rule[-1:] not in ("-", "+"):
            yield one


def _merged(entry: dict[str, Any]) -> dict[str, Any]:
    """Return a mapping with what YAML's merge key ``<<`` takes over from others; its own wins."""
    others = entry.get("<<")
    found: dict[str, Any] = {}
    for other in reversed(others if isinstance(others, list) else [others]):
        found |= other if isinstance(other, dict) else {}
    own = {key: value for key, value in entry.items() if key != "<<"}
    return {**found, **own} if "<<" in entry else entry


def interpolate(document: Document, beside: Document | None) -> None:
    """Fill in the variables of a Compose file from the ``.env`` beside it, and by defaults."""
    known = environment(beside)

    def fill(value: Any) -> Any:
        if isinstance(value, str):
            return filled_in(value, known) if "$" in value else value
        if isinstance(value, list):
            return [fill(each) for each in value]
        if isinstance(value, dict):
            return _merged({key: fill(each) for key, each in value.items()})
        return value

    if beside is not None:
        for line, text in enumerate(document.text.splitlines(), 1):
            for one in unset(text.partition("#")[0], known):
                does = "refuses the file" if one.rule.endswith("?") else "takes it for nothing"
                message = f"nothing sets ${{{one.name}}}: Compose {does}"
                cure = f"{one.name}=… in {beside.file}, or ${{{one.name}:-default}}"
                document.report("compose-variable-unset", document.at(line), message, cure)
    document.data = fill(document.data)
