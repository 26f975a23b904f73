"""Programs of the user's own in containers: the archives that lint reads, and what is planned."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from cluster.archives import docker_archive, oci_archive
from underlay.lab.text import LabError
from underlay.lint.archives import Held, held
from underlay.lint.read import read_lab
from underlay.plan import make_plan, plan_from_json

LAB = """\
name: programs
nodes: 2
segments:
  lan: {subnet: 192.168.70.0/24}
networks:
  net: {driver: macvlan, segment: lan, subnet: 10.1.1.0/24}
protocols: [icmp, "tcp:80"]
containers:
  - {on: core-01, name: web, networks: [net], image: web.tar, ports: [80]}
  - {on: core-02, name: told, networks: [net], command: [httpd, -f], ports: [80]}
  - {on: core-02, name: guest, networks: [net]}
"""


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """Return a lab file in a folder of its own, whose archive isn't there yet."""
    (tmp_path / "lab.yml").write_text(LAB)
    return tmp_path / "lab.yml"


def archive(path: Path, *configs: dict[str, object]) -> None:
    """Write an archive of images with these configurations and no layers."""
    manifest = [{"Config": f"{n}.json", "RepoTags": [], "Layers": []} for n in range(len(configs))]
    texts = {"manifest.json": json.dumps(manifest)}
    texts |= {f"{number}.json": json.dumps(config) for number, config in enumerate(configs)}
    files(path, texts)


def files(path: Path, texts: dict[str, str]) -> None:
    """Write a tar archive of texts by their names."""
    with tarfile.open(path, "w") as made:
        for name, text in texts.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            made.addfile(entry, io.BytesIO(text.encode()))


def problem(lab: Path) -> tuple[str, int, str, str, str]:
    """Return the only problem of a lab: its kind, line, and what is said of it."""
    with pytest.raises(LabError) as caught:
        read_lab(lab)
    [one] = caught.value.problems
    return one.id, one.line, one.found, one.expected, one.hint


@pytest.mark.parametrize("write", [docker_archive, oci_archive])
def test_either_kind_of_archive_is_planned(lab: Path, write: object) -> None:
    write(lab.parent / "web.tar", "localhost/web:1", "/bin/busybox", "httpd")  # type: ignore[operator]
    assert held(lab.parent / "web.tar") == [Held("amd64", runs=True)]
    plan = make_plan(read_lab(lab))
    assert plan.images == (str(lab.parent / "web.tar"),)
    web, told, guest = (plan.container(name) for name in ("web", "told", "guest"))
    assert (web.archive, web.command, web.own_ports) == ("00.tar", (), (80,))
    assert (told.archive, told.command) == ("", ("httpd", "-f"))
    assert [one.space_kind for one in (web, told, guest)] == ["crun", "crun", "cni"]
    assert plan.listens == {"web": ("tcp:80",), "told": ("tcp:80",)}
    assert plan_from_json(plan.to_json()) == plan
    said = {one["name"]: one for one in json.loads(plan.to_json())["containers"]}
    assert not {"archive", "command", "own_ports"} & said["guest"].keys()


def test_two_containers_of_one_image_bring_it_once(lab: Path) -> None:
    docker_archive(lab.parent / "web.tar", "localhost/web:1", "/bin/busybox")
    lab.write_text(
        LAB.replace("command: [httpd, -f]", "image: ./web.tar") + "images: [other.tar]\n"
    )
    (lab.parent / "other.tar").write_bytes(b"")
    plan = make_plan(read_lab(lab))
    assert [Path(path).name for path in plan.images] == ["other.tar", "web.tar"]
    assert {plan.container(name).archive for name in ("web", "told")} == {"01.tar"}


def test_an_archive_that_is_not_there_has_a_nearest_one(lab: Path) -> None:
    where = ("no-image", 9, "'web.tar'", "an archive of an image")
    assert problem(lab) == (*where, "docker save IMAGE -o web.tar")
    docker_archive(lab.parent / "webs.tar", "localhost/web:1", "/bin/busybox")
    assert problem(lab) == (*where, "did you mean webs.tar?")


ONE = "an archive of one image, of `docker save` or OCI"
RUNS = {"architecture": "amd64", "config": {"Cmd": ["serve"]}}


def test_what_holds_no_image_is_refused(lab: Path) -> None:
    path = lab.parent / "web.tar"
    path.write_text("no archive")
    assert problem(lab)[2:4] == ("'web.tar', no tar archive", ONE)
    files(path, {"manifest.json": "["})
    assert problem(lab)[2] == "'web.tar', an archive that isn't whole"
    files(path, {"some": "text"})
    assert problem(lab)[2] == "'web.tar', an archive without an image"
    files(path, {"bin/sh": "", "etc/passwd": "", "usr/bin/env": ""})
    assert problem(lab)[2] == "'web.tar', a root file system, and no image"
    assert "`docker export` writes no image" in problem(lab)[4]


def test_an_image_that_no_node_can_run_is_refused(lab: Path) -> None:
    path = lab.parent / "web.tar"
    archive(path, RUNS, {**RUNS, "created": "later"})
    assert problem(lab)[2:4] == ("'web.tar', an archive of 2 images", ONE)
    archive(path, {**RUNS, "architecture": "arm64"})
    assert problem(lab)[2:4] == (
        "'web.tar', an image for 'arm64'", "one for amd64, which nodes are"
    )  # fmt: skip
    archive(path, {"architecture": "amd64", "config": {}})
    assert problem(lab)[2:4] == ("'web.tar', an image that names no command", "command beside it")
    # Of an image for several processors the nodes' own counts.
    archive(path, {**RUNS, "architecture": "arm64"}, RUNS)
    assert make_plan(read_lab(lab)).container("web").archive == "00.tar"


def test_the_command_for_an_archive_replaces_no_other_file(lab: Path) -> None:
    lab.write_text(lab.read_text().replace("web.tar", lab.name))
    assert problem(lab)[-1] == f"docker save IMAGE -o {lab.stem}.tar"
