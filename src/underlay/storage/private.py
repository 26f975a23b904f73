"""Folders that nobody but this user can write: where sockets and locks may lie.

On a machine that several people share, anybody may make a folder or a link of any name in the
system's folder for temporary files, and wait for somebody else to use it. So a folder counts as
this user's own for what the kernel says of it, never for its name.
"""

from __future__ import annotations

import errno
import os
import pwd
import stat
from contextlib import suppress
from pathlib import Path

from underlay.errors import Infrastructure

RUNTIME = "XDG_RUNTIME_DIR"


def opened(folder: Path) -> int:
    """Return a descriptor of ``folder``, in which nobody but this user can write.

    Raises PermissionError where somebody else can, and another OSError where it is a
    symbolic link, no folder at all, or can't be opened.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    if not _is_own(os.fstat(descriptor)):
        os.close(descriptor)
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(folder))
    return descriptor


def make(folder: Path) -> None:
    """Make ``folder``, closed to everybody else, with those above it; it may be there.

    Raises Infrastructure where what is there isn't a folder of this user's alone.
    """
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700, parents=True)
    found = folder.lstat()
    if stat.S_ISLNK(found.st_mode):
        what = "is a symbolic link"
    elif not stat.S_ISDIR(found.st_mode):
        what = "is no folder"
    elif found.st_uid != os.geteuid():
        what = f"belongs to {_user(found.st_uid)}"
    elif found.st_mode & 0o077:
        what = f"is open to other users (mode {found.st_mode & 0o777:03o})"
    else:
        return
    raise Infrastructure(
        f"{folder} {what}, expected a folder of {_user(os.geteuid())} alone (mode 700)",
        hint=f"ls -ld {folder}  shows whose it is: have it removed, and try again",
    )


def runtime() -> Path | None:
    """Return the user's runtime folder, or None where there is none that is this user's alone.

    It is ``$XDG_RUNTIME_DIR``, which must be the user's own with mode 700 (XDG basedir
    specification), else where systemd-logind makes it. ``su`` and ``sudo`` may pass on another
    user's.
    """
    for path in (os.environ.get(RUNTIME, ""), f"/run/user/{os.geteuid()}"):
        with suppress(OSError):
            if os.path.isabs(path) and _is_closed(Path(path).lstat()):
                return Path(path)
    return None


def keeps_names(folder: Path) -> bool:
    """Whether nobody else can take away or rename what this user makes in ``folder``."""
    try:
        mode = folder.stat().st_mode
    except OSError:
        return False
    return bool(mode & stat.S_ISVTX) or not mode & stat.S_IWOTH


def _is_own(found: os.stat_result) -> bool:
    """Whether it is this user's, and nobody else may write there."""
    return found.st_uid == os.geteuid() and not found.st_mode & 0o022


def _is_closed(found: os.stat_result) -> bool:
    closed = found.st_uid == os.geteuid() and not found.st_mode & 0o077
    return closed and stat.S_ISDIR(found.st_mode)


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
