"""Programs of the user's own on a node: what crun, Docker and podman are told of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from underlay_node import archives, containers, crun, docker, podman, programs, stand_in
from underlay_node.commands import Ended, Failed

from cluster.archives import docker_archive, oci_archive

TOLD = ["UNDERLAY_CONTAINER=web", "UNDERLAY_NODE=core-01"]
SAID = {
    "Entrypoint": ["/entry"],
    "Cmd": ["serve", "--all"],
    "Env": ["LANG=C", "PATH=/opt/bin"],
    "WorkingDir": "/srv",
    "User": "www:mail",
}


def one(runtime: str = "cni", **more: object) -> dict[str, object]:
    return {"name": "web", "node": "core-01", "runtime": runtime, "attachments": []} | more


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a root file system that containers are layered over, with an image that says SAID."""
    monkeypatch.setattr(programs, "_layered", lambda name, lower: str(tmp_path))
    monkeypatch.setattr(programs, "image", lambda container: ("0" * 64, {"config": dict(SAID)}))
    monkeypatch.setattr(programs, "run", lambda words, **_: "/mounted\n")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "passwd").write_text("root:x:0:0::/:/bin/sh\nwww:x:33:34::/:/bin/sh\n")
    (tmp_path / "etc" / "group").write_text("www:x:34:\nmail:x:8:\n")
    return tmp_path


def configured(**more: object) -> dict[str, dict]:  # type: ignore[type-arg]
    made = json.loads(programs.of_crun(one(**more), crun.configuration("web")))
    assert isinstance(made, dict)
    return made


def test_a_command_takes_the_place_of_the_images_own(root: Path) -> None:
    made = configured(archive="00.tar")
    assert made["process"]["args"] == ["/entry", "serve", "--all"]
    assert made["process"]["cwd"] == "/srv"
    assert made["process"]["env"] == [programs.USUAL_PATH, "LANG=C", "PATH=/opt/bin", *TOLD]
    assert made["root"] == {"path": str(root), "readonly": False}
    told = configured(archive="00.tar", command=["other"])
    assert told["process"]["args"] == ["/entry", "other"]


def test_who_is_not_root_has_no_capabilities_but_any_port(root: Path) -> None:
    made = configured(archive="00.tar")
    assert made["process"]["user"] == {"uid": 33, "gid": 8}
    assert list(made["process"]["capabilities"]) == ["bounding"]
    assert made["linux"]["sysctl"] == {"net.ipv4.ip_unprivileged_port_start": "0"}


@pytest.mark.parametrize("who", ["nobody-here", "www:nobody-here"])
def test_a_user_that_the_image_has_not_is_an_error(
    root: Path, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    monkeypatch.setattr(programs, "image", lambda container: ("0", {"config": {"User": who}}))
    with pytest.raises(Failed, match=f"its image runs as {who}, and has no such"):
        configured(archive="00.tar")


def test_without_an_image_it_is_busyboxs_root(root: Path) -> None:
    made = configured(command=["httpd", "-f"])
    assert made["process"]["args"] == ["httpd", "-f"]
    assert made["process"]["user"] == {"uid": 0, "gid": 0}
    assert "sysctl" not in made["linux"]
    # And who has none of its own sleeps as before.
    assert json.loads(programs.of_crun(one(), crun.configuration("web"))) == crun.configuration(
        "web"
    )


@pytest.mark.parametrize("write", [docker_archive, oci_archive])
def test_an_image_is_known_by_its_configurations_digest(tmp_path: Path, write: object) -> None:
    write(tmp_path / "web.tar", "localhost/web:1", "serve")  # type: ignore[operator]
    identity, config = archives.image(str(tmp_path / "web.tar"))
    assert len(identity) == 64
    assert config["config"]["Cmd"] == ["serve"]
    (tmp_path / "web.tar").write_text("broken")
    with pytest.raises(Failed, match="holds no whole image"):
        archives.image(str(tmp_path / "web.tar"))


@pytest.mark.parametrize(("runtime", "image"), programs.ENGINES.items())
def test_engines_are_told_what_the_lab_says_alone(root: Path, runtime: str, image: str) -> None:
    assert programs.for_engine(one(runtime, command=["httpd"])) == {
        "Image": image, "Cmd": ["httpd"], "Env": TOLD,
    }  # fmt: skip
    assert programs.for_engine(one(runtime, archive="00.tar")) == {"Image": "0" * 64, "Env": TOLD}


def test_archives_are_loaded_by_who_runs_them_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(stand_in, "load", lambda engine, words: loaded.append(engine))
    monkeypatch.setattr(programs, "settle", lambda: None)
    programs.prepare([one(command=["httpd"]), one("docker")])
    assert loaded == []
    programs.prepare([one(archive="00.tar"), one("docker", archive="00.tar")])
    assert loaded == ["docker", "podman"]


@pytest.mark.parametrize("engine", [docker, podman])
def test_an_ended_container_is_never_taken_for_the_node(
    engine: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its namespace, what is said to its kernel would be said to the node's."""
    monkeypatch.setattr(engine, "enter", lambda name: [])
    monkeypatch.setattr(engine, "run", lambda *words, **more: pytest.fail("the node's"))
    monkeypatch.setattr(engine, "batch", lambda *words, **more: pytest.fail("the node's"))
    with pytest.raises(Ended):
        engine.afterwards(one(), {})  # type: ignore[attr-defined]


def test_what_ended_is_told_with_its_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"inspect": "3\n", "sh": "one\nno shop today\n\n"}
    monkeypatch.setattr(
        programs, "run", lambda words, **_: next(said[w] for w in words if w in said)
    )
    words = "its own program has ended, exit code 3: no shop today"
    assert programs.ended(one("podman")) == words

    def ends(container: object, networks: object, own: object) -> None:
        raise Ended("its process has ended")

    monkeypatch.setattr(podman, "start", ends)
    with pytest.raises(Failed, match="exit code 3: no shop today"):
        containers.start({"container": one("podman", command=["sh"]), "networks": {}})
