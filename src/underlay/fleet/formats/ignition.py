"""Ignition's configuration, version 3: the files and units that it puts on a host, taken apart.

Source: https://coreos.github.io/ignition/specs/
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_to_bytes

from underlay.fleet.document import Document, inflated, listed, mapping, word
from underlay.lab.text import Place

# 3.0.0 to 3.6.0 are released; a version that ends in -experimental is none to rely on.
VERSIONS = tuple(f"3.{minor}.0" for minor in range(7))


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
