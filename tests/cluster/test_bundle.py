"""A bundle made by this machine's apt and pip, on a bare Debian whose network namespace is empty.

There everything is installed first, by root, and then once more by a user without any rights, for
whom Debian's packages are there already. Each measures a lab by packets, and root the demo, too.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from cluster.small_lab import small_lab
from underlay.storage import paths

MAKE_DEADLINE = 2400
ROOT_DEADLINE = 3600
DISK = 8 << 30
LARGEST = 1 << 30
# What mirrors are called here, and who may read them, is nobody's business.
SETTINGS = (
    "/etc/apt/sources.list", "/etc/apt/sources.list.d", "/etc/apt/auth.conf.d", "/etc/pip.conf",
    "/etc/xdg/pip",
)  # fmt: skip
HOST = re.compile(r"https?://([^/\s\"']+)")
TEXTS = ("needs.txt", "manifest.json", "SHA256SUMS", "README.txt", "licences.tsv", "install")
# Says what it finds, one word and its value a line; a document is one line.
BEGIN = """\
began() { echo "began-$1 $(date +%s.%N)" >&3; }
exec 3>&1 >&2
echo "interfaces $(sed '1,2d; s/:.*//' /proc/net/dev | tr -d ' \\n')" >&3
"""
AS_ROOT = f"""{BEGIN}
began unpack
tar -xf bundle.tar
began install
./underlay-*/install
began check
printf '%s' "$1" >lab.yml
underlay/underlay check lab.yml --json >check.json
began demo
underlay/underlay demo --json >demo.json
underlay/underlay down
began end
echo "document $(tr -d '\\n' <check.json)" >&3
echo "demo $(tr -d '\\n' <demo.json)" >&3
"""
AS_USER = f"""{BEGIN}
useradd --create-home learner
cp -r underlay-* /home/learner/
printf '%s' "$1" >/home/learner/lab.yml
chown -R learner: /home/learner
cat >/home/learner/go <<'GO'
cd
./underlay-*/install
underlay/underlay check lab.yml --json >check.json
GO
runuser -u learner -- env HOME=/home/learner sh -eu /home/learner/go
echo "document $(tr -d '\\n' </home/learner/check.json)" >&3
"""

pytestmark = [
    pytest.mark.all,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a bare Debian here"),
]


@dataclass(frozen=True)
class Made:
    """A bundle, and what was said of it."""

    file: Path
    document: dict[str, Any]


def bundle(file: Path) -> dict[str, Any]:
    """Return what the verb says of the bundle that it writes to ``file``."""
    return verb(str(file))


def verb(*words: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "underlay", "bundle", *words, "--json"],
        capture_output=True,
        text=True,
        timeout=MAKE_DEADLINE,
        env={**os.environ, "PYTHONPATH": str(paths.root() / "src")},
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    folder = tmp_path_factory.mktemp("bundle")
    if shutil.disk_usage(folder).free < DISK:
        pytest.skip(f"{folder} has less than {DISK >> 30} GiB for a bundle and a Debian")
    file = folder / "underlay.tar"
    yield Made(file, bundle(file))
    shutil.rmtree(folder, ignore_errors=True)


def clean_root(made: Made, script: str, root: Path) -> dict[str, str]:
    """Run ``script`` on a bare Debian with the bundle and no network; return what it says."""
    lab = small_lab("offline", 2, count=2)
    done = subprocess.run(
        [
            str(paths.root() / "tests" / "clean-root"),
            *("--keep", "--bundle", str(made.file), "sh", "-euc", script, "sh", lab),
        ],
        capture_output=True,
        text=True,
        timeout=ROOT_DEADLINE,
        env={**os.environ, "UNDERLAY_CLEAN_ROOT": str(root)},
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


def test_it_is_installed_and_measures_without_network(made: Made) -> None:
    """First by root with nothing there, then by a user, with the packages there."""
    root = made.file.parent / "root"
    said = clean_root(made, AS_ROOT, root)
    assert said["interfaces"] == "lo"
    as_expected(json.loads(said["document"])["labs"][0])
    # Three full nodes by Vagrant, which `check FILE` does without.
    demo = json.loads(said["demo"])
    assert demo["lab"] == "coreos"
    as_expected(demo)
    took = {
        word: float(said[f"began-{after}"]) - float(said[f"began-{word}"])
        for word, after in pairwise(("unpack", "install", "check", "demo", "end"))
    }
    load = " ".join(f"{each:.0f}" for each in os.getloadavg())
    print(f"{took}, {made.document['bytes']} bytes, load {load}", file=sys.stderr)
    said = clean_root(made, AS_USER, root)
    assert said["interfaces"] == "lo"
    as_expected(json.loads(said["document"])["labs"][0])


def as_expected(lab: dict[str, Any]) -> None:
    assert lab["cells"], lab
    wrong = [cell for cell in lab["cells"] if cell["observed"] != cell["expected"]]
    assert wrong == []
    assert {cell["observed"] for cell in lab["cells"]} == {"reachable", "unreachable"}


def test_nothing_in_it_says_where_it_came_from(made: Made) -> None:
    hosts = set()
    for setting in SETTINGS:
        path = Path(setting)
        for file in path.iterdir() if path.is_dir() else [path] if path.exists() else []:
            hosts |= set(HOST.findall(file.read_text(errors="replace")))
    for name, value in os.environ.items():
        if name.startswith("PIP_") or name.lower().endswith("_proxy"):
            hosts |= set(HOST.findall(value))
    # Debian's own words about its packages name Debian's hosts.
    hosts -= {"deb.debian.org", "security.debian.org"}
    with tarfile.open(made.file, "r|") as tar:
        for entry in tar:
            name = entry.name.partition("/")[2]
            if name in TEXTS or name == "debs/Packages":
                content = tar.extractfile(entry)
                assert content is not None
                text = content.read().decode()
                assert [host for host in hosts if host in text] == [], name
                assert name not in TEXTS or "://" not in text.replace("file://", ""), name


def test_it_is_whole_and_not_too_large(made: Made) -> None:
    found = verb("check", str(made.file))
    assert {**found, "seconds": 0} == {**made.document, "seconds": 0}
    assert found["bytes"] < LARGEST


def test_made_again_it_is_the_same(made: Made, tmp_path: Path) -> None:
    """As long as mirrors have the same packages, which they mostly do for some minutes."""
    assert bundle(tmp_path / "again.tar")["sha256"] == made.document["sha256"]
