"""The verb ``image``: what nodes boot."""

from __future__ import annotations

import re
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from underlay.cli.console import out, print_document, progress
from underlay.cli.options import AsJson
from underlay.errors import BadInput, UnderlayError

if TYPE_CHECKING:
    from underlay.cluster.image.build import Image

GROUP = "Files"
ORDER = 30

# Debian Policy 5.6.1.
PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")
ACTIONS = ("show", "build", "export", "import")


def command(
    action: Annotated[
        str,
        typer.Argument(
            help="`show`, `build`, `export` or `import`.",
            metavar="[ACTION]",
            autocompletion=lambda: ACTIONS,
        ),
    ] = "show",
    file: Annotated[
        Path | None,
        typer.Argument(help="The file to build, to export to or to import.", metavar="[FILE]"),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Build anew, or replace a file that is there already."),
    ] = False,
    added: Annotated[
        list[str] | None,
        typer.Option(
            "--with", metavar="PACKAGE", help="`build FILE`: install this Debian package as well."
        ),
    ] = None,
    left_out: Annotated[
        list[str] | None,
        typer.Option("--without", metavar="PACKAGE", help="`build FILE`: leave this package out."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Build the nodes' image, show what is cached, or carry it to another machine.

    The image is named by the hash of all that goes into it and is built on first
    need, by mmdebstrap from this system's own Debian mirror, without root or KVM.

    `build FILE` writes the root file system of another image to a file, from the packages that
    the mirror has today, with some more of them or without some: `underlay check LAB --after
    upgrade=FILE` updates running nodes to it.

    `export` writes it to one file, whose name says how it is compressed: .tar.zst,
    .tar.gz or .tar. Beside it, FILE.packages.tsv lists all packages in it with
    versions and licences. `import` puts such a file into the cache, once all of its
    checksums have been found right.

    Example:
      underlay image
      underlay image build
      underlay image build next.ext4 --without containernetworking-plugins
      underlay image export node.tar.zst
      underlay image import node.tar.zst
    """
    if action not in ACTIONS:
        raise BadInput(f"there is no action {action!r}", hint=f"underlay image {'|'.join(ACTIONS)}")
    needs_file = action in ("export", "import")
    if needs_file != (file is not None) and action != "build":
        which = "needs a FILE" if needs_file else f"takes no file, such as {file}"
        raise BadInput(f"`underlay image {action}` {which}", hint="underlay image --help")
    if (added or left_out) and (action != "build" or file is None):
        raise BadInput(
            "--with and --without are of another image: `underlay image build` has no FILE for it",
            hint="underlay image build FILE --without PACKAGE",
        )
    if file is None:
        _show(build=action == "build", anew=force, as_json=as_json)
    elif action == "build":
        _build(file, added or [], left_out or [], force=force, as_json=as_json)
    elif action == "export":
        _export(file, force=force, as_json=as_json)
    else:
        _import(file, as_json=as_json)


def _show(*, build: bool, anew: bool, as_json: bool) -> None:
    from underlay.cluster.image import build as image

    began = time.monotonic()
    current = image.current()
    if build and (anew or not current.exists):
        with progress("building the image") as running:
            image.ensure(running.step, anew=anew)
    size = current.disk.stat().st_blocks * 512 if current.exists else 0
    if as_json:
        print_document(
            "image",
            {
                "key": current.key,
                "built": current.exists,
                "folder": str(current.folder),
                "bytes": size,
                "seconds": round(time.monotonic() - began, 3),
            },
        )
        return
    words = f"built, {size >> 20} MiB on disk" if current.exists else "not built yet"
    out.print(f"image {current.key}: {words}")
    out.print(f"folder: {current.folder}")
    if not current.exists:
        out.print("next: underlay image build", style="dim")


def _build(
    file: Path, added: list[str], left_out: list[str], *, force: bool, as_json: bool
) -> None:
    from underlay.cluster.image import build as image

    for option, names in (("--with", added), ("--without", left_out)):
        for name in names:
            if not PACKAGE.fullmatch(name):
                raise BadInput(f"{option} {name!r}: that is no name of a Debian package")
    began = time.monotonic()
    if file.exists() and not force:
        raise BadInput(f"{file} is there already", hint="--force replaces it")
    if not file.parent.is_dir():
        raise BadInput(f"there is no folder {file.parent}")
    with progress(f"building {file.name}") as running:
        image.build_file(file, running.step, added=added, left_out=left_out)
    size, seconds = file.stat().st_blocks * 512, round(time.monotonic() - began, 3)
    if as_json:
        facts = {"file": str(file), "bytes": size, "added": added, "left_out": left_out}
        print_document("image", {**facts, "seconds": seconds})
        return
    out.print(f"{file}: {size >> 20} MiB on disk, in {seconds:.1f} s")
    out.print(f"next: underlay check LAB --after upgrade={shlex.quote(str(file))}", style="dim")


def _export(file: Path, *, force: bool, as_json: bool) -> None:
    from underlay.cluster.image import archive as image_archive
    from underlay.cluster.image import build as image
    from underlay.cluster.image import licences as image_licences
    from underlay.storage.writing import write_whole

    began = time.monotonic()
    beside = file.with_name(f"{file.name}.packages.tsv")
    for path in (file, beside):
        if path.exists() and not force:
            raise BadInput(f"{path} is there already", hint="--force replaces it")
    current = image.current()
    if not current.exists:
        raise BadInput("the image is not built yet", hint="underlay image build")
    with progress(f"exporting the image {current.key}"):
        packages = image_licences.parts(current.disk)
        image_archive.export(current, file)
        write_whole(beside, image_licences.table(packages))
    size = file.stat().st_size
    seconds = time.monotonic() - began
    if as_json:
        print_document(
            "image",
            {
                "key": current.key,
                "file": str(file),
                "bytes": size,
                "packages_file": str(beside),
                "packages": len(packages),
                "seconds": round(seconds, 3),
            },
        )
        return
    out.print(f"image {current.key}: {file}, {size >> 20} MiB, in {seconds:.1f} s")
    out.print(f"{len(packages)} packages with versions and licences: {beside}")


def _import(file: Path, *, as_json: bool) -> None:
    from underlay.cluster.image import archive as image_archive

    began = time.monotonic()
    with progress(f"importing {file.name}") as running:
        image, is_new = image_archive.import_(file, running.step)
    wanted = _is_wanted(image)
    if as_json:
        print_document(
            "image",
            {
                "key": image.key,
                "folder": str(image.folder),
                "imported": is_new,
                "current": wanted,
                "seconds": round(time.monotonic() - began, 3),
            },
        )
        return
    out.print(f"image {image.key}: {'imported' if is_new else 'was in the cache already'}")
    if not wanted:
        out.print("nodes here boot another image, as their recipe or kernel differs", style="dim")


def _is_wanted(image: Image) -> bool:
    """Whether nodes on this machine boot ``image``."""
    from underlay.cluster.image.build import current

    try:
        return current().key == image.key
    except UnderlayError:
        return False
