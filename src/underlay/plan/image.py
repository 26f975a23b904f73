"""The image of the user's own in a plan; there is none where nodes boot Underlay's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from underlay.lab import Lab


@dataclass(frozen=True)
class PlannedImage:
    """Files of the user's own that nodes boot; ``kernel`` and ``initrd`` may be empty."""

    path: str
    kernel: str
    initrd: str


def plan_image(lab: Lab) -> PlannedImage | None:
    """Return the image that ``lab`` names, or None."""
    own = lab.image
    return PlannedImage(own.path, own.kernel or "", own.initrd or "") if own else None


def image_from(data: Mapping[str, str] | None) -> PlannedImage | None:
    """Return the image that a plan's JSON holds, or None."""
    return PlannedImage(**data) if data else None
