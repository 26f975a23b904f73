"""What makes a node a lab's: its rendered files, and the node program that applies them.

At a node's boot they come by a seed, which cloud-init reads; to one that runs, over ssh.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any

from underlay.cluster import ssh
from underlay.cluster.pieces import IN_PIECES
from underlay.cluster.process import refuse, run, run_bytes, tail
from underlay.errors import Infrastructure
from underlay.plan import NET_D
from underlay.plan.naming import archive_name
from underlay.storage import paths, temporary

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from underlay.plan import Plan

PROGRAM = "underlay_node"
# Where the program is on a node, for its boot and for whoever asks it something: not below /usr,
# which is another one after an update.
PROGRAM_FILE = "/opt/underlay/node"
START = """\
import sys
from underlay_node.command_line import main
sys.exit(main(sys.argv[1:]))
"""
# The folders of a node's rendered files, and where they belong on the node. What lies
# beside them, the seed, is cloud-init's alone.
TARGETS = {
    "net.d": NET_D,
    "docker": "/etc/underlay/docker",
    "podman": "/etc/containers/networks",
    "filters": "/etc/underlay/filters",
}
NODE_FILE = "/etc/underlay/node.json"
# A zip file's dates start here; the same program is the same bytes.
EPOCH = (1980, 1, 1, 0, 0, 0)
# What cloud-config/user-data.yml.j2 looks for beside the seed.
PROGRAM_IN_SEED = "node"
IMAGES_IN_SEED = "images"
# s for each archive of an image, which may hold a gigabyte.
ARCHIVE_DEADLINE = 60.0
APPLY_DEADLINE = 300.0
# The program comes first on standard input, then the files. It runs in the Python that has just
# been started, from a folder in memory where that Python keeps what it has compiled: most of what
# a switch takes on a node would be the compiler. Its file is for a person who looks, for commands
# inside containers, and for the next boot.
UNPACKED = "/run/underlay/node-"
TAKE = f"""\
import os, sys
text = sys.stdin.buffer.read(int(sys.argv[1]))
folder = {UNPACKED!r} + sys.argv[2]
if not os.path.isdir(folder):
    import io, zipfile
    fresh = folder + ".new-%d" % os.getpid()
    zipfile.ZipFile(io.BytesIO(text)).extractall(fresh)
    try:
        os.rename(fresh, folder)
    except OSError:
        # Somebody else was first; what is there is the same.
        pass
try:
    with open({PROGRAM_FILE!r}, "rb") as file:
        known = file.read()
except OSError:
    known = b""
if known != text:
    os.makedirs(os.path.dirname({PROGRAM_FILE!r}), exist_ok=True)
    with open({PROGRAM_FILE!r} + ".new", "wb") as file:
        file.write(text)
    os.chmod(file.name, 0o755)
    os.replace(file.name, {PROGRAM_FILE!r})
sys.path.insert(0, folder)
from {PROGRAM}.command_line import main
sys.exit(main(["-"]))
"""


@cache
def program() -> bytes:
    """Return the node program as a file that a node's Python runs as it is (zipapp)."""
    folder = paths.root() / "ansible" / "module_utils" / PROGRAM
    made = io.BytesIO()
    made.write(b"#!/usr/bin/python3\n")
    with zipfile.ZipFile(made, "a", zipfile.ZIP_DEFLATED) as archive:
        texts = {f"{PROGRAM}/{path.name}": path.read_text() for path in folder.glob("*.py")}
        for name, text in sorted({**texts, "__main__.py": START}.items()):
            archive.writestr(zipfile.ZipInfo(name, EPOCH), text, zipfile.ZIP_DEFLATED)
    return made.getvalue()


def files_of(files: Path) -> dict[str, str]:
    """Return path on the node → content, from the folder of one node's rendered ``files``.

    Raises Infrastructure where they aren't those that node.json lists.
    """
    found = {NODE_FILE: (files / "node.json").read_text(encoding="utf-8")}
    for name, target in TARGETS.items():
        for path in sorted((files / name).glob("*")):
            found[f"{target}/{path.name}"] = path.read_text(encoding="utf-8")
    listed = json.loads(found[NODE_FILE])["files"]
    if set(listed) != set(found):
        raise Infrastructure(
            f"{files} does not hold the files that its node.json lists",
            detail="\n".join(sorted(set(listed) ^ set(found))),
            hint="underlay down  and  underlay up  render them anew",
        )
    return found


def make_seed(files: Path, output: Path, archives: Sequence[str] = ()) -> None:
    """Write the NoCloud seed ISO of one node from its rendered ``files`` folder.

    Beside the three files of a seed it holds the node program, so that an image
    needn't be built anew when the program changes, and the ``archives`` of containers' images.
    """
    names = ("user-data", "meta-data", "network-config")
    # Of its own: seeds of several nodes may be made beside one another, all at once.
    with temporary.folder("seed") as own:
        started = own / PROGRAM_IN_SEED
        started.write_bytes(program())
        held = own / IMAGES_IN_SEED
        for number, path in enumerate(archives):
            held.mkdir(exist_ok=True)
            # Two may be called alike, and a name may hold what an option takes for its own.
            (held / archive_name(number)).symlink_to(path)
        # Of a folder xorriso takes what is in it.
        beside = ["-follow-links", str(own)] if archives else [str(started)]
        run(
            ["xorrisofs", "-quiet", "-volid", "cidata", "-joliet", "-rock", "-output", str(output),
             *(str(files / name) for name in names), *beside],
            deadline=60 + ARCHIVE_DEADLINE * len(archives),
        )  # fmt: skip


def apply(plan: Plan, state: Path, files: Path) -> dict[str, dict[str, Any]]:
    """Make every node of ``plan`` what the rendered ``files`` say, and return their reports.

    ``state`` is the lab's state folder, with ssh_config. A report is the node program's
    document: ``changed``, ``changes``, ``containers``, ``failed``, ``seconds``. Raises
    Infrastructure, naming each node, where one can't be reached or something failed there.
    """
    with ThreadPoolExecutor(len(plan.nodes)) as pool:
        applying = {
            node.name: pool.submit(_apply, state / "ssh_config", node.name, files / node.name)
            for node in plan.nodes
        }
    reports: dict[str, dict[str, Any]] = {}
    failures, details = [], []
    for node, answer in applying.items():
        try:
            reports[node] = answer.result()
            failures += judge(reports[node], plan, node, files / node)
        except Infrastructure as error:
            failures.append(f"{node}: {error.message}")
            details.append(error.detail)
    refuse(failures, "\n".join([*filter(None, details), f"the nodes are not all {plan.lab} yet"]))
    return reports


def judge(said: Any, plan: Plan, node: str, files: Path) -> list[str]:
    """Return what is wrong with a node's statement that it is ``node`` of ``plan``.

    ``files`` is the folder of its rendered files. The node's own words come first; each line
    begins with its name.
    """
    if not isinstance(said, dict) or not isinstance(said.get("files", {}), dict):
        return [f"{node}: did not say whether it is ready: {said!r}"]
    failed = [f"{node}: {each}" for each in said.get("failed", ["does not say what failed"])]
    has, rendered = said.get("files", {}), files_of(files)
    failed += [
        f"{node}: {path} is not the one that was rendered"
        for path, text in rendered.items()
        if has.get(path) != digest(text)
    ]
    wanted = {
        "lab": plan.lab,
        "node": node,
        "containers": sum(container.node == node for container in plan.containers),
    }
    return failed or [
        f"{node}: says that its {key} is {said.get(key)!r}, expected {value!r}"
        for key, value in wanted.items()
        if said.get(key) != value
    ]


def digest(text: str) -> str:
    """Return what a node says of a file where that holds ``text``."""
    return hashlib.sha256(text.encode()).hexdigest()


def _apply(config: Path, node: str, files: Path) -> dict[str, Any]:
    """Run the node program on one node; return its report."""
    text = json.dumps({"files": files_of(files)}).encode()
    carried = [str(len(program())), hashlib.sha256(program()).hexdigest()[:16]]
    words = ["sudo", "-n", *IN_PIECES, "python3", "-I", "-S", "-c", TAKE, *carried]
    asked = ssh.command(config, node, words)
    done = run_bytes(asked, program() + text, deadline=APPLY_DEADLINE)
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        said = done.stderr.decode(errors="replace")
        raise Infrastructure(
            f"the node program ended with exit code {done.returncode}", detail=tail(said)
        ) from error
    return report
