"""Ignition's configuration, version 3: the files and units that it puts on a host, taken apart.

Source: https://coreos.github.io/ignition/specs/
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import unquote_to_bytes

from underlay.errors import Spot
from underlay.fleet.document import Document, inflated, listed, mapping, word
from underlay.lab.text import Place

# 3.0.0 to 3.6.0 are released; a version that ends in -experimental is none to rely on.
VERSIONS = tuple(f"3.{minor}.0" for minor in range(7))
# What Debian's 2.14 takes, which makes nodes: everything newer it calls an unsupported version.
NEWEST = "3.3.0"
VERSION = re.compile(r"[0-9]+(\.[0-9]+){2}(-[a-z]+)?")


def looks_like_ignition(data: object) -> bool:
    """Whether a JSON document is an Ignition configuration."""
    return "version" in mapping(mapping(data).get("ignition"))


def files(document: Document) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Yield each entry of ``storage.files`` with its place."""
    for i, entry in enumerate(listed(mapping(mapping(document.data).get("storage")).get("files"))):
        yield ("storage", "files", i), mapping(entry)


def written_files(document: Document) -> Iterator[Document]:
    """Yield the files that the configuration puts on the host, those whose content is at hand."""
    for place, entry in files(document):
        contents = mapping(entry.get("contents"))
        source = contents.get("source")
        path = word(entry.get("path"))
        if not path or not isinstance(source, str) or not source.startswith("data:"):
            continue
        text = _decoded(document, (*place, "contents", "source"), contents, source)
        if text is None:
            continue
        mark = document.marks.key_mark((*place, "contents", "source"))
        line, column = document.line + mark.line - 1, document.column + mark.column - 1
        mode = entry.get("mode")
        yield Document(
            *(document.file, text),
            target=path,
            line=line,
            column=column,
            inline=True,
            mode=mode if isinstance(mode, int) and not isinstance(mode, bool) else 0o644,
            mode_spot=document.spot((*place, "mode")),
        )


def _decoded(document: Document, place: Place, contents: dict[str, Any], source: str) -> str | None:
    """Return what a data: URL holds (RFC 2397), None where that can't be told."""
    head, comma, body = source[len("data:") :].partition(",")
    try:
        if not comma:
            raise ValueError("no comma")
        raw = unquote_to_bytes(body)
        if head.endswith(";base64"):
            raw = base64.b64decode(raw, validate=True)
        if contents.get("compression") == "gzip":
            raw = inflated(raw)
        return raw.decode()
    except (binascii.Error, OSError, EOFError, ValueError) as error:
        message = f"the data: URL can't be decoded ({str(error)[:60]})"
        cure = "data:,TEXT with percent signs for special characters, or data:;base64,…"
        document.report("ignition-source", document.spot(place), message, cure)
        return None


def is_newer(version: str) -> bool:
    """Whether a specification, such as 3.4.0, is later than those that nodes' Ignition knows."""
    numbers = tuple(int(number) for number in version.partition("-")[0].split("."))
    return numbers > tuple(map(int, NEWEST.split(".")))


def version_of(text: str) -> str:
    """Return the specification that a configuration names; empty where it isn't one."""
    with suppress(ValueError, TypeError, KeyError):
        version = str(json.loads(text)["ignition"]["version"])
        return version if VERSION.fullmatch(version) else ""
    return ""


def not_judged(version: str) -> tuple[str, str]:
    """Return what there is to say of a configuration of a later specification, and what to do."""
    return (
        f"not judged: its specification is {version}, and Debian's Ignition knows up to {NEWEST}",
        f"nodes: {{ignition_as: {NEWEST}}} in the lab, where it has nothing newer in it",
    )


def read_as(text: str, version: str) -> str:
    """Return a configuration of a later specification as one of ``version``: that line alone."""
    found = version_of(text)
    place = _place_of_version(text, found) if found and is_newer(found) else None
    return text if place is None else text[:place] + version + text[place + len(found) :]


def spot_of_version(file: str, text: str) -> Spot:
    """Return where a configuration that lies in ``file`` names its specification."""
    place = _place_of_version(text, version_of(text))
    if place is None:
        return Spot(file)
    before = text[:place]
    return Spot(file, before.count("\n") + 1, place - before.rfind("\n") - 1)


def _place_of_version(text: str, version: str) -> int | None:
    """Return where ``version`` stands in a configuration that is of it, and not by chance."""
    other = "0.0.0"
    for found in re.finditer(rf'"version"\s*:\s*"({re.escape(version)})"', text):
        start, end = found.span(1)
        if version_of(text[:start] + other + text[end:]) == other:
            return start
    return None
