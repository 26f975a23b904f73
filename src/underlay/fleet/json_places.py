"""Where each key and value of a JSON text begins. Python's own reader doesn't tell.

YAML's reader would, for JSON is nearly YAML; but it takes milliseconds for each file, and a
fleet has hundreds of them.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right

from underlay.lab.nodes import MAX_DEPTH, Mark
from underlay.lab.text import LabText, Place

_TOKEN = re.compile(r'[ \t\r\n]*("(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+)')


def places_in(file: str, text: str) -> LabText:
    """Return the places of the keys and values in ``text``, which has been read as JSON.

    Of a key that stands there twice only the first place is told; none where it is nested too
    deep for a file that anybody writes.
    """
    reading = _Reading(file, text)
    try:
        reading.value(())
    except RecursionError:
        return LabText(file)
    return LabText(file) if reading.is_deep else reading.found


class _Reading:
    """A JSON text on the way: what was found, and the token that comes next."""

    def __init__(self, file: str, text: str) -> None:
        self.found = LabText(file)
        self.is_deep = False
        self._text = text
        self._lines = [0, *(match.end() for match in re.finditer("\n", text))]
        self._at, self._word, self._next = 0, "", 0
        self._go_on()

    def _go_on(self) -> str:
        """Take the next token, and return the one before."""
        before = self._word
        match = _TOKEN.match(self._text, self._next)
        if match is None:
            self._word = ""
        else:
            self._word, self._at, self._next = match[1], match.start(1), match.end()
        return before

    def _mark(self) -> Mark:
        line = bisect_right(self._lines, self._at)
        return Mark(line, self._at - self._lines[line - 1] + 1)

    def value(self, place: Place | None) -> None:
        """Read the value at ``place``, and note it; without a place it is passed over."""
        if place is not None:
            self.found.values[place] = self._mark()
            self.is_deep |= len(place) > MAX_DEPTH
        opened = self._go_on()
        if opened == "{":
            self._mapping(place)
        elif opened == "[":
            position = 0
            while self._word not in ("]", ""):
                self.value(None if place is None else (*place, position))
                position += 1
                if self._word == ",":
                    self._go_on()
            self._go_on()

    def _mapping(self, place: Place | None) -> None:
        seen: set[str] = set()
        while self._word not in ("}", ""):
            mark = self._mark()
            key = json.loads(self._go_on(), strict=False)
            self._go_on()
            inner = None if place is None or key in seen else (*place, key)
            seen.add(key)
            if inner is not None:
                self.found.keys[inner] = mark
            self.value(inner)
            if self._word == ",":
                self._go_on()
        self._go_on()
