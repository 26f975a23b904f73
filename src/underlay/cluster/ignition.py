"""Debian's Ignition, run here: the files and units of a configuration, as a tar file for a root.

It is the binary of Ignition's dracut module, which under the name ``ignition-apply`` does the
files stage on a tree, as for an image that is built. It refuses to run on what isn't a container,
so it gets a namespace that looks like one, in which it may do nothing to this host.
"""

from __future__ import annotations

import getpass
import os
import re
from typing import TYPE_CHECKING

from underlay.cluster.process import run, tail
from underlay.errors import BadInput, Infrastructure
from underlay.storage import temporary

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

BINARY = "/usr/lib/dracut/modules.d/30ignition/ignition"
VALIDATE = "ignition-validate"
DEADLINE = 60.0
# In the namespace: the tree is $1, the configuration $2, the tar file $3, and $4 a folder with
# configurations of the user's own, which come first. What was put into the tree for Ignition to
# read, $5 and the rest, isn't Ignition's work.
APPLY = f"""\
set -e
mount -t tmpfs tmpfs /run
: >/run/.containerenv
ln -s {BINARY} /run/ignition-apply
apply="/run/ignition-apply --offline"
tree=$1 config=$2 out=$3 own=$4
shift 4
for each in "$own"/*.ign; do
    [ ! -e "$each" ] || $apply --ignore-unsupported --root "$tree" "$each" >&2
done
$apply --root "$tree" "$config" >&2
cd "$tree"
rm -f -- "$@"
exec tar --create --file "$out" --numeric-owner --sort=name --mtime=@0 .
"""
UNSHARE = ("unshare", "--user", "--map-root-user", "--mount")
# Files of the user's own may belong to others than root: to root all ids are there to be had, and
# to others those that images are built with (subuid(5)).
EVERYBODY = {
    True: ("unshare", "--user", "--map-users=all", "--map-groups=all", "--mount"),
    False: ("unshare", "--user", "--map-root-user", "--map-auto", "--mount"),
}
# Its log says each step twice; what went wrong it says once.
SAID = re.compile(r"^(?:CRITICAL|ERR|error|ERROR)\s*: *(.*)$", re.MULTILINE)


def apply(
    config: Path,
    output: Path,
    own: Mapping[str, str] | None = None,
    given: Mapping[str, str] | None = None,
) -> None:
    """Write to ``output`` a tar file of what Ignition makes of ``config`` on an empty tree.

    ``own`` are configurations that come before it, by where their user has them: of these, what
    the files stage isn't for is left out. ``given`` are files that Ignition finds in the tree and
    that aren't in the tar file: path, relative to the root, and content. Raises BadInput with
    Ignition's words where it refuses a configuration, Infrastructure where it can't be run.
    """
    own, given = own or {}, given or {}
    with temporary.folder("ignition") as folder:
        tree = folder / "root"
        tree.mkdir(mode=0o755)
        for name, content in given.items():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_text(content)
        for number, text in enumerate(own.values()):
            (folder / f"{number:03}.ign").write_text(text)
        words = [str(tree), str(config.absolute()), str(output.absolute()), str(folder), *given]
        space = EVERYBODY[os.geteuid() == 0] if own else UNSHARE
        done = run(
            [*space, "sh", "-c", APPLY, "sh", *words],
            deadline=DEADLINE,
            check=False,
            name="ignition-apply",
        )
    if done.returncode:
        said = SAID.findall(done.stderr)
        if not said:
            if own:
                _refuse_without_ids(done.stderr)
            raise Infrastructure(
                "Ignition could not be run here", detail=tail(done.stderr), hint="underlay doctor"
            )
        from underlay.fleet.formats.ignition import NEWEST

        raise BadInput(
            f"Ignition refuses {' or '.join(own) or config.name}: {said[-1]}",
            detail=tail(done.stderr),
            hint=f"Debian's Ignition knows specifications up to {NEWEST}",
        )


def _refuse_without_ids(said: str) -> None:
    """Raise Infrastructure where the user has no ids for the owners of files of their own."""
    from underlay.cluster.requirements.machine import subordinate_ids

    row = subordinate_ids()
    if row is not None and not row.ok:
        raise Infrastructure(
            "Ignition could not be run here: hosts' files may belong to any account, and"
            f" {row.found}",
            detail=tail(said),
            hint=f"{row.fix}\nor a line {getpass.getuser()}:100000:65536 in each of the two files",
        )


def refuse_newer(source: str, text: str) -> None:
    """Raise BadInput where a configuration, which lies at ``source``, is newer than Ignition here.

    A text that isn't one is left to Ignition.
    """
    from underlay.fleet.formats.ignition import is_newer, not_judged, version_of

    version = version_of(text)
    if version and is_newer(version):
        message, hint = not_judged(version)
        raise BadInput(f"{source}: {message}", hint=hint)


def validate(config: Path) -> str:
    """Return what ``ignition-validate`` finds wrong with ``config``; empty where it takes it.

    Raises Infrastructure where it can't be run.
    """
    done = run([VALIDATE, str(config)], deadline=DEADLINE, check=False)
    return "" if done.returncode == 0 else tail(done.stderr or done.stdout)
