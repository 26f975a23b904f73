"""A node that Ignition makes: its files and units are on its disk before its first process starts.

Ignition itself runs on this host (cluster/ignition.py). What it makes comes as a tar file in the
place of a NoCloud ISO, with what Ignition's files stage isn't for: the account, the node program
and archives of images. The kernel starts a shell that lays it over the root and becomes systemd, at
the first boot alone.

Or it runs in an initrd (initrd.py): then the tar file has the configuration, and no tree.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.cluster import ignition
from underlay.cluster.image.build import add
from underlay.cluster.node_files import IMAGES_IN_SEED, PROGRAM_FILE, program
from underlay.cluster.providers.uml import initrd as first_boot
from underlay.cluster.providers.uml.account import OWNER, add_account, with_account
from underlay.errors import BadInput
from underlay.plan.naming import archive_name
from underlay.storage import temporary

if TYPE_CHECKING:
    from underlay.plan import Plan, PlannedNode

CONFIG = "ignition"
RENDERED = "config.ign"
SCRIPT = Path(__file__).with_name("ignited.sh")
ACCOUNT = Path(__file__).with_name("initrd_account.sh")
SEED = "usr/share/underlay/seed"
START = f"{SEED}/start"
# That the files stage is over; on the disk, as a second boot finds the root as the first left it.
APPLIED = "/var/lib/underlay/ignited"
ARCHIVES = f"var/lib/underlay/{IMAGES_IN_SEED}"
# Links to folders stay: /lib is one, and /etc/cni/net.d.
FIRST = (
    "[ -b /dev/ubdb ] || mount -t devtmpfs dev /dev; "
    f"[ -e {APPLIED} ] || {{ tar -xf /dev/ubdb -C / --keep-directory-symlink"
    f" && . /{START}; }} && exec /sbin/init"
)


def first_process() -> list[str]:
    """Return the words that end the command line of the kernel of a node that Ignition makes."""
    return ["init=/bin/sh", "--", "-c", f'"{FIRST}"']


def make_ignition_seed(plan: Plan, node: PlannedNode, files: Path, output: Path) -> None:
    """Write the tar file that makes a root ``node`` of ``plan``, from its rendered ``files``.

    Configurations of the user's own are applied first, so that what makes it a node stays.

    Raises BadInput where Ignition refuses the configuration among them, Infrastructure where it
    can't be run.
    """
    script = f"applied={APPLIED}\n".encode() + with_account(SCRIPT, plan)
    with tarfile.open(output, "w") as tar:
        if first_boot.wanted(node):
            _add_configuration(tar, plan, node, files)
        else:
            _add_tree(tar, plan, node, files)
        add_account(tar, plan)
        add(tar, START, script)
        add(tar, PROGRAM_FILE[1:], program(), 0o755)
        add(tar, "var/lib/underlay", None, 0o755)
        for number, path in enumerate(plan.images):
            tar.add(Path(path).resolve(), f"{ARCHIVES}/{archive_name(number)}")


def _add_tree(tar: tarfile.TarFile, plan: Plan, node: PlannedNode, files: Path) -> None:
    """Add to ``tar`` what Ignition makes here of the configurations of ``node``."""
    with temporary.folder("ignition-tree") as own:
        theirs = configurations(node)
        ignition.apply(files / RENDERED, own / "tree.tar", theirs, accounts(plan) if theirs else {})
        asked = {path for text in theirs.values() for path in folders(text)}
        with tarfile.open(own / "tree.tar") as tree:
            for entry in tree:
                # Folders are just the way to its files: those that a root has keep their modes.
                if not entry.isdir() or entry.name.removeprefix(".") in asked:
                    tar.addfile(entry, tree.extractfile(entry) if entry.isreg() else None)


def _add_configuration(tar: tarfile.TarFile, plan: Plan, node: PlannedNode, files: Path) -> None:
    """Add to ``tar`` what the initrd hands to Ignition, and what makes the account before it."""
    texts = [*configurations(node).values(), (files / RENDERED).read_text()]
    account = with_account(ACCOUNT, plan)
    add(tar, f"{SEED}/user.ign", first_boot.merged(texts).encode(), 0o600)
    add(tar, f"{SEED}/account", account, 0o600)


def initrd() -> Path:
    """Return the initrd in which Ignition makes nodes; see initrd.py for what it raises."""
    return first_boot.initrd(APPLIED, SEED)


def configurations(node: PlannedNode) -> dict[str, str]:
    """Return the configurations of the user's own that ``node`` has, by where they lie.

    Those of a later specification are as of another one where the lab says so.
    """
    texts = {one.source: one.text for one in node.own if one.program == CONFIG}
    if not node.ignition_as:
        return texts
    from underlay.fleet.formats.ignition import read_as

    return {source: read_as(text, node.ignition_as) for source, text in texts.items()}


def rewritten(plan: Plan) -> list[str]:
    """Return in words which configurations are read as of another specification than they say."""
    others = [
        (node, one)
        for node in plan.nodes
        for one in node.own
        if one.program == CONFIG and configurations(node)[one.source] != one.text
    ]
    if not others:
        return []
    from underlay.fleet.formats.ignition import version_of

    return [
        f"{one.source} says version {version_of(one.text)}, and is read as {node.ignition_as}"
        for node, one in others
    ]


def refuse(plan: Plan) -> None:
    """Raise BadInput where a node that Ignition makes has files that nobody there can act on.

    Those are configurations newer than Debian's Ignition, and user-data: cloud-init is off.
    """
    for node in (one for one in plan.nodes if one.config == CONFIG):
        for file in node.own:
            if file.program == "user-data":
                raise BadInput(
                    f"{file.source}: cloud-init's user-data, and Ignition makes {node.name}",
                    hint="leave out `config: ignition`, or take the file out of the host's folder",
                )
        for source, text in configurations(node).items():
            ignition.refuse_newer(source, text)


def folders(config: str) -> set[str]:
    """Return the folders that a configuration itself asks for."""
    storage = json.loads(config).get("storage") or {}
    return {one["path"].rstrip("/") for one in storage.get("directories") or ()}


def accounts(plan: Plan) -> dict[str, str]:
    """Return the files by which Ignition finds a node's accounts: root's, and the user's."""
    users = {"root": 0, plan.user: 0 if plan.user == "root" else OWNER}
    return {
        "etc/passwd": "".join(f"{name}:x:{id}:{id}::/:/bin/sh\n" for name, id in users.items()),
        "etc/group": "".join(f"{name}:x:{id}:\n" for name, id in users.items()),
    }
