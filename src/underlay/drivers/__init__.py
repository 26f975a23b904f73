"""The drivers of containers' networks: one value in one file each.

A module of this folder with a ``DRIVER`` is a driver; others hold what drivers share. They are
collected here, so that a file is all that a driver takes to be known.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import TYPE_CHECKING

from underlay.drivers.driver import NONE, Driver

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DRIVERS", "NONE", "Driver", "driver"]


def _collected() -> Iterator[Driver]:
    for module in pkgutil.iter_modules(__path__):
        found = getattr(import_module(f"{__name__}.{module.name}"), "DRIVER", None)
        if isinstance(found, Driver):
            yield found


# By name, in the order in which people are told them.
DRIVERS: dict[str, Driver] = {
    one.name: one for one in sorted(_collected(), key=lambda one: one.position)
}


def driver(name: str) -> Driver:
    """Return the driver called ``name``; the empty name is a machine's own interface's.

    Raises KeyError for a name that no driver has.
    """
    return DRIVERS[name] if name else NONE
