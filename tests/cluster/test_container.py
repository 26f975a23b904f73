"""The Containerfile, built by podman and run by it, with the flags that are documented and without.

Its base is made here, so that no registry is needed; all that podman keeps is in a folder of the
test's own. Docker, and podman without root, were measured by hand: docs/containers-and-ci.md.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster.small_lab import small_lab
from underlay.cluster.requirements.container import ENGINES, ROOT_FLAG, TUN_FLAG
from underlay.storage import paths

BUILD_DEADLINE = 3600
RUN_DEADLINE = 900
PROC_FLAG = ENGINES[0].proc
NEEDED = (TUN_FLAG, PROC_FLAG)
# What labs don't need is withheld; the nodes' image is in the container.
WITHHELD = ("--network=none", "--cap-drop=all", ROOT_FLAG, "--security-opt=no-new-privileges")
TAG = "localhost/underlay"
DISK = 12 << 30

pytestmark = [
    pytest.mark.all,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make the container's base here"),
    pytest.mark.skipif(
        shutil.which("podman") is None, reason="podman isn't here: apt-get install podman crun"
    ),
]


@dataclass(frozen=True)
class Podman:
    """podman with a store of its own, by the OCI runtime that works on this machine."""

    folder: Path
    runtime: str

    def call(self, *words: str, deadline: int = RUN_DEADLINE) -> subprocess.CompletedProcess[str]:
        """Run podman with ``words``."""
        own = ["--root", str(self.folder / "store"), "--runroot", str(self.folder / "run")]
        # Neither needs systemd, which a machine may not have.
        own += ["--cgroup-manager=cgroupfs", "--events-backend=none", "--runtime", self.runtime]
        return subprocess.run(
            ["podman", *own, *words],
            capture_output=True,
            text=True,
            timeout=deadline,
            env={**os.environ, "TMPDIR": str(self.folder), "PODMAN_IGNORE_CGROUPSV1_WARNING": "1"},
        )

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a container of Underlay; ``words`` are flags, then the image and the command."""
        return self.call("run", "--rm", f"--volume={self.work}:/work", *words)

    @property
    def work(self) -> Path:
        """What containers see as /work."""
        return self.folder / "work"


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    """Return podman with the container built; what it takes is gone afterwards."""
    folder = tmp_path_factory.mktemp("podman")
    if shutil.disk_usage(folder).free < DISK:
        pytest.skip(f"{folder} has less than {DISK >> 30} GiB for the container's layers")
    (folder / "work").mkdir()
    base = folder / "base.tar"
    subprocess.run(
        [str(paths.root() / "tests" / "clean-root"), "--tar", str(base)],
        check=True,
        timeout=BUILD_DEADLINE,
        env={**os.environ, "UNDERLAY_CLEAN_ROOT": str(folder / "root")},
    )
    refused = []
    for runtime in ("crun", "runc"):
        found = Podman(folder, runtime)
        if shutil.which(runtime) is None:
            continue
        imported = found.call("import", str(base), "localhost/base")
        assert imported.returncode == 0, imported.stderr
        done = found.call("run", "--rm", "--network=none", "localhost/base", "true")
        if done.returncode == 0:
            break
        refused.append(f"{runtime}: {done.stderr.strip()}")
    else:
        pytest.skip(f"podman runs no containers here: {'; '.join(refused)}")
    # Who may raise limits and who may not differs; what there is will do.
    limits = ("--ulimit=nofile=4096:4096", "--ulimit=nproc=60000:60000")
    built = found.call(
        *("build", *limits, "--network=host", "--build-arg=BASE=localhost/base", "--tag", TAG),
        str(paths.root()),
        deadline=BUILD_DEADLINE,
    )
    assert built.returncode == 0, built.stdout[-4000:] + built.stderr[-4000:]
    yield found
    # Not `system reset`, which removes networks and machines of the user's, too.
    found.call("rmi", "--all", "--force")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def small(podman: Podman) -> str:
    """Return the name of a small lab's file, as the container sees it."""
    (podman.work / "small.yml").write_text(small_lab("modest", 2, count=2))
    return "small.yml"


def test_doctor_finds_nothing_missing_with_the_documented_flags(podman: Podman) -> None:
    done = podman.run(*NEEDED, *WITHHELD, TAG, "underlay", "doctor", "--json")
    rows = json.loads(done.stdout)["rows"]
    assert [row for row in rows if not row["ok"]] == []
    assert done.returncode == 0


@pytest.mark.parametrize("flag", NEEDED)
def test_without_a_flag_nothing_runs_and_doctor_names_it(
    flag: str, podman: Podman, small: str
) -> None:
    flags = [each for each in (*NEEDED, *WITHHELD) if each != flag]
    done = podman.run(*flags, TAG, "underlay", "check", small)
    assert done.returncode == 3, done.stdout + done.stderr
    done = podman.run(*flags, TAG, "underlay", "doctor", "--json")
    (row,) = [row for row in json.loads(done.stdout)["rows"] if row["what"] == "container"]
    assert (row["ok"], row["found"]) == (False, f"podman's, started without {flag}")
    assert done.returncode == 3


def test_labs_need_one_capability(podman: Podman, small: str) -> None:
    flags = [each for each in (*NEEDED, *WITHHELD) if each != ROOT_FLAG]
    assert podman.run(*flags, TAG, "underlay", "check", small).returncode == 3
    done = podman.run(*flags, TAG, "underlay", "doctor")
    assert f"podman's, started without {ROOT_FLAG}" in done.stdout


def test_a_lab_is_measured_and_its_files_are_outside(podman: Podman, small: str) -> None:
    kept = ("--save", "run.json", "--junit", "junit.xml")
    done = podman.run(*NEEDED, *WITHHELD, TAG, "underlay", "check", small, *kept)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b0 differ, 0 not measured", done.stdout)
    assert json.loads((podman.work / "run.json").read_text())["reached"] == "the end"
    assert (podman.work / "junit.xml").stat().st_size
    # The same lab again, held against that: a run is no worse than itself.
    again = (*NEEDED, *WITHHELD, TAG, "underlay", "check", small, "--baseline", "run.json")
    assert podman.run(*again).returncode == 0


def test_an_external_host_needs_no_more(podman: Podman) -> None:
    """Its namespace is entered without a /sys of its own, which the container's forbids."""
    done = podman.run(*NEEDED, *WITHHELD, TAG, "underlay", "check", "external-server")
    assert done.returncode == 0, done.stdout + done.stderr


def test_demo_is_what_a_container_does_by_itself(podman: Podman) -> None:
    done = podman.run(*NEEDED, *WITHHELD, TAG)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "612 cells: 612 as expected, 0 differ, 0 not measured" in done.stdout
