"""Archives of containers' images as `docker save` writes them, made without an engine."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

BUSYBOX = Path("/bin/busybox")


def docker_archive(path: Path, name: str, *command: str) -> None:
    """Write an image called ``name`` with nothing but busybox in it, which runs ``command``.

    Source: the OCI image specification, config.md, and Docker's image specification v1.2.
    """
    layer = _tar({"bin/busybox": BUSYBOX.read_bytes(), "www/index.html": b"mine\n"}, mode=0o755)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": list(command), "WorkingDir": "/www"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        "history": [{"created_by": "a test"}],
    }
    text = json.dumps(config).encode()
    held = f"{hashlib.sha256(text).hexdigest()}.json"
    manifest = [{"Config": held, "RepoTags": [name], "Layers": ["layer.tar"]}]
    parts = {held: text, "layer.tar": layer, "manifest.json": json.dumps(manifest).encode()}
    path.write_bytes(_tar(parts, mode=0o644))


def oci_archive(path: Path, name: str, *command: str) -> None:
    """Write the same as an OCI archive: blobs and an index, which names the image.

    Source: the OCI image layout specification.
    """
    docker_archive(path, name, *command)
    with tarfile.open(path) as made:
        held = {one.name: made.extractfile(one).read() for one in made}  # type: ignore[union-attr]
    blobs: dict[str, bytes] = {}

    def kept(data: bytes, kind: str) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = data
        media = f"application/vnd.oci.image.{kind}"
        return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(data)}

    config = next(data for held_name, data in held.items() if held_name.endswith(".json"))
    said = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": kept(config, "config.v1+json"),
        "layers": [kept(held["layer.tar"], "layer.v1.tar")],
    }
    entry = kept(json.dumps(said).encode(), "manifest.v1+json")
    entry["annotations"] = {"org.opencontainers.image.ref.name": name}
    index = {"schemaVersion": 2, "manifests": [entry]}
    blobs["oci-layout"] = json.dumps({"imageLayoutVersion": "1.0.0"}).encode()
    blobs["index.json"] = json.dumps(index).encode()
    path.write_bytes(_tar(blobs, mode=0o644))


def _tar(files: dict[str, bytes], mode: int) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            tar.addfile(entry, io.BytesIO(data))
    return made.getvalue()
