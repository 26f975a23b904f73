"""``underlay --version``: Underlay's own version, and those of what it stands on."""

from __future__ import annotations

import json

from underlay.cluster.versions import versions

LABELS = {
    "underlay": "underlay",
    "python": "Python",
    "vagrant": "Vagrant",
    "ansible": "ansible-core",
    "kernel": "User Mode Linux",
    "image": "nodes' image",
}


def show(as_json: bool) -> None:
    """Print all versions, Underlay's own in the first line, or one JSON document of them."""
    current = versions()
    if as_json:
        from underlay.report.documents.kinds import stamped

        print(json.dumps(stamped("version", current), indent=2))
        return
    for name, label in LABELS.items():
        built = "" if name != "image" or current["image_built"] else " (not built)"
        print(f"{label} {current[name]}{built}")
