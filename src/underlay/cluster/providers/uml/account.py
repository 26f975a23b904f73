"""The account that people and Underlay log in to, on nodes that no cloud-init makes one on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from underlay.cluster.image.build import add
from underlay.cluster.ssh import key_file

if TYPE_CHECKING:
    import tarfile

    from underlay.plan import Plan

SCRIPT = Path(__file__).with_name("account.sh")
OWNER = 1000


def with_account(script: Path, plan: Plan) -> bytes:
    """Return a shell ``script`` that makes the account of ``plan`` where it says ``. account``."""
    own = SCRIPT.read_bytes()
    return f"user={plan.user}\n".encode() + script.read_bytes().replace(b". account\n", own)


def add_account(tar: tarfile.TarFile, plan: Plan) -> None:
    """Add to ``tar`` the home of the account of ``plan``, the lab's key in it, and its rights."""
    home = "root" if plan.user == "root" else f"home/{plan.user}"
    owner = 0 if plan.user == "root" else OWNER
    key = key_file(plan.lab).with_suffix(".pub").read_bytes()
    sudo = f"{plan.user} ALL=(ALL) NOPASSWD:ALL\n"
    add(tar, "etc/sudoers.d/90-underlay", sudo.encode(), 0o440)
    add(tar, home, None, 0o700, owner)
    add(tar, f"{home}/.ssh", None, 0o700, owner)
    add(tar, f"{home}/.ssh/authorized_keys", key, 0o600, owner)
