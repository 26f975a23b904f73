"""Rules about Ignition's configuration: one mistake, and the host doesn't boot to the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from underlay.errors import did_you_mean, nearest
from underlay.fleet.document import Document, listed, mapping, word
from underlay.fleet.formats.ignition import VERSIONS, files
from underlay.lab.text import Place
from underlay.lint.finding import Hit
from underlay.lint.hosts.rule import IGNITION, Hosts, rule

KEYS: dict[str, str] = {
    "": "ignition storage systemd passwd kernelArguments",
    "ignition": "version config timeouts security proxy",
    "storage": "disks raid filesystems files directories links luks",
    "files": "path overwrite contents append user group mode",
    "contents": "source compression verification httpHeaders",
    "systemd": "units",
    "units": "name enabled mask contents dropins",
}
UNITS = ("service", "socket", "device", "mount", "automount", "swap", "target", "path", "timer",
         "slice", "scope")  # fmt: skip
# What people write for 0644 and the like where JSON has no octal numbers.
LOOKS_OCTAL = (400, 440, 444, 600, 640, 644, 660, 664, 666, 700, 750, 755, 770, 775, 777)


def _documents(hosts: Hosts) -> Iterator[Document]:
    for host in hosts:
        yield from (d for d in host.documents if d.kind == "ignition" and isinstance(d.data, dict))


def _files(hosts: Hosts) -> Iterator[tuple[Document, Place, dict[str, Any]]]:
    for document in _documents(hosts):
        yield from ((document, place, entry) for place, entry in files(document))


@rule("ignition-version", "error", IGNITION)
def ignition_version(hosts: Hosts) -> Iterator[Hit]:
    """Ignition refuses a configuration of a version that it doesn't know: the host doesn't boot."""
    for document in _documents(hosts):
        version = mapping(document.data.get("ignition")).get("version")
        if version not in VERSIONS and "experimental" not in str(version):
            spot = document.spot(("ignition", "version"))
            old = str(version).startswith("2.")
            cure = "translate it with ign-converter" if old else f"one of {', '.join(VERSIONS)}"
            yield Hit(spot, f"there is no version {version!r} of the kind 3", cure)


@rule("ignition-source", "error", "RFC 2397; " + IGNITION)
def ignition_source(hosts: Hosts) -> Iterator[Hit]:
    """A file's content is a URL: plain text there is refused, and so is a broken data: URL."""
    schemes = ("data:", "http://", "https://", "s3://", "tftp://", "gs://", "arn:")
    for document, place, entry in _files(hosts):
        source = mapping(entry.get("contents")).get("source")
        if source and not word(source).startswith(schemes):
            spot = document.spot((*place, "contents", "source"))
            message = f"{str(source)[:40]!r} is no URL"
            yield Hit(spot, message, "data:,TEXT with percent signs, or data:;base64,…")
    for host in hosts:
        for document in host.documents:
            for report in document.reports:
                if report.rule == "ignition-source":
                    yield Hit(report.spot, report.message, report.cure)


@rule("ignition-path", "error", IGNITION + ": `path not absolute`")
def ignition_path(hosts: Hosts) -> Iterator[Hit]:
    """Paths are absolute; Ignition refuses the configuration otherwise."""
    for document, place, entry in _files(hosts):
        path = entry.get("path")
        if not isinstance(path, str) or not path.startswith("/"):
            found = f"the path {path!r}" if "path" in entry else "no path"
            spot = document.spot((*place, "path") if "path" in entry else place)
            yield Hit(spot, f"found {found}", "write the whole path, from /")


@rule("ignition-file-twice", "error", IGNITION + ": `duplicate entry defined`")
def ignition_file_twice(hosts: Hosts) -> Iterator[Hit]:
    """Two entries for one path are refused."""
    for document in _documents(hosts):
        seen: dict[str, Place] = {}
        for place, entry in files(document):
            path = word(entry.get("path"))
            other = seen.setdefault(path, place)
            if path and other != place:
                spot = document.spot((*place, "path"))
                message = f"{path} is written a second time"
                yield Hit(spot, message, "keep one of them", (document.spot((*other, "path")),))


@rule("ignition-mode", "error", IGNITION + ": mode is a decimal number")
def ignition_mode(hosts: Hosts) -> Iterator[Hit]:
    """JSON has no octal numbers: mode 644 there is 01204. 0644 is written 420, and 0600 is 384."""
    for document, place, entry in _files(hosts):
        mode = entry.get("mode")
        if mode is None:
            continue
        whole = isinstance(mode, int) and not isinstance(mode, bool)
        spot = document.spot((*place, "mode"))
        if not whole or not 0 <= mode <= 0o7777:
            yield Hit(spot, f"{mode!r} is no mode", "mode: 420, which is 0644")
        elif mode in LOOKS_OCTAL:
            meant = int(str(mode), 8)
            yield Hit(
                spot, f"mode {mode} is {mode:04o}", f"did you mean {meant}, which is 0{mode}?"
            )


@rule("ignition-key-unknown", "warning", IGNITION)
def ignition_key_unknown(hosts: Hosts) -> Iterator[Hit]:
    """Ignition warns of a key that it doesn't know, and goes on without it."""
    for document in _documents(hosts):
        storage, systemd = mapping(document.data.get("storage")), document.data.get("systemd")
        tables: list[tuple[str, Place, dict[str, Any]]] = [
            ("", (), document.data),
            ("ignition", ("ignition",), mapping(document.data.get("ignition"))),
            ("storage", ("storage",), storage),
            ("systemd", ("systemd",), mapping(systemd)),
        ]
        for place, entry in files(document):
            tables.append(("files", place, entry))
            contents: Place = (*place, "contents")
            tables.append(("contents", contents, mapping(entry.get("contents"))))
        for i, unit in enumerate(listed(mapping(systemd).get("units"))):
            tables.append(("units", ("systemd", "units", i), mapping(unit)))
        for name, place, entry in tables:
            known = KEYS[name].split()
            for key in entry:
                meant = nearest(key, known)
                if key not in known:
                    message = f"{name or 'the file'} has no key {key!r}"
                    cure = did_you_mean(meant) or "leave it out"
                    yield Hit(document.spot((*place, key)), message, cure)


@rule("ignition-unit-name", "error", IGNITION + ": `invalid systemd unit extension`")
def ignition_unit_name(hosts: Hosts) -> Iterator[Hit]:
    """A unit's name ends in its type. Files of networkd and Quadlet are files, and no units."""
    for document in _documents(hosts):
        units = listed(mapping(document.data.get("systemd")).get("units"))
        for i, unit in enumerate(units):
            name = word(mapping(unit).get("name"))
            if name.rpartition(".")[2] not in UNITS or "." not in name:
                file = name.endswith((".network", ".netdev", ".container"))
                cure = "write it under storage.files" if file else "NAME.service, say"
                spot = document.spot(("systemd", "units", i, "name"))
                yield Hit(spot, f"{name!r} is no unit", cure)
