"""The bundle's own script, run by this machine's shell on a bundle of a few kilobytes."""

from __future__ import annotations

import os
import signal
import subprocess
import tarfile
from pathlib import Path

import pytest

from barrier import Point
from small_bundle import LAUNCHER, small_bundle, this_system
from underlay.cluster.bundle.contents import Needed, needs

DEADLINE = 60


class Machine:
    """A home, and a folder of programs that stand before the real ones."""

    def __init__(self, folder: Path) -> None:
        self.home, self.programs, self.temporary = (folder / w for w in ("home", "bin", "tmp"))
        for path in (self.home, self.programs, self.temporary):
            path.mkdir()
        self.folder = folder

    def program(self, name: str, text: str) -> None:
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def unpack(self, bundle: Path, name: str = "stick") -> Path:
        """Unpack ``bundle`` as tar does, and return its install."""
        (self.folder / name).mkdir()
        with tarfile.open(bundle) as tar:
            tar.extractall(self.folder / name, filter="data")
        (script,) = (self.folder / name).glob("*/install")
        return script

    @property
    def variables(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "XDG_"))}
        path = f"{self.programs}:{os.environ['PATH']}"
        return kept | {"HOME": str(self.home), "PATH": path, "TMPDIR": str(self.temporary)}

    def run(self, script: Path, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(script), *words],
            env=self.variables, capture_output=True, text=True, timeout=DEADLINE,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_it_makes_a_checkout_by_the_wheels_alone(machine: Machine, tmp_path: Path) -> None:
    script = machine.unpack(small_bundle(tmp_path, needed=this_system()), "a stick")
    done = machine.run(script)
    assert done.returncode == 0, done.stderr
    folder = machine.home / "underlay"
    wheels = f"file://{script.parent}/wheels".replace(" ", "%20")
    called = (folder / "called").read_text().splitlines()
    assert called[0] == f"1 /dev/null {wheels} --version"
    assert called[1].endswith(f"image import --json {script.parent}/image.tar.zst")
    assert f"Underlay is in {folder}" in done.stderr
    assert done.stdout == ""
    assert list(machine.temporary.iterdir()) == []
    assert [path.name for path in machine.home.iterdir()] == ["underlay"]
    # Once more, it goes on with what is there.
    again = machine.run(script)
    assert (again.returncode, "is in" in again.stderr) == (0, True)


def test_another_folder_can_be_named_from_any_disk(machine: Machine, tmp_path: Path) -> None:
    script = machine.unpack(small_bundle(tmp_path, needed=this_system()))
    script.chmod(0o644)
    done = subprocess.run(
        ["sh", str(script), "some where"],
        env=machine.variables, cwd=machine.home, capture_output=True, text=True, timeout=DEADLINE,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (machine.home / "some where" / "underlay").is_file()


def test_a_foreign_folder_is_left_alone(machine: Machine, tmp_path: Path) -> None:
    script = machine.unpack(small_bundle(tmp_path, needed=this_system()))
    mine = machine.home / "underlay" / "mine"
    mine.parent.mkdir()
    mine.touch()
    done = machine.run(script)
    assert done.returncode == 2
    assert f"error: {mine.parent} is there already, and needs other things" in done.stderr
    assert [path.name for path in mine.parent.iterdir()] == ["mine"]


def test_a_checkout_that_needs_the_same_is_taken(machine: Machine, tmp_path: Path) -> None:
    lists = {"requirements.txt": "a==1", "packages.txt": "b c d"}
    script = machine.unpack(small_bundle(tmp_path, needed=this_system(), more=lists))
    folder = machine.home / "underlay"
    folder.mkdir()
    for name, text in {**lists, "underlay": LAUNCHER, "mine": ""}.items():
        (folder / name).write_text(text)
    (folder / "underlay").chmod(0o755)
    done = machine.run(script)
    assert done.returncode == 0, done.stderr
    assert (folder / "called").read_text().count("--version") == 1
    (folder / "packages.txt").write_text("b c other")
    assert machine.run(script).returncode == 2


@pytest.mark.parametrize(
    ("line", "other", "message"),
    [
        ("release 13", "release 12", "this bundle is for debian 12, and this machine has "),
        ("distribution debian", "distribution arch", "this bundle is for arch "),
    ],
)
def test_another_system_is_refused_with_what_was_found(
    line: str, other: str, message: str, machine: Machine, tmp_path: Path
) -> None:
    needed = needs([], {}).replace(line, other)
    done = machine.run(machine.unpack(small_bundle(tmp_path, needed=needed)))
    assert done.returncode == 2
    assert f"error: {message}" in done.stderr
    assert list(machine.home.iterdir()) == []


def test_another_architecture_is_refused_with_what_was_found(
    machine: Machine, tmp_path: Path
) -> None:
    machine.program("dpkg", "echo riscv64")
    done = machine.run(machine.unpack(small_bundle(tmp_path, needed=this_system())))
    assert done.returncode == 2
    assert "and this machine is riscv64" in done.stderr


def test_damaged_and_missing_files_are_named(machine: Machine, tmp_path: Path) -> None:
    script = machine.unpack(small_bundle(tmp_path, needed=this_system()))
    (script.parent / "underlay.tar.gz").write_text("other")
    (script.parent / "image.tar.zst").unlink()
    done = machine.run(script)
    assert done.returncode == 2
    assert "bundle is damaged: underlay.tar.gz, image.tar.zst is missing" in done.stderr
    assert list(machine.home.iterdir()) == []
    assert list(machine.temporary.iterdir()) == []


def test_half_a_bundle_is_refused(machine: Machine, tmp_path: Path) -> None:
    script = machine.unpack(small_bundle(tmp_path, needed=this_system()))
    (script.parent / "needs.txt").unlink()
    done = machine.run(script)
    assert done.returncode == 2
    assert "does not hold a whole bundle" in done.stderr


def test_who_is_not_root_is_told_one_command(machine: Machine, tmp_path: Path) -> None:
    lacking = [Needed("no-such", "no-such-program"), Needed("exact", "sh", "1.0")]
    script = machine.unpack(small_bundle(tmp_path, needed=this_system(lacking)))
    machine.program("id", "echo 1000")
    machine.program("sudo", "exit 1")
    done = machine.run(script)
    assert done.returncode == 3
    assert "packages are missing: no-such exact=1.0" in done.stderr
    assert f"hint: sudo sh {script} --packages; then this command again" in done.stderr
    assert list(machine.home.iterdir()) == []


def test_packages_come_from_the_bundle_alone(machine: Machine, tmp_path: Path) -> None:
    script = machine.unpack(
        small_bundle(tmp_path, needed=this_system([Needed("no-such", "no-such-program")]))
    )
    source = machine.folder / "source"
    machine.program("id", "echo 0")
    machine.program(
        "apt-get",
        f'echo "$*" >>{machine.folder}/apt\n'
        f'for word; do case $word in *sourcelist=*) cat "${{word#*=}}" >{source};; esac; done',
    )
    done = machine.run(script, "--packages")
    assert done.returncode == 0, done.stderr
    assert source.read_text() == f"deb [trusted=yes] file://{script.parent}/debs ./\n"
    update, install = (machine.folder / "apt").read_text().splitlines()
    assert update.endswith(" update")
    assert install.endswith(" --no-install-recommends --allow-downgrades no-such")
    assert list(machine.home.iterdir()) == []


def test_what_apt_says_is_shown(machine: Machine, tmp_path: Path) -> None:
    script = machine.unpack(
        small_bundle(tmp_path, needed=this_system([Needed("no-such", "no-such-program")]))
    )
    machine.program("id", "echo 0")
    machine.program("apt-get", "echo E: something is held back; exit 100")
    done = machine.run(script)
    assert done.returncode == 3
    assert "E: something is held back\nerror: apt-get could not install: no-such" in done.stderr
    assert list(machine.temporary.iterdir()) == []


def test_too_small_a_disk_is_refused(machine: Machine, tmp_path: Path) -> None:
    done = machine.run(machine.unpack(small_bundle(tmp_path, needed=this_system(room=1 << 40))))
    assert done.returncode == 3
    assert f"MiB free, and needs {1 << 40} MiB for Python's packages" in done.stderr


def test_another_image_than_nodes_boot_is_an_error(machine: Machine, tmp_path: Path) -> None:
    launcher = "#!/bin/sh\necho '{\"current\": false}'\n"
    script = machine.unpack(small_bundle(tmp_path, needed=this_system(), launcher=launcher))
    done = machine.run(script)
    assert done.returncode == 3
    assert "nodes here boot another image than the bundle's" in done.stderr


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_it_leaves_no_half_of_a_folder(
    sent: signal.Signals, machine: Machine, tmp_path: Path
) -> None:
    script = machine.unpack(small_bundle(tmp_path, needed=this_system()))
    point = Point(machine.folder / "point")
    machine.program("tar", f'{point.script}exec /usr/bin/tar "$@"')
    process = subprocess.Popen(
        [str(script)],
        env=machine.variables, stderr=subprocess.PIPE, text=True, start_new_session=True,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    point.wait(lambda: process.poll() is None)
    os.killpg(process.pid, sent)
    _, err = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130, err
    assert "install: interrupted" in err
    assert list(machine.home.iterdir()) == []
    assert list(machine.temporary.iterdir()) == []
    assert machine.run(script).returncode == 0


def test_help_and_wrong_words(machine: Machine, tmp_path: Path) -> None:
    script = machine.unpack(small_bundle(tmp_path, needed=this_system()))
    assert "./install --packages" in machine.run(script, "--help").stdout
    for words in (["--other"], ["one", "two"]):
        assert machine.run(script, *words).returncode == 2
