"""Users' own images on a node: OCI archives for a Docker that takes its own kind alone."""

from __future__ import annotations

import json
import tarfile
import urllib.parse
from pathlib import Path

import pytest
from underlay_node import archives, docker, others
from underlay_node.commands import Failed

from cluster.archives import docker_archive, oci_archive

NAME = "localhost/mine/web:1"


def test_an_oci_archive_becomes_one_that_docker_loads(tmp_path: Path) -> None:
    given, made, other = tmp_path / "web.tar", tmp_path / "made.tar", tmp_path / "docker.tar"
    oci_archive(given, NAME, "/bin/busybox")
    docker_archive(other, NAME, "/bin/busybox")
    assert archives.is_oci(str(given))
    assert not archives.is_oci(str(other))
    archives.for_docker(str(given), str(made))
    assert not archives.is_oci(str(made))
    with tarfile.open(made) as archive:
        [entry] = json.loads(archive.extractfile("manifest.json").read())  # type: ignore[union-attr]
        names = archive.getnames()
        config = json.loads(archive.extractfile(entry["Config"]).read())  # type: ignore[union-attr]
    assert entry["RepoTags"] == [NAME]
    assert {entry["Config"], *entry["Layers"]} <= {*names}
    assert config["config"]["Cmd"] == ["/bin/busybox"]


@pytest.mark.parametrize(
    ("said", "tags"),
    [
        ({archives.REFERENCE: "docker.io/library/web:1"}, ["docker.io/library/web:1"]),
        ({archives.WHOLE: "docker.io/library/web:1", archives.REFERENCE: "1"},
         ["docker.io/library/web:1"]),
        ({archives.REFERENCE: "1"}, []),
        ({}, []),
    ],
)  # fmt: skip
def test_an_image_is_called_as_its_archive_says(said: dict[str, str], tags: list[str]) -> None:
    assert [archives._called(said)] == (tags or [""])


def test_what_is_no_whole_archive_is_said_so(tmp_path: Path) -> None:
    broken = tmp_path / "broken.tar"
    broken.write_bytes(b"no archive at all")
    assert not archives.is_oci(str(broken))
    with pytest.raises(Failed, match="no whole OCI archive"):
        archives.for_docker(str(broken), str(tmp_path / "made.tar"))


def _entry(name: str, identity: str, **labels: str) -> dict[str, object]:
    said = {f"com.docker.compose.{key}": value for key, value in labels.items()}
    known = {"Image": "web", "State": "running", "Labels": said}
    return {"Names": [f"/{name}"], "Id": identity, **known}


def test_a_container_that_was_made_anew_is_no_stranger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compose calls it by its own name again; its labels say whose it is."""
    running = [
        _entry("shop-web-1", "aa", project="shop", service="web", **{"container-number": "1"}),
        _entry("mine", "bb"),
        _entry("visitor", "cc"),
    ]

    def ask(_: str, path: str, *__: object, **___: object) -> object:
        if "/rename?name=" in path:
            identity, _, name = path.removeprefix("/containers/").partition("/rename?name=")
            next(e for e in running if e["Id"] == identity)["Names"] = [f"/{name}"]
            return {}
        asked = path.removeprefix("/containers/").partition("/json")[0]
        if found := [e for e in running if e["Id"] == asked]:
            return {"Name": found[0]["Names"][0]}  # type: ignore[index]
        if "filters=" not in path:
            return running
        wanted = json.loads(urllib.parse.unquote(path.partition("filters=")[2]))
        if "label" in wanted:
            return [e for e in running if set(wanted["label"]) <= {
                f"{k}={v}" for k, v in dict(e["Labels"]).items()  # type: ignore[call-overload]
            }]  # fmt: skip
        [form] = wanted["name"]
        return [e for e in running if docker.re.match(form, e["Names"][0])]  # type: ignore[index]

    monkeypatch.setattr(docker, "ask", ask)
    monkeypatch.setattr(docker, "NAMES", str(tmp_path / "names.json"))
    monkeypatch.setattr(others.os.path, "exists", lambda _: True)
    planned = {"web": "docker", "own": "docker"}
    assert [one["name"] for one in others._of_docker(planned)] == ["shop-web-1", "mine", "visitor"]
    labels = {"project": "shop", "service": "web", "container-number": "1"}
    docker.remember("web", {f"com.docker.compose.{key}": value for key, value in labels.items()})
    docker.remember("own", {}, "mine")
    assert [one["name"] for one in others._of_docker(planned)] == ["visitor"]
    assert docker._known("web") == "aa"
    # Whoever looks for it finds it by the plan's name again.
    assert docker.running() == {"web", "own", "visitor"}
