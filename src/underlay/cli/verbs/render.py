"""The verb ``render``: all files of a lab's nodes, without any node."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from underlay.cli.console import err, out, print_document
from underlay.cli.options import AsJson, LabFile
from underlay.cli.which_lab import resolve_lab
from underlay.errors import BadInput, count
from underlay.storage import paths

if TYPE_CHECKING:
    from underlay.lint import Loaded

GROUP = "Files"
ORDER = 10


def command(
    lab: LabFile = None,
    output: Annotated[
        Path | None,
        typer.Option(help="The folder to write; without it, the lab's state folder."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Render a lab although lint finds errors in it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write every file of a lab's nodes without starting any.

    Ansible renders each node's cloud-config seed (user-data, meta-data and
    network-config) or its Ignition configuration, and whatever that installs: CNI's
    net.d files, Docker's networks and the list of containers. The output folder then
    holds these files and nothing else; a folder with other files in it is refused.

    Example:
      underlay render
      underlay render docker-vlan --output files
      underlay render labs/coreos.yml --json
    """
    from underlay.cluster.ssh import cached_key
    from underlay.lint import load
    from underlay.render import refuse_foreign, render_cached, rendered_files

    started = time.monotonic()
    loaded = load(resolve_lab(lab))
    if not force:
        _refuse_to_render(loaded)
    name = loaded.plan.lab
    folder = output or paths.state(name) / "files"
    refuse_foreign(folder)
    # The lab's own key is made when it starts, from the same pair.
    key = cached_key(name)
    cached = render_cached(loaded.plan, key, folder, paths.cache() / "files")
    seconds = time.monotonic() - started
    files = rendered_files(folder)
    if as_json:
        print_document(
            "render",
            {
                "lab": name,
                "output": str(folder),
                "files": [str(path) for path in files],
                "seconds": round(seconds, 3),
                "cached": cached,
            },
        )
        return
    _print_tree(folder, files)
    source = "from the cache" if cached else "by Ansible"
    err.print(f"{count(len(files), 'file')} {source} in {seconds:.1f} s", style="dim")


def _refuse_to_render(loaded: Loaded) -> None:
    """Raise BadInput with all findings in full, since nothing but files is at stake."""
    errors = loaded.errors
    if errors:
        count = "an error" if len(errors) == 1 else f"{len(errors)} errors"
        raise BadInput(
            f"lint finds {count} in {loaded.file}",
            detail="\n".join(map(str, errors)),
            hint="--force renders the files all the same",
        )


def _print_tree(folder: Path, files: list[Path]) -> None:
    """Print ``files``, which are sorted and relative to ``folder``, as a tree."""
    from rich.tree import Tree

    tree = Tree(str(folder))
    branches = {Path(): tree}
    for file in files:
        for parent in reversed(file.parents):
            if parent not in branches:
                branches[parent] = branches[parent.parent].add(f"{parent.name}/")
        branches[file.parent].add(file.name)
    # A tree is cut at the console's own width, and half a path leads nowhere.
    out.width = max(out.width, len(str(folder)))
    out.print(tree)
