"""Files of sections and ``Key=value``: systemd's, Quadlet's, and NetworkManager's keyfiles."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from underlay.fleet.document import Document
from underlay.lab.nodes import Mark
from underlay.lab.text import LabText

_SECTION = re.compile(r"\[([^\[\]]+)\]")


@dataclass(frozen=True)
class Setting:
    """One line ``Key=value`` of a section; a value that goes on below is joined by blanks."""

    section: str
    key: str
    value: str
    line: int


@dataclass(frozen=True)
class Settings:
    """The settings of a file in order, and the sections that it has with the line of each."""

    entries: tuple[Setting, ...] = ()
    sections: tuple[tuple[str, int], ...] = ()

    def last(self, section: str, *keys: str) -> Setting | None:
        """Return the last setting of a section that has one of ``keys``: it is what counts."""
        found = [e for e in self.entries if e.section == section and e.key in keys]
        return found[-1] if found else None

    def value(self, section: str, *keys: str) -> str:
        """Return what the last setting of ``keys`` in a section says, or nothing."""
        found = self.last(section, *keys)
        return found.value if found else ""

    def every(self, section: str, *keys: str) -> Iterator[Setting]:
        """Yield the settings of a section that have one of ``keys``; an empty one resets them."""
        found: list[Setting] = []
        for entry in self.entries:
            if entry.section == section and entry.key in keys:
                found = [*found, entry] if entry.value else []
        yield from found

    def groups(self, section: str) -> Iterator[dict[str, Setting]]:
        """Yield the settings of each occurrence of a section that may be repeated."""
        starts = [line for name, line in self.sections if name == section]
        ends = sorted(line for _, line in self.sections)
        for start in starts:
            end = next((line for line in ends if line > start), 1 << 30)
            yield {e.key: e for e in self.entries if start < e.line < end}


def read_ini(document: Document, rule: str) -> None:
    """Fill in ``data`` with the Settings of a file; report under ``rule`` what is none."""
    entries: list[Setting] = []
    heads: list[tuple[str, int]] = []
    for line, text in _joined(document.text):
        stripped = text.strip()
        if not stripped or stripped[0] in "#;":
            continue
        head = _SECTION.fullmatch(stripped)
        key, equals, value = stripped.partition("=")
        if head:
            heads.append((head[1], line))
        elif equals and key.strip() and heads:
            entries.append(Setting(heads[-1][0], key.strip(), value.strip(), line))
        else:
            message = f"{stripped[:40]!r} is neither a [Section] nor Key=value inside of one"
            cure = "write [Match], [Network] and the like, and Key=value below"
            document.report(rule, document.at(line), message, cure)
    document.data = Settings(tuple(entries), tuple(heads))
    document.marks = LabText(document.file)
    for name, line in heads:
        document.marks.keys[(name,)] = document.marks.values[(name,)] = Mark(line, 1)
    for entry in entries:
        document.marks.keys[(entry.section, entry.key)] = Mark(entry.line, 1)


def settings(document: Document) -> Settings:
    """Return the settings of a file that ``read_ini`` has read."""
    return document.data if isinstance(document.data, Settings) else Settings()


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines with their numbers; one that ends in a backslash goes on in the next."""
    begun, start = "", 0
    for line, raw in enumerate(text.splitlines(), 1):
        # podman takes a backslash for the last character where blanks are behind it.
        part = raw.rstrip()
        # systemd skips comments within a value that goes on.
        if begun and part.lstrip()[:1] in ("#", ";"):
            continue
        start = start if begun else line
        whole = begun + part
        if part.endswith("\\") and part.lstrip()[:1] not in ("#", ";"):
            begun = f"{whole[:-1]} "
            continue
        begun = ""
        yield start, whole
    if begun:
        yield start, begun
