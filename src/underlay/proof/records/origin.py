"""What is measured here and now is of: this commit, this machine, and what it stands on."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.cluster import checkout
from underlay.cluster.providers.uml.sandbox import memory_kib
from underlay.cluster.versions import versions
from underlay.proof.records.content import digests
from underlay.proof.records.schema import Machine, Origin
from underlay.storage.paths import root

if TYPE_CHECKING:
    from collections.abc import Iterable

PROCESSORS = Path("/proc/cpuinfo")


def here(parts: Iterable[str] = ()) -> Origin:
    """Return what is measured here and now is of, with the checkout as it is.

    ``parts`` are those that the rows depend on.
    """
    return Origin(
        commit=checkout.commit(root()) or None,
        dirty=checkout.dirty(root()),
        machine=this_machine(),
        kernel=platform.release(),
        packages={name: found for name, found in versions().items() if isinstance(found, str)},
        parts=digests(root(), parts) or None,
    )


def this_machine() -> Machine:
    """Return what is known of this machine's processors and memory."""
    named = re.search(r"^model name\s*: (.*)$", PROCESSORS.read_text(), re.MULTILINE)
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        memory_mib=memory_kib()["MemTotal"] >> 10,
        processor=named[1] if named else platform.machine(),
    )
