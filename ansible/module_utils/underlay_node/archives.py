"""Archives of images as OCI has them, made such as this Docker loads.

Docker with a store of its own takes what ``docker save`` writes: a manifest.json beside the blobs.
Of an OCI archive it says that this is no such file. podman takes either. Sources: the OCI image
layout specification; moby, image/tarexport/load.go.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile

from .commands import Failed

MANIFEST, INDEX = "manifest.json", "index.json"
# By one of these an archive says what its image is called: containerd's whole, or OCI's own.
WHOLE, REFERENCE = "io.containerd.image.name", "org.opencontainers.image.ref.name"
LISTS = ("application/vnd.oci.image.index.v1+json",
         "application/vnd.docker.distribution.manifest.list.v2+json")  # fmt: skip
# So deep are lists of lists of images looked into.
DEEPEST = 4


def is_oci(path: str) -> bool:
    """Whether an archive is OCI's alone, which Docker doesn't load."""
    try:
        with tarfile.open(path) as archive:
            names = {name.removeprefix("./") for name in archive.getnames()}
    except (OSError, tarfile.TarError):
        return False
    return INDEX in names and MANIFEST not in names


def image(path: str) -> tuple[str, dict]:
    """Return the id of the first image of an archive, as engines call it, and its configuration.

    The id is the SHA-256 of that. Raises Failed where the archive isn't whole.
    """
    try:
        with tarfile.open(path) as archive:
            held = {one.name.removeprefix("./"): one for one in archive}
            if MANIFEST in held:
                entries = _read(archive, held, MANIFEST)
            else:
                entries = list(_images(archive, held, _read(archive, held, INDEX), "", 0))
            text = archive.extractfile(held[entries[0]["Config"]]).read()
            return hashlib.sha256(text).hexdigest(), json.loads(text)
    except (OSError, tarfile.TarError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise Failed(f"{path} holds no whole image: {error!r}") from error


def for_docker(path: str, made: str) -> None:
    """Write at ``made`` what Docker loads of the OCI archive at ``path``.

    Raises Failed where the archive isn't whole, or names none of its images.
    """
    try:
        with tarfile.open(path) as archive, tarfile.open(made, "w") as copy:
            held = {one.name.removeprefix("./"): one for one in archive.getmembers()}
            text = json.dumps(list(_images(archive, held, _read(archive, held, INDEX), "", 0)))
            for name, entry in held.items():
                if entry.isfile():
                    entry.name = name
                    copy.addfile(entry, archive.extractfile(entry))
            head = tarfile.TarInfo(MANIFEST)
            head.size = len(text)
            copy.addfile(head, io.BytesIO(text.encode()))
    except (OSError, tarfile.TarError, ValueError, KeyError, TypeError) as error:
        raise Failed(f"{path} is no whole OCI archive: {error!r}") from error


def _images(archive, held, index, name, depth):  # type: ignore[no-untyped-def]
    """Yield the entries of a manifest.json for all images of an index that are for this machine."""
    for entry in index["manifests"]:
        said = entry.get("annotations") or {}
        called = _called(said) or name
        platform = entry.get("platform") or {}
        if platform.get("architecture", "amd64") not in ("amd64", ""):
            continue
        body = _read(archive, held, _blob(entry["digest"]))
        if entry.get("mediaType") in LISTS or "manifests" in body:
            if depth < DEEPEST:
                yield from _images(archive, held, body, called, depth + 1)
            continue
        yield {
            "Config": _blob(body["config"]["digest"]),
            "RepoTags": [called] if called else [],
            "Layers": [_blob(layer["digest"]) for layer in body["layers"]],
        }


def _called(said: dict) -> str:
    """Return what an image is called; a tag alone is no name."""
    whole, reference = said.get(WHOLE, ""), said.get(REFERENCE, "")
    found = whole or reference
    return found if ":" in found or "/" in found else ""


def _read(archive, held, name):  # type: ignore[no-untyped-def]
    stream = archive.extractfile(held[name])
    return json.loads(stream.read())


def _blob(digest: str) -> str:
    kind, _, value = digest.partition(":")
    return f"blobs/{kind}/{value}"
