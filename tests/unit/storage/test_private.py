"""Folders of this user alone, on a machine that another user shares."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from underlay.errors import Infrastructure
from underlay.storage import private

SOURCE = Path(__file__).resolve().parents[3] / "src"
# Runs as root, or as what a user namespace takes for it; `other` does what another user would.
SCENE = """\
import os, sys, tempfile
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from underlay.cluster import ssh
from underlay.errors import Infrastructure
from underlay.storage import private, temporary

OTHER = 4321
above = Path(sys.argv[1])
os.chown(above, 0, 0)
# Without the sticky bit, and so without what the kernel does about links in such folders.
above.chmod(0o777)
os.environ["TMPDIR"] = tempfile.tempdir = str(above)
os.environ.pop("XDG_RUNTIME_DIR", None)

def other(act):
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(OTHER), os.setuid(OTHER)
            act()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0

def refused(act, words):
    try:
        act()
    except Infrastructure as error:
        assert words in error.message, error.message
    else:
        raise AssertionError(f"nothing said: {words}")

"""
AS_ANOTHER = {
    "a folder of its own, as if of a command that was killed": """
def squat():
    (above / "underlay-old").mkdir(mode=0o700)
    (above / "underlay-old" / ".lock").touch()
other(squat)
assert list(temporary.left()) == []
temporary.sweep()
assert (above / "underlay-old" / ".lock").exists()
""",
    "a link to a folder of root's": """
mine = above / "mine"
mine.mkdir(mode=0o755)
(mine / ".lock").touch()
other(lambda: (above / "underlay-link").symlink_to(mine))
temporary.sweep()
assert (mine / ".lock").exists()
""",
    "a lock that is a link": """
def squat():
    (above / "underlay-old").mkdir()
    (above / "underlay-old" / ".lock").symlink_to(above / "made")
other(squat)
temporary.sweep()
assert not (above / "made").exists()
""",
    "its folder, in the place of one that is claimed": """
other(lambda: (above / "underlay-seed-x").mkdir(mode=0o777))
refused(lambda: temporary.claim(above / "underlay-seed-x"), "belongs to user 4321")
assert not (above / "underlay-seed-x" / ".lock").exists()
""",
    "a link to a folder of root's, in the place of one that is claimed": """
mine = above / "mine"
mine.mkdir(mode=0o755)
other(lambda: (above / "underlay-seed-y").symlink_to(mine))
refused(lambda: temporary.claim(above / "underlay-seed-y"), "is a symbolic link")
assert list(mine.iterdir()) == []
""",
    "a runtime folder, which su has passed on": """
other(lambda: (above / "run").mkdir(mode=0o700))
os.environ["XDG_RUNTIME_DIR"] = str(above / "run")
assert private.runtime() != above / "run"
""",
    "the folder of the sockets, where that was tidied up": """
runtime = above / "run"
runtime.mkdir(mode=0o700)
os.environ["XDG_RUNTIME_DIR"] = str(runtime)
state = above / "state"
(state / ("x" * 60)).mkdir(parents=True)
state = state / ("x" * 60)
sockets = ssh.socket_folder(state)
assert sockets.parent == runtime and sockets.lstat().st_mode & 0o777 == 0o700
sockets.rmdir()
runtime.chmod(0o777)
other(lambda: sockets.mkdir(mode=0o700))
refused(lambda: ssh.command(state / "ssh_config", "core-01", ["true"]), "belongs to user 4321")
ssh.close(state)
assert sockets.exists()
""",
    "any name, for nothing that it can guess": """
above.chmod(0o1777)
private.runtime = lambda: None
state = above / ("x" * 60)
state.mkdir()
(first, second) = (ssh.socket_folder(state), ssh.socket_folder(state))
assert first == second and first.parent == above and first.lstat().st_uid == 0
ssh.close(state)
assert not first.exists() and ssh.socket_folder(state) == first
""",
}


def as_root() -> list[str]:
    """What runs a program so that it can become another user; skips where nothing does."""
    if os.geteuid() == 0:
        return []
    mapped = ["unshare", "--user", "--map-root-user", "--map-auto", "--"]
    probe = [*mapped, "setpriv", "--reuid", "4321", "--regid", "4321", "--clear-groups", "true"]
    if shutil.which("unshare") and subprocess.run(probe, capture_output=True).returncode == 0:
        return mapped
    pytest.skip("not root, and no second user can be mapped (uidmap, /etc/subuid)")


@pytest.mark.parametrize("made", AS_ANOTHER)
def test_another_user_has_made(made: str) -> None:
    # Not below pytest's own folder, which no other user can enter.
    above = Path("/dev/shm") / f"two-{os.getpid()}"
    above.mkdir()
    command = [*as_root(), sys.executable, "-c", SCENE + AS_ANOTHER[made], above, SOURCE]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
    finally:
        subprocess.run([*as_root(), "rm", "-rf", above], check=True, timeout=60)


def test_what_is_made_is_of_this_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    private.make(folder)
    private.make(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    os.close(private.opened(folder))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.symlink_to(path.parent), "is a symbolic link"),
        (lambda path: path.touch(), "is no folder"),
        (lambda path: (path.mkdir(), path.chmod(0o750)), "is open to other users (mode 750)"),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, make: object, words: str) -> None:
    assert callable(make)
    make(tmp_path / "x")
    with pytest.raises(Infrastructure, match=words.replace("(", r"\(").replace(")", r"\)")):
        private.make(tmp_path / "x")


def test_a_link_is_never_opened(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(OSError, match=r"directory|symbolic"):
        private.opened(tmp_path / "link")


def test_a_runtime_folder_is_closed_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(private.RUNTIME, str(tmp_path))
    tmp_path.chmod(0o755)
    assert private.runtime() != tmp_path
    tmp_path.chmod(0o700)
    assert private.runtime() == tmp_path
    monkeypatch.setenv(private.RUNTIME, "relative")
    assert private.runtime() != Path("relative")
