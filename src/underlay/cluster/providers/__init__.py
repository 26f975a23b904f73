"""Providers of nodes: a package for each, with its class as ``PROVIDER`` in ``provider.py``.

They are found by their folders, and only the one asked for is imported.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from underlay.errors import BadInput

if TYPE_CHECKING:
    from underlay.cluster.providers.base import Provider

DEFAULT = "uml"
NAMES: tuple[str, ...] = (
    DEFAULT,
    *sorted(m.name for m in iter_modules(__path__) if m.ispkg and m.name != DEFAULT),
)


def provider(name: str) -> Provider:
    """Return the provider called ``name``; raise BadInput where there is none."""
    if name not in NAMES:
        raise BadInput(f"there is no provider {name!r}", hint=f"providers: {', '.join(NAMES)}")
    made: Provider = import_module(f"{__name__}.{name}.provider").PROVIDER()
    return made
