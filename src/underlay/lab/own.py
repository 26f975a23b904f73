"""What a lab has of hosts' own files beside its keys: the files, and what is made of which."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from underlay.errors import Spot


@dataclass(frozen=True)
class HostFile:
    """A file of a host's: its ``path`` there, absolute, and the ``program`` that it is for.

    ``text`` is its content word for word, ``mode`` its permissions, and ``source`` where it lies,
    as the user sees it.
    """

    path: str
    program: str
    text: str
    mode: int
    source: str


@dataclass(frozen=True)
class Origin:
    """Where ``what`` is said of a network on a node, or of a node's own interface without one.

    ``what`` is a word such as parent or range, or the interface's name.
    """

    network: str
    node: str
    what: str
    spot: Spot


@dataclass(frozen=True)
class Renamed:
    """An interface that a host's files call ``name``, and that its node has as ``called``."""

    node: str
    name: str
    called: str
    spot: Spot


@dataclass(frozen=True)
class Own:
    """Which files nodes have of their own, which make networks, and which start containers.

    ``files`` are by node; ``makers`` have the path of the file by network and node; ``starters``
    by the position of the group of containers and the node. ``origins`` say where what the lab is
    made of stands in the files, and ``renamed`` are interfaces that nodes call otherwise.
    """

    files: dict[str, tuple[HostFile, ...]] = field(default_factory=dict)
    makers: dict[str, dict[str, str]] = field(default_factory=dict)
    starters: dict[tuple[int, str], str] = field(default_factory=dict)
    origins: tuple[Origin, ...] = ()
    renamed: tuple[Renamed, ...] = ()


NOTHING_OWN = Own()
