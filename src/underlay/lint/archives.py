"""What an archive of a container's image holds: images by their names, for which processors.

`docker save` writes a manifest.json, and newer ones blobs and an index.json beside it, which are
all that an OCI archive has. Sources: the OCI image specification, image-layout.md and config.md;
moby, image/tarexport/load.go.
"""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANIFEST, INDEX = "manifest.json", "index.json"
# So deep are lists of lists of images looked into, and so much is read of one document.
DEEPEST = 4
MOST = 4 << 20
# What the nodes' processors are called.
ARCHITECTURE = "amd64"
# Folders that a root file system has, and an archive of an image hasn't.
OF_ROOT = {"bin", "etc", "usr"}


class NoArchive(Exception):
    """An archive holds no image; the text says what it is instead, the hint what to do."""

    def __init__(self, found: str, hint: str = "") -> None:
        super().__init__(found)
        self.hint = hint


@dataclass(frozen=True)
class Held:
    """An image in an archive: its processor, and whether it says what to run."""

    architecture: str
    runs: bool


def held(path: Path) -> list[Held]:
    """Return the images in the archive at ``path``; raise NoArchive where it holds none.

    Of an image for several processors the one for the nodes' counts alone, where there is one.
    """
    try:
        with tarfile.open(path) as archive:
            members = {one.name.removeprefix("./"): one for one in archive}
            configs = list(_configs(archive, members))
    except tarfile.TarError as error:
        raise NoArchive("no tar archive") from error
    except OSError as error:
        raise NoArchive(f"no file that can be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NoArchive("an archive that isn't whole") from error
    if not configs and {name.partition("/")[0] for name in members} >= OF_ROOT:
        hint = "`docker export` writes no image: `docker commit` the container, and `docker save`"
        raise NoArchive("a root file system, and no image", hint)
    if not configs:
        raise NoArchive("an archive without an image")
    found = [_held(config) for config in configs]
    return [one for one in found if one.architecture == ARCHITECTURE] or found


def _held(config: dict[str, Any]) -> Held:
    said = config.get("config") or {}
    runs = bool(said.get("Entrypoint") or said.get("Cmd"))
    return Held(str(config.get("architecture", ARCHITECTURE)), runs)


def _configs(
    archive: tarfile.TarFile, members: dict[str, tarfile.TarInfo]
) -> Iterator[dict[str, Any]]:
    """Yield the configuration of each image, each once."""
    seen: set[str] = set()
    if MANIFEST in members:
        names = [str(one["Config"]) for one in _read(archive, members, MANIFEST)]
    elif INDEX in members:
        names = list(_listed(archive, members, _read(archive, members, INDEX), 0))
    else:
        names = []
    for name in names:
        if name not in seen:
            seen.add(name)
            yield dict(_read(archive, members, name))


def _listed(
    archive: tarfile.TarFile, members: dict[str, tarfile.TarInfo], index: Any, depth: int
) -> Iterator[str]:
    """Yield the names of the configurations that an index leads to, its lists included."""
    for entry in index["manifests"]:
        # What is said about an image, such as how it was built, is for no processor.
        if (entry.get("platform") or {}).get("architecture") == "unknown":
            continue
        name = _blob(entry["digest"])
        # Of an image for several processors an archive may hold those that were asked for alone.
        if name not in members:
            continue
        body = _read(archive, members, name)
        if "manifests" in body:
            if depth < DEEPEST:
                yield from _listed(archive, members, body, depth + 1)
        else:
            yield _blob(body["config"]["digest"])


def _blob(digest: str) -> str:
    kind, _, value = digest.partition(":")
    return f"blobs/{kind}/{value}"


def _read(archive: tarfile.TarFile, members: dict[str, tarfile.TarInfo], name: str) -> Any:
    stream = archive.extractfile(members[name])
    if stream is None:
        raise ValueError(f"{name} is no file")
    return json.loads(stream.read(MOST))
