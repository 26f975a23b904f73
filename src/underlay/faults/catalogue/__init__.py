"""The faults that Underlay knows, collected from the modules of this folder.

A class of a module that is a ``Fault`` with an id is a fault of a running lab. Faults that keep
a lab from starting are rows of a module's ``FAULTS``. Nothing else has to name them.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from underlay.faults.fault import Entry, Fault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

# What a module's ``SUBJECT`` may be, in the order in which faults are listed: from the wire
# upwards. Modules of one subject follow each other by name, a module's faults as they stand.
SUBJECTS = (
    "links",
    "drivers",
    "VLANs",
    "switch",
    "addresses",
    "neighbours",
    "routes",
    "filters",
    "bridges",
    "overlays",
    "multicast",
    "IPv6",
    "runtimes",
    "starting a lab",
)


def _modules() -> list[ModuleType]:
    found = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
    return sorted(found, key=lambda module: SUBJECTS.index(module.SUBJECT))


def _faults(module: ModuleType) -> Iterator[Fault]:
    """Make each fault that a module defines; a class without an id is what others share."""
    for value in vars(module).values():
        own = isinstance(value, type) and value.__module__ == module.__name__
        if own and issubclass(value, Fault) and "id" in vars(value):
            yield value()


RUNNING: tuple[Fault, ...] = tuple(fault for module in _modules() for fault in _faults(module))
BOOT: tuple[Entry, ...] = tuple(
    row for module in _modules() for row in getattr(module, "FAULTS", ())
)
