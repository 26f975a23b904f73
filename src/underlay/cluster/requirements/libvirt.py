"""What a machine must have for the provider libvirt: more rows of ``underlay doctor``."""

from __future__ import annotations

from underlay.cluster.image import build as image
from underlay.cluster.providers.libvirt import kvm
from underlay.cluster.providers.libvirt.virsh import PACKAGES, require
from underlay.cluster.requirements.machine import Row, package_rows
from underlay.errors import UnderlayError


def libvirt_rows() -> list[Row]:
    """Return a row per package, and whether libvirtd answers and KVM runs the kernel."""
    rows = list(package_rows(PACKAGES))
    if all(row.ok for row in rows):
        rows += [_daemon(), _kvm()]
    return rows


def _daemon() -> Row:
    needed = "a libvirtd that this user may use: root or the group libvirt"
    try:
        require()
    except UnderlayError as error:
        return Row("libvirtd", error.message, needed, error.hint, ok=False)
    return Row("libvirtd", "answers", needed, "", ok=True)


def _kvm() -> Row:
    """KVM is a matter of speed alone: the row is well either way."""
    ours = image.current()
    if not ours.exists:
        return Row("KVM", "unknown before the image is built", "", "", ok=True)
    answer = kvm.probe(ours.kernel, ours.initrd)
    said = "runs the kernel" if answer.works else f"unusable ({answer.reason}): emulating instead"
    return Row("KVM", said, "", "", ok=True)
