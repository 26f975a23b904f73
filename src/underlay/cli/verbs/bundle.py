"""The verb ``bundle``: Underlay as one file, for a room without network."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from underlay.cli.console import out, print_document, progress
from underlay.cli.options import AsJson
from underlay.errors import BadInput, did_you_mean, nearest

if TYPE_CHECKING:
    from underlay.cluster.bundle.contents import Manifest

GROUP = "Workshops"
ORDER = 20

ACTIONS = ("check", "install")
SUFFIX = ".tar"


def command(
    what: Annotated[
        str,
        typer.Argument(
            help="The file to write; or `check` or `install`, and then the file.",
            metavar="[ACTION]",
            show_default=False,
            autocompletion=lambda: ACTIONS,
        ),
    ],
    file: Annotated[
        Path | None,
        typer.Argument(help="The bundle to check or to install.", metavar="FILE"),
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(
            "--into", metavar="FOLDER", help="`install`: where the checkout goes, not ~/underlay."
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a file that is there already.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write all that Underlay needs to one file, and install it without network.

    For Debian 13 on amd64: Debian packages with what they depend on, Python wheels, this
    checkout with its labs and courses, and the nodes' image. Packages come from this
    system's own mirrors, as apt and pip are configured here; nothing of that
    configuration is in the file. It is some 600 MB.

    A machine on which nothing is installed needs no `bundle install`: it unpacks the
    file by `tar -xf FILE` and runs `./install` in the folder. `check` adds up all sums.

    Example:
      underlay bundle underlay.tar
      underlay bundle check underlay.tar
      underlay bundle install underlay.tar --into ~/offline
    """
    if file is None and what in ACTIONS:
        raise BadInput(f"`underlay bundle {what}` needs a FILE", hint="underlay bundle --help")
    if file is not None and what not in ACTIONS:
        raise BadInput(
            f"there is no action {what!r}",
            hint=did_you_mean(nearest(what, ACTIONS)) or f"the actions are {', '.join(ACTIONS)}",
        )
    if into is not None and what != "install":
        raise BadInput("--into is for `bundle install`", hint="underlay bundle --help")
    if file is None:
        _make(Path(what), force=force, as_json=as_json)
    elif what == "check":
        _check(file, as_json=as_json)
    else:
        _install(file, into or Path.home() / "underlay", as_json=as_json)


def _make(file: Path, *, force: bool, as_json: bool) -> None:
    from underlay.cluster.bundle.contents import sha256
    from underlay.cluster.bundle.making import make

    began = time.monotonic()
    if file.suffix != SUFFIX:
        raise BadInput(
            f"a bundle is a tar file, and {file.name} doesn't end in {SUFFIX}",
            hint=f"underlay bundle {file.with_name(f'{file.stem or file.name}{SUFFIX}')}",
        )
    if file.exists() and not force:
        raise BadInput(f"{file} is there already", hint="--force replaces it")
    with progress("making a bundle") as running:
        manifest = make(file, running.step)
        running.step("adding up the sum of the file")
        total = sha256(file)
    seconds = time.monotonic() - began
    if as_json:
        print_document("bundle", _facts(file, manifest) | {"sha256": total} | _took(seconds))
        return
    out.print(f"{file}: {_mb(file.stat().st_size)}, in {seconds:.1f} s")
    _say_what_it_is(manifest)
    out.print(f"sha256: {total}")
    out.print(f"next: on the other machine, tar -xf {file.name} and ./install", style="dim")


def _check(file: Path, *, as_json: bool) -> None:
    from underlay.cluster.bundle.contents import sha256
    from underlay.cluster.bundle.reading import check

    began = time.monotonic()
    with progress(f"checking {file.name}") as running:
        manifest = check(file, running.step)
        total = sha256(file)
    if as_json:
        took = _took(time.monotonic() - began)
        print_document("bundle", _facts(file, manifest) | {"sha256": total} | took)
        return
    out.print(f"{file}: {_mb(file.stat().st_size)}, whole")
    _say_what_it_is(manifest)
    out.print(f"sha256: {total}")


def _install(file: Path, folder: Path, *, as_json: bool) -> None:
    from underlay.cluster.bundle.installing import install

    began = time.monotonic()
    with progress(f"installing {file.name}") as running:
        manifest = install(file, folder, running.step)
    seconds = time.monotonic() - began
    if as_json:
        facts = {"file": str(file), "folder": str(folder.absolute()), "image": manifest.image}
        print_document("bundle", facts | _took(seconds))
        return
    out.print(f"Underlay {manifest.underlay} is in {folder}, in {seconds:.1f} s")
    out.print(f"next: {folder}/underlay doctor", style="dim")


def _facts(file: Path, manifest: Manifest) -> dict[str, Any]:
    from underlay.cluster.bundle.contents import CHECKOUT, DEBS, IMAGE, WHEELS

    sizes = {held.name: held.bytes for held in manifest.files}
    packages, wheels = manifest.within(DEBS), manifest.within(WHEELS)
    return {
        "file": str(file),
        "bytes": file.stat().st_size,
        "underlay": manifest.underlay,
        "commit": manifest.commit,
        "changed": manifest.changed,
        "distribution": manifest.distribution,
        "release": manifest.release,
        "architecture": manifest.architecture,
        "python": manifest.python,
        "image": manifest.image,
        "image_bytes": sizes[IMAGE],
        "checkout_bytes": sizes[CHECKOUT],
        "packages": len(packages),
        "packages_bytes": sum(held.bytes for held in packages),
        "wheels": len(wheels),
        "wheels_bytes": sum(held.bytes for held in wheels),
    }


def _took(seconds: float) -> dict[str, float]:
    return {"seconds": round(seconds, 3)}


def _say_what_it_is(manifest: Manifest) -> None:
    facts = _parts(manifest)
    commit = f", commit {manifest.commit[:12]}" if manifest.commit else ""
    changed = " and changes that it doesn't hold" if manifest.changed else ""
    out.print(f"Underlay {manifest.underlay}{commit}{changed}")
    out.print(f"for {manifest.distribution} {manifest.release} ({manifest.architecture})")
    for words in facts:
        out.print(words)


def _parts(manifest: Manifest) -> list[str]:
    from underlay.cluster.bundle.contents import CHECKOUT, DEBS, IMAGE, WHEELS

    sizes = {held.name: held.bytes for held in manifest.files}
    packages, wheels = manifest.within(DEBS), manifest.within(WHEELS)
    return [
        f"{len(packages)} Debian packages, {_mb(sum(held.bytes for held in packages))}",
        f"{len(wheels)} Python wheels, {_mb(sum(held.bytes for held in wheels))}",
        f"the nodes' image {manifest.image}, {_mb(sizes[IMAGE])}",
        f"the checkout with its labs and courses, {_mb(sizes[CHECKOUT])}",
    ]


def _mb(size: int) -> str:
    return f"{size / 1e6:.0f} MB"
