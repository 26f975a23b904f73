"""networkd: from the moment that a node becomes another lab's, its interfaces are made here alone.

At first boot networkd gives NICs and VLANs their addresses, from cloud-init's files. Left at
work, it would bring the old lab's addresses back as soon as a link goes down and up again;
told of new ones, it would make them side by side with this program, each undoing what the
other has done. Stopped, it leaves all static configuration in place.
"""

from __future__ import annotations

import os

from .commands import run

# systemd's own note that the unit is active.
ACTIVE = "/run/systemd/units/invocation:systemd-networkd.service"
UNITS = ("systemd-networkd.socket", "systemd-networkd.service")


def let_go() -> None:
    """Stop networkd, unless that has been done; a lean node has none."""
    if os.path.lexists(ACTIVE):
        run(["systemctl", "stop", *UNITS], check=False)
