"""An installed Underlay: the wheel in an environment of its own, read-only, far from a checkout.

Every day the wheel is built and looked into; installing it takes as long as a dozen labs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from underlay.cluster.image import build as image
from underlay.storage import paths

INSTALL_DEADLINE = 400
LAB_DEADLINE = 600
LARGEST_WHEEL = 2 << 20  # with all courses it has 1.6 MB; an image or a capture would be far more
PROGRAMS = ("ansible/bin/ansible-playbook", "image/boot/make", "inventory/underlay")

# chmod doesn't bind root, a mount that is read-only does.
READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'


@dataclass(frozen=True)
class Installed:
    """The virtual environment that the wheel is installed in, which can't be written to."""

    environment: Path
    folder: Path

    @property
    def package(self) -> Path:
        """Where the package is."""
        (found,) = self.environment.glob("lib/python*/site-packages/underlay")
        return found

    @property
    def cwd(self) -> Path:
        """A folder that has nothing to do with Underlay."""
        return self.folder / "elsewhere"

    @property
    def state(self) -> Path:
        """Where the labs' state goes."""
        return self.folder / "state" / "underlay"

    def run(self, *arguments: str, program: str = "") -> subprocess.CompletedProcess[str]:
        """Run the installed command, or ``program``, as one does who has just installed it."""
        command = [program or str(self.environment / "bin" / "underlay"), *arguments]
        if os.geteuid() == 0:
            command = [
                *("unshare", "--mount", "sh", "-c", READ_ONLY, str(self.environment)),
                *command,
            ]
        return subprocess.run(
            command,
            cwd=self.cwd,
            env=self._variables(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LAB_DEADLINE,
        )

    def _variables(self) -> dict[str, str]:
        ours = ("UNDERLAY_", "VAGRANT_", "ANSIBLE_", "PYTHON", "XDG_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return kept | {
            "HOME": str(self.folder / "home"),
            "XDG_STATE_HOME": str(self.folder / "state"),
            # The image is the same as the checkout's, and is built once.
            "XDG_CACHE_HOME": str(paths.cache().parent),
        }

    def content(self) -> set[tuple[str, int, int]]:
        """Return path, mode and time of change of all that is installed."""
        facts = [(path, path.lstat()) for path in self.environment.rglob("*")]
        return {(str(path), fact.st_mode, fact.st_ctime_ns) for path, fact in facts}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel of this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    call(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder))
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """Return the wheel of this checkout, installed with the locked packages, then read-only."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("elsewhere", "home"):
        (folder / name).mkdir()
    environment = folder / "environment"
    call(sys.executable, "-m", "venv", str(environment))
    pip = [str(environment / "bin" / "python"), "-I", "-m", "pip", "install", "--quiet"]
    locked = str(paths.root() / "requirements.txt")
    call(*pip, "--no-input", "--require-hashes", "--only-binary", ":all:", "-r", locked)
    call(*pip, "--no-index", "--no-deps", str(wheel))
    call(str(environment / "bin" / "python"), "-I", "-m", "pip", "check")
    call("chmod", "-R", "a-w", str(environment))
    yield Installed(environment, folder)
    call("chmod", "-R", "u+w", str(environment))
    shutil.rmtree(environment)


def call(*arguments: str) -> None:
    done = subprocess.run(
        arguments,
        cwd=paths.root(),
        capture_output=True,
        text=True,
        timeout=INSTALL_DEADLINE,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
    )
    assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"


def test_the_wheel_holds_the_package_and_its_data(wheel: Path) -> None:
    assert wheel.stat().st_size < LARGEST_WHEEL
    archive = zipfile.ZipFile(wheel)
    names = archive.namelist()
    assert [name for name in names if "__pycache__" in name] == []
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"underlay"}
    for name in PROGRAMS:
        # The upper half is the mode, as on Unix: see "external file attributes" in APPNOTE.TXT.
        mode = archive.getinfo(f"underlay/data/{name}").external_attr >> 16
        assert mode & 0o111 == 0o111, name


def test_the_wheel_brings_the_plugin_for_pytest(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (facts,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    (points,) = (name for name in archive.namelist() if name.endswith("/entry_points.txt"))
    assert "Provides-Extra: pytest\n" in archive.read(facts).decode()
    assert "[pytest11]\nunderlay = underlay.pytest_plugin.plugin\n" in archive.read(points).decode()


@pytest.mark.all
def test_an_installed_plugin_collects_the_cells_of_a_lab(installed: Installed) -> None:
    test = "import pytest\n@pytest.mark.cells('lannet-1a -> lannet-2a')\ndef test_it(cell): ...\n"
    folder = installed.folder / "tests"
    folder.mkdir()
    (folder / "test_it.py").write_text(test)
    words = ("-p", "no:cacheprovider", "--collect-only", "-q", "--underlay", "flat", str(folder))
    program = str(installed.environment / "bin" / "pytest")
    done = installed.run(*words, program=program)
    assert done.returncode == 2, done.stdout
    assert "nobody in flat is called so" in done.stdout
    done = installed.run(*words[:-2], "coreos", str(folder), program=program)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_it[lannet-1a->lannet-2a-icmp]" in done.stdout


@pytest.mark.all
def test_programs_among_the_data_stay_executable(installed: Installed) -> None:
    for name in PROGRAMS:
        assert (installed.package / "data" / name).stat().st_mode & 0o111 == 0o111, name


@pytest.mark.all
def test_the_image_is_the_checkouts(installed: Installed) -> None:
    done = installed.run("image", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["key"] == image.current().key


@pytest.mark.all
def test_the_tests_are_in_a_checkout_only(installed: Installed) -> None:
    done = installed.run("test", "--json")
    assert done.returncode == 2
    assert "checkout" in json.loads(done.stdout)["error"]


@pytest.mark.all
def test_render_up_check_down_write_nothing_beside_the_data(installed: Installed) -> None:
    before = installed.content()
    done = installed.run("render", "--output", str(installed.folder / "files"))
    assert done.returncode == 0, done.stderr
    assert (installed.folder / "files" / "core-01" / "user-data").is_file()
    try:
        done = installed.run("up")
        assert done.returncode == 0, done.stderr
        assert (installed.state / "labs" / "coreos" / "lab.json").is_file()
        prove_by_hand(installed)
        done = installed.run("check", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        summary = json.loads(done.stdout)["summary"]
        assert (summary["differs"], summary["not_measured"]) == (0, 0)
    finally:
        done = installed.run("down", "--all")
    assert done.returncode == 0, done.stderr
    assert not installed.state.exists()
    assert list(installed.cwd.iterdir()) == []
    assert installed.content() == before


def prove_by_hand(installed: Installed) -> None:
    """Plain Vagrant and Ansible find the lab by the variables that `env` prints."""
    values = json.loads(installed.run("env", "--json").stdout)["variables"]
    words = [f"{name}={value}" for name, value in values.items()]
    done = installed.run(*words, "vagrant", "status", "--machine-readable", program="env")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ",core-03,state,running" in done.stdout
    program = str(installed.environment / "bin" / "ansible-inventory")
    done = installed.run(*words, program, "--list", program="env")
    assert json.loads(done.stdout)["coreos"]["hosts"] == ["core-01", "core-02", "core-03"]
