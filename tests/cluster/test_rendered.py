"""Rendered files of every lab, judged by the nodes' own cloud-init and by libcni."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest

from cluster.commands import Done, run
from cluster.running import Checkout, Lab
from underlay.cluster.image import build as image
from underlay.storage import paths

Rendered = Callable[[Path], Path]

GOLDEN = paths.root() / "tests" / "golden" / "files"
FILES = sorted((paths.root() / "labs").rglob("*.yml"))
# Ignition makes those nodes, and cloud-init gets nothing: test_ignition.py has their trees.
BY_IGNITION = {file for file in FILES if "config: ignition" in file.read_text(encoding="utf-8")}
# Where the nodes' cloud-init is; any running lab will do.
on_coreos = pytest.mark.parametrize("lab", ["coreos"], indirect=True)


def each_lab(*daily: str, but: Collection[Path] = ()) -> pytest.MarkDecorator:
    """Try each shipped lab: those called ``daily`` every day, the others in the full proof."""
    return pytest.mark.parametrize(
        "file",
        [
            pytest.param(
                file,
                id=str(file.relative_to(paths.root())),
                marks=() if file.stem in daily else pytest.mark.all,
            )
            for file in FILES
            if file not in but
        ],
    )


def node_folders(files: Path) -> list[Path]:
    return sorted(path for path in files.iterdir() if path.is_dir())


def by_cloud_init(files: Path) -> bool:
    """Whether the nodes of rendered files are made by cloud-init, and not by Ignition."""
    return all((folder / "user-data").exists() for folder in node_folders(files))


@pytest.fixture(scope="session")
def rendered(here: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    """Return a function that renders a lab file, errors in it or not, once; it gives the folder."""

    @cache
    def render(file: Path) -> Path:
        output = tmp_path_factory.mktemp("rendered") / "files"
        done = here.underlay("render", str(file), "--output", str(output), "--force", deadline=120)
        assert done.code == 0, str(done)
        return output

    return render


# What the default lab renders are golden files, and those are judged below.
@on_coreos
@each_lab("one-of-each", but=BY_IGNITION)
def test_cloud_init_accepts_the_rendered_files(lab: Lab, file: Path, rendered: Rendered) -> None:
    judge(lab, node_folders(rendered(file)))


@on_coreos
# Daily it accepts what is rendered of a lab with all kinds, and tests/golden compares these.
@pytest.mark.all
@pytest.mark.parametrize(
    "name", [path.name for path in sorted(GOLDEN.iterdir()) if by_cloud_init(path)]
)
def test_cloud_init_accepts_the_golden_files(lab: Lab, name: str) -> None:
    judge(lab, node_folders(GOLDEN / name))


@on_coreos
def test_cloud_init_refuses_a_mistyped_key(lab: Lab) -> None:
    """Otherwise its silence about all the others would prove nothing."""
    text = (GOLDEN / "coreos" / "core-01" / "user-data").read_text()
    done = schema(lab, "core-01", "cloud-config", text.replace("runcmd:", "runcommand:"))
    assert done.code == 1
    assert "runcommand" in done.out + done.err


@each_lab("coreos", "one-of-each")
def test_libcni_loads_the_rendered_networks(file: Path, rendered: Rendered) -> None:
    """The image's own libcni program runs here as it does on the nodes."""
    for node in node_folders(rendered(file)):
        folder = node / "net.d"
        files = sorted(folder.glob("*"))
        done = run(
            [str(image.current().cni), "load"],
            folder=node,
            deadline=30,
            environment={"NETCONFPATH": str(folder), "PATH": os.defpath},
        )
        assert done.code == 0, str(done)
        assert done.document() == [json.loads(file.read_text())["name"] for file in files]


def judge(lab: Lab, folders: list[Path]) -> None:
    """Have every node of ``lab`` judge a share of the files in ``folders``, a folder per node."""
    nodes = [node.name for node in lab.plan.nodes]
    tasks = [
        (nodes[number % len(nodes)], kind, (folder / name).read_text())
        for number, folder in enumerate(folders)
        for name, kind in (("user-data", "cloud-config"), ("network-config", "network-config"))
    ]
    assert tasks
    with ThreadPoolExecutor(max_workers=len(nodes)) as pool:
        for done in pool.map(lambda task: schema(lab, *task), tasks):
            assert done.code == 0, str(done)


def schema(lab: Lab, node: str, kind: str, text: str) -> Done:
    """Have ``node`` judge ``text``, sent on standard input, as cloud-init's ``kind`` of file."""
    words = ("cloud-init", "schema", "--schema-type", kind, "--config-file", "/dev/stdin")
    return lab.execute(node, *words, text=text)
