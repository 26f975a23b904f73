"""Variables in a Compose file, as ``docker compose`` fills them in before it looks at anything.

Source: https://docs.docker.com/reference/compose-file/interpolation/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from underlay.fleet.document import Document

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_VARIABLE = re.compile(
    rf"\$(?:(?P<escaped>\$)|(?P<plain>{_NAME})"
    rf"|\{{(?P<name>{_NAME})(?:(?P<rule>:?[-?+])(?P<word>[^}}]*))?\}})"
)


def environment(document: Document | None) -> dict[str, str]:
    """Return what an ``.env`` file sets."""
    found = {}
    for line in document.text.splitlines() if document else ():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and re.fullmatch(_NAME, name.strip()):
            text = value.strip()
            quote = text[:1]
            if quote in ("'", '"') and text.endswith(quote) and len(text) > 1:
                text = text[1:-1]
            else:
                text = re.split(r"\s#", text)[0].strip()
            found[name.strip()] = text
    return found


def filled_in(text: str, known: dict[str, str]) -> str:
    """Return ``text`` with its variables filled in; those that aren't known stay as they are."""

    def value(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "$"
        name, rule, word = match["plain"] or match["name"], match["rule"] or "", match["word"] or ""
        found = known.get(name)
        there = found is not None and (found != "" or not rule.startswith(":"))
        if rule.endswith("+"):
            return word if there else ""
        if there and found is not None:
            return found
        return word if rule.endswith("-") else match[0]

    return _VARIABLE.sub(value, text)


def unset(text: str, known: dict[str, str]) -> Iterator[str]:
    """Yield the variables of ``text`` that nothing sets and that have no default."""
    for match in _VARIABLE.finditer(text):
        name = match["plain"] or match["name"]
        if name and name not in known and not (match["rule"] or "").endswith(("-", "+")):
            yield name


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
            for name in unset(text.partition("#")[0], known):
                message = f"nothing sets ${{{name}}}: Compose takes it for nothing"
                cure = f"{name}=… in {beside.file}, or ${{{name}:-default}}"
                document.report("compose-variable-unset", document.at(line), message, cure)
    document.data = fill(document.data)
