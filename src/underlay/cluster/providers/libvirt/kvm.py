"""Whether KVM runs this very kernel on this machine: found out by booting it, under a deadline.

``/dev/kvm`` may open and a distribution's kernel hang under it all the same, as it
does in some virtual machines that offer nesting. The answer is kept until the next
boot of this machine or another kernel.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from underlay.cluster.process import run, tail
from underlay.cluster.providers.uml.sandbox import boot_id
from underlay.errors import Infrastructure, reason
from underlay.storage import paths
from underlay.storage.writing import write_whole

if TYPE_CHECKING:
    from pathlib import Path

DEADLINE = 15.0
DEVICE = "/dev/kvm"
QEMU = "qemu-system-x86_64"
WORD = "underlay: the kernel runs"


@dataclass(frozen=True)
class Answer:
    """Whether KVM works, and why not where it doesn't."""

    works: bool
    reason: str


def probe(kernel: Path, initrd: Path) -> Answer:
    """Return whether ``kernel`` boots to its ``initrd`` under KVM; asked once per boot."""
    digest = hashlib.sha256(boot_id().encode())
    digest.update(kernel.read_bytes())
    digest.update(initrd.read_bytes())
    # An ordinary user and root may differ in what /dev/kvm lets them do.
    digest.update(str(os.getuid()).encode())
    file = paths.cache() / "kvm" / f"{digest.hexdigest()[:16]}.json"
    try:
        return Answer(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        answer = _boot(kernel, initrd)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, json.dumps(asdict(answer)) + "\n")
    return answer


def _boot(kernel: Path, initrd: Path) -> Answer:
    try:
        os.close(os.open(DEVICE, os.O_RDWR))
    except OSError as error:
        return Answer(works=False, reason=f"{DEVICE}: {reason(error)}")
    arguments = [
        "timeout", "--signal=KILL", str(int(DEADLINE)),
        QEMU, "-machine", "pc,accel=kvm", "-cpu", "host", "-m", "256", "-nodefaults",
        "-display", "none", "-serial", "stdio", "-monitor", "none", "-no-reboot",
        "-kernel", str(kernel), "-initrd", str(initrd),
        "-append", "console=ttyS0 quiet underlay.probe",
    ]  # fmt: skip
    try:
        done = run(arguments, deadline=DEADLINE + 5, check=False)
    except Infrastructure as error:
        return Answer(works=False, reason=error.message)
    if WORD in done.stdout:
        return Answer(works=True, reason="")
    errors = [line for line in done.stderr.splitlines() if "KVM" in line or "kvm" in line]
    said = errors[0] if errors else tail(done.stderr, 1)
    return Answer(works=False, reason=said or f"no sign of life within {DEADLINE:.0f} s")
