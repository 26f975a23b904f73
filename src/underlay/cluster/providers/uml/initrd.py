"""The initrd in which Ignition runs at a node's first boot, as on CoreOS; made on first use.

It holds Debian's Ignition as this host has it, with the libraries that it is linked to, a static
busybox and a script. Nodes share it: a node's configuration is in its seed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.cluster.ignition import BINARY
from underlay.cluster.process import run
from underlay.errors import Infrastructure
from underlay.storage import paths
from underlay.storage.writing import whole

if TYPE_CHECKING:
    from underlay.plan import PlannedNode

WHERE = "initrd"
SCRIPT = Path(__file__).with_name("initrd.sh")
BUSYBOX = "/usr/bin/busybox"
APPLETS = (
    "chmod", "chroot", "cp", "grep", "mkdir", "mount", "mv", "rm", "rmdir", "sh", "switch_root",
    "tar", "umount",
)  # fmt: skip
FOLDERS = ("bin", "dev", "proc", "run", "sys", "sysroot", "tmp", "usr/lib/ignition")
# Ignition has these of its initrd's make accounts in the root that it names: `--root /sysroot`.
# The root's own do the same there.
ACCOUNTS = ("groupadd", "groupdel", "useradd", "userdel", "usermod")
IN_ROOT = """\
#!/bin/busybox sh
root=$2
shift 2
exec chroot "$root" /usr/sbin/{name} "$@"
"""
NOTHING = "#!/bin/busybox sh\n"
LINKED = re.compile(r"(/\S+) \(0x")
# What initrd.sh says before it ends a node that it can't make.
FAILED = re.compile(r"^underlay: (.+)$", re.MULTILINE)
FOLDER, PROGRAM, LINK = stat.S_IFDIR | 0o755, stat.S_IFREG | 0o755, stat.S_IFLNK | 0o777
CONSOLE = stat.S_IFCHR | 0o600


def wanted(node: PlannedNode) -> bool:
    """Whether Ignition makes ``node`` in its initrd, and not on this host."""
    return node.config == "ignition" and node.ignition_in == WHERE


def failure(node: PlannedNode, console: str) -> Infrastructure | None:
    """Return why Ignition hasn't made ``node``, as the end of its console says; None where it has.

    A stage that fails has its configuration for a reason, and the image none of it.
    """
    said = FAILED.findall(console) if wanted(node) else []
    if not said:
        return None
    hint = "underlay image build --force"
    if "Ignition" in said[-1]:
        hint = (
            "mend the configuration that Ignition's words name; `underlay render` writes each"
            " node's config.ign"
        )
    return Infrastructure(f"{node.name}: {said[-1]}", hint=hint)


def initrd(applied: str, seed: str) -> Path:
    """Return the initrd, a cpio archive that isn't compressed: to unpack one takes nodes a second.

    It does nothing on a root that has the file ``applied``, and finds in the folder ``seed`` of the
    tar file on the second disk ``user.ign``, the configuration, and ``account``, a shell script.
    Raises Infrastructure where this host's Ignition can't be read.
    """
    head = f"#!/bin/busybox sh\nAPPLIED={applied} SEED={seed}\n"
    first = (head + SCRIPT.read_text().partition("\n")[2]).encode()
    linked = LINKED.findall(run(["ldd", BINARY], deadline=20).stdout)
    files = {name.lstrip("/"): Path(name).read_bytes() for name in linked}
    files |= {"bin/busybox": Path(BUSYBOX).read_bytes(), "bin/ignition": Path(BINARY).read_bytes()}
    files |= {f"bin/{name}": IN_ROOT.format(name=name).encode() for name in ACCOUNTS}
    files |= {"bin/setfiles": NOTHING.encode(), "init": first}
    archive = cpio(files)
    digest = hashlib.sha256(archive).hexdigest()[:16]
    made = paths.cache() / "uml" / f"ignition-{digest}.cpio"
    if not made.exists():
        made.parent.mkdir(parents=True, exist_ok=True)
        with whole(made) as fresh:
            fresh.write_bytes(archive)
    return made


def merged(configurations: Iterable[str]) -> str:
    """Return one configuration that merges ``configurations``; of two that differ the later wins.

    See https://coreos.github.io/ignition/configuration-v3_3/, ignition.config.merge.
    """
    sources = (
        "data:;base64," + base64.b64encode(text.encode()).decode() for text in configurations
    )
    merge = [{"source": source} for source in sources]
    return json.dumps({"ignition": {"version": "3.3.0", "config": {"merge": merge}}})


def cpio(files: Mapping[str, bytes]) -> bytes:
    """Return an archive of programs, path and content, with their folders and busybox's applets.

    Its format is "newc": Documentation/driver-api/early-userspace/buffer-format.rst.
    """
    above = {
        str(parent)
        for name in (*files, *(f"{one}/any" for one in FOLDERS))
        for parent in Path(name).parents
    } - {"."}
    entries = [(name, FOLDER, b"", (0, 0)) for name in sorted(above)]
    entries.append(("dev/console", CONSOLE, b"", (5, 1)))
    entries += [(name, PROGRAM, data, (0, 0)) for name, data in files.items()]
    entries += [(f"bin/{name}", LINK, b"busybox", (0, 0)) for name in APPLETS]
    entries.append(("TRAILER!!!", 0, b"", (0, 0)))
    parts = []
    for number, (name, mode, data, device) in enumerate(entries, 1):
        path = name.encode() + b"\0"
        # Inode, mode, owner, group, links, time, size, its device, the device, name's size, check.
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0)
        header = b"070701" + b"".join(b"%08x" % field for field in fields) + path
        parts += [header, b"\0" * (-len(header) % 4), data, b"\0" * (-len(data) % 4)]
    return b"".join(parts)
