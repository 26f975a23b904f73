"""Cloud-config: the files that user-data writes on a host, taken out as documents of their own."""

from __future__ import annotations

import base64
import binascii
import re
import shlex
from collections.abc import Iterator
from typing import Any

from underlay.fleet.document import Document, inflated, listed, mapping, read_json, word
from underlay.lab.text import Place

HEADER = "#cloud-config"
# Where a node has the commands of runcmd as a script: cloud-init has those of the node's own
# user-data at the usual path.
RUNCMD = "/var/lib/cloud/own/runcmd"
ENCODED = {
    "b64": ("b64",), "base64": ("b64",), "gz": ("gzip",), "gzip": ("gzip",),
    "gz+b64": ("b64", "gzip"), "gz+base64": ("b64", "gzip"),
    "gzip+b64": ("b64", "gzip"), "gzip+base64": ("b64", "gzip"),
    "text/plain": (),
}  # fmt: skip


def check_header(document: Document) -> None:
    """Report user-data that cloud-init would take for something else."""
    first = document.text.partition("\n")[0]
    if first.rstrip() == HEADER or first.startswith(("#!", "## template:")):
        return
    cure = f"make {HEADER} the very first line, without blanks or a byte order mark before it"
    message = f"the first line is {first[:40]!r}: cloud-init takes the file for no cloud-config"
    document.report("cloud-config-header", document.at(1), message, cure)


def written_files(document: Document) -> Iterator[Document]:
    """Yield the files that ``write_files`` and CoreOS' units put on the host."""
    data = mapping(document.data)
    for i, entry in enumerate(listed(data.get("write_files"))):
        body = mapping(entry)
        text = _decoded(document, ("write_files", i), body)
        path = word(body.get("path"))
        if text is not None and path:
            inner = _inside(document, ("write_files", i, "content"), text, path)
            inner.mode = _mode(body.get("permissions"))
            inner.mode_spot = document.spot(("write_files", i, "permissions"))
            yield inner
    units = listed(mapping(data.get("coreos")).get("units"))
    for i, entry in enumerate(units):
        body = mapping(entry)
        name, text = word(body.get("name")), word(body.get("content"))
        if name.endswith((".network", ".netdev")) and text:
            path = f"/etc/systemd/network/{name}"
            yield _inside(document, ("coreos", "units", i, "content"), text, path)


def commands(document: Document) -> Document | None:
    """Return the script that cloud-init makes of ``runcmd``; None where there is none.

    Each command stands on its own line of the user-data. Source: cloud-init, cc_runcmd.py.
    """
    lines: dict[int, list[str]] = {}
    for i, entry in enumerate(listed(mapping(document.data).get("runcmd"))):
        mark = document.marks.mark(("runcmd", i))
        if isinstance(entry, list):
            lines.setdefault(mark.line, []).append(shlex.join(map(str, entry)))
        elif isinstance(entry, str):
            block = document.text.splitlines()[mark.line - 1][mark.column - 1 :][:1] in ("|", ">")
            for offset, text in enumerate(entry.splitlines(), block):
                lines.setdefault(mark.line + offset, []).append(text)
    if not lines:
        return None
    text = "\n".join("; ".join(lines.get(n, ())) for n in range(1, max(lines) + 1)) + "\n"
    return Document(document.file, text, target=RUNCMD, line=document.line, inline=document.inline)


def attached(document: Document) -> Document | None:
    """Return the net.d file that stands in a NetworkAttachmentDefinition; None where none does.

    Without a name of its own it has the definition's (multus-cni, docs/quickstart.md).
    """
    data = mapping(document.data)
    name = word(mapping(data.get("metadata")).get("name"))
    text = word(mapping(data.get("spec")).get("config"))
    if not text:
        return None
    inner = _inside(document, ("spec", "config"), text, f"/etc/cni/net.d/{name or 'nad'}.conf")
    inner.kind = "cni"
    read_json(inner)
    if isinstance(inner.data, dict):
        inner.data.setdefault("name", name)
        if "plugins" in inner.data:
            inner.target += "list"
    return inner


def _mode(value: object) -> int:
    """Return the permissions that cloud-init gives a file: octal text, 0644 by default."""
    text = str(value).removeprefix("0o") if value is not None else "644"
    return int(text, 8) if re.fullmatch("[0-7]{3,5}", text) else 0o644


def _decoded(document: Document, place: Place, body: dict[str, Any]) -> str | None:
    """Return what an entry of write_files writes, None where that can't be told."""
    content = body.get("content")
    if not isinstance(content, str):
        return None
    encoding = word(body.get("encoding")).lower()
    steps = ENCODED.get(encoding, ()) if encoding else ()
    if encoding and encoding not in ENCODED:
        message = f"cloud-init knows no encoding {encoding!r} and writes the text as it is"
        cure = f"one of {', '.join(ENCODED)}"
        document.report("write-files-encoding", document.spot((*place, "encoding")), message, cure)
    if not steps:
        return content
    raw = content.encode()
    try:
        for step in steps:
            raw = base64.b64decode(raw, validate=False) if step == "b64" else inflated(raw)
        return raw.decode()
    except (binascii.Error, OSError, EOFError, ValueError):
        spot = document.spot((*place, "content"))
        cure = "encode it anew, or write the text itself under `content: |`"
        document.report("write-files-encoding", spot, f"the content is no {encoding}", cure)
        return None


def _inside(outer: Document, place: Place, text: str, target: str) -> Document:
    """Return a document for text that stands in a value of another one, with its lines."""
    mark = outer.marks.mark(place)
    lines = outer.text.splitlines()
    opening = lines[mark.line - 1][mark.column - 1 :] if mark.line <= len(lines) else ""
    if not opening.startswith("|") or outer.inline:
        line, column = outer.line + mark.line - 1, outer.column + mark.column - 1
        return Document(outer.file, text, target=target, line=line, column=column, inline=True)
    body = next((line for line in lines[mark.line :] if line.strip()), "")
    indent = len(body) - len(body.lstrip(" "))
    return Document(outer.file, text, target=target, line=outer.line + mark.line, column=indent)
