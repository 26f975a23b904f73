"""Asking a libvirtd by its URI, as vagrant-libvirt does, by argument lists only.

``LIBVIRT_DEFAULT_URI`` chooses another one than the system's, as it does for virsh
and for vagrant-libvirt. Which one a lab has is said by ``own.uri_of``.
"""

from __future__ import annotations

import getpass
import re
import shutil
import uuid
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from underlay.cluster.process import run, tail
from underlay.cluster.requirements.machine import packages
from underlay.errors import Infrastructure

if TYPE_CHECKING:
    from pathlib import Path

DEADLINE = 30.0
DEFAULT_URI = "qemu:///system"
# The variable by which users choose.
URI = "LIBVIRT_DEFAULT_URI"
PACKAGES = "packages-libvirt.txt"


def virsh(uri: str, *words: str, check: bool = True) -> str:
    """Run virsh with ``words`` and return what it prints; raise Infrastructure where it fails."""
    done = run(["virsh", "--quiet", "--connect", uri, *words], deadline=DEADLINE, check=False)
    if done.returncode and check:
        raise Infrastructure(f"virsh {words[0]} failed", detail=tail(done.stderr))
    return done.stdout


def require(uri: str) -> None:
    """Raise Infrastructure, with the command that mends it, unless libvirtd can be used.

    What virsh said is its detail; it has none where there is no virsh.
    """
    if shutil.which("virsh") is None:
        names = [package for package, _, _ in packages(PACKAGES)]
        raise Infrastructure(
            "libvirt is not installed", hint=f"sudo apt-get install {' '.join(names)}"
        )
    try:
        virsh(uri, "net-list")
    except Infrastructure as error:
        if re.search("denied|authentication", error.detail, re.IGNORECASE):
            raise Infrastructure(
                "this user may not use the system's libvirtd: it takes root or the group libvirt",
                detail=error.detail,
                hint=f"sudo usermod --append --groups libvirt {getpass.getuser()}"
                "  and log in again",
            ) from error
        raise Infrastructure(
            "libvirtd does not answer",
            detail=error.detail,
            hint="sudo systemctl start libvirtd",
        ) from error


def identity(state: Path, kind: str, name: str = "") -> str:
    """Return the UUID of a lab's thing: the same whenever asked, another one in any other lab."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"underlay:{state}:{kind}:{name}"))


def known(uri: str, kind: str) -> set[str]:
    """Return the UUIDs of all things of a ``kind`` that virsh lists: domain, net or pool."""
    if kind == "pool":
        # pool-list has no UUID column alone before libvirt 11.4.
        names = virsh(uri, "pool-list", "--all", "--name").split()
        return {virsh(uri, "pool-uuid", name, check=False).strip() for name in names}
    words = ("list",) if kind == "domain" else (f"{kind}-list",)
    return set(virsh(uri, *words, "--all", "--uuid").split())


def running(uri: str) -> set[str]:
    """Return the UUIDs of the domains that run."""
    return set(virsh(uri, "list", "--state-running", "--uuid").split())


def qemu_user(uri: str) -> int:
    """Return the number of the user that libvirtd runs qemu as; 0 is root."""
    host = ElementTree.fromstring(virsh(uri, "capabilities"))  # noqa: S314 -- libvirtd's own
    for model in host.iter("secmodel"):
        if model.findtext("model") == "dac":
            label = model.findtext("baselabel") or ""
            return int(label.partition(":")[0].lstrip("+") or 0)
    return 0
