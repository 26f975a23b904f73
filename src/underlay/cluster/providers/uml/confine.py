"""Gives a sandbox a root of its own and becomes the sandbox's first process in it.

Runs as a script with the standard library alone, inside new user, network, mount and PID
namespaces. Whoever is root on a node can load modules into its kernel, and so run code in the
kernel's process, which is one of this host. That process is to find nothing here: the new root
holds this system's programs and libraries, the nodes' disks and seeds, all of them read-only,
and memory file systems of bounded size. The old root is taken away (pivot_root(2)), so there is
no way back, as there is out of a chroot(2).

Its only argument is JSON: ``trees`` are folders that are shown where they are, ``covered`` those
beneath them that are not to be seen, ``binds`` pairs of a path here and its path in the new root,
``script`` what Python goes on with.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import resource
import sys

# linux/mount.h
RDONLY, NOSUID, NODEV, NOEXEC, REMOUNT, BIND, REC = 1, 2, 4, 8, 32, 4096, 16384
NAMED = {"nosuid": NOSUID, "nodev": NODEV, "noexec": NOEXEC}
DETACH = 2  # umount2(2)
NO_NEW_PRIVS = 38  # linux/prctl.h
# x86-64, as User Mode Linux is: asm/unistd_64.h; linux/keyctl.h
PIVOT_ROOT, KEYCTL, JOIN_SESSION_KEYRING = 155, 250, 1

BASE = "/dev/shm"
OLD = "/.old"
SCRIPT = "/holder.py"
LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "net/tun")
# Which programs are meant by their names, what their libraries are, what protocols are called.
SETTINGS = (
    "alternatives", "ethertypes", "group", "iproute2", "ld.so.cache", "ld.so.conf",
    "ld.so.conf.d", "localtime", "nsswitch.conf", "passwd", "protocols", "services",
)  # fmt: skip
# Settings of the whole host. Who started the sandbox as root could write them from in here.
OF_THE_HOST = ("sysrq-trigger", "irq", "bus", "fs", "acpi", "scsi")
SMALL = "size=16m,nr_inodes=8192,mode=0755"

libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Make the root, pivot into it and go on as the script; exit with the reason if that fails."""
    wanted = json.loads(sys.argv[1])
    with open(wanted["script"], "rb") as file:
        script = file.read()
    # A venv's python is a link to the one that it was made with.
    python, prefix = os.path.realpath(sys.executable), os.path.realpath(sys.base_prefix)
    trees = {tree for tree in (*wanted["trees"], prefix) if os.path.isdir(tree)}
    try:
        take_root()
        fill(trees, wanted["covered"], wanted["binds"])
        write(SCRIPT, script)
        umount(OLD)
        os.rmdir(OLD)
        mount(None, "/", None, REMOUNT | BIND | RDONLY | NOSUID | NODEV)
    except OSError as error:
        sys.exit(f"the sandbox's own root could not be made: {error}")
    give_up()
    os.chdir("/")
    path = f"{os.environ.get('PATH', '')}:{os.path.dirname(python)}"
    os.execve(python, [python, "-I", "-S", SCRIPT], {"PATH": path})


def take_root() -> None:
    """Become the root's owner: an empty memory file system, with the old root beneath ``OLD``."""
    mount("underlay", BASE, "tmpfs", NOSUID | NODEV, SMALL)
    os.mkdir(BASE + OLD)
    checked(libc.syscall(PIVOT_ROOT, BASE.encode(), (BASE + OLD).encode()), "pivot_root")
    os.chdir("/")


def fill(trees: set[str], covered: list[str], binds: list[list[str]]) -> None:
    """Show in the new root what is to be seen of the old one."""
    for tree in trees:
        if not any(beneath(tree, other) for other in trees):
            show(tree, tree)
    for name in LINKS:
        if os.path.islink(f"{OLD}/{name}"):
            os.symlink(os.readlink(f"{OLD}/{name}"), f"/{name}")
        elif os.path.isdir(f"{OLD}/{name}"):
            show(f"/{name}", f"/{name}")
    for folder in covered:
        if os.path.isdir(folder):
            mount("underlay", folder, "tmpfs", RDONLY | NOSUID | NODEV, "size=4k,mode=0755")
    for name in SETTINGS:
        if os.path.exists(f"{OLD}/etc/{name}"):
            show(f"/etc/{name}", f"/etc/{name}")
    for source, target in binds:
        show(source, target)
    for name in DEVICES:
        if os.path.exists(f"{OLD}/dev/{name}"):
            bind(f"{OLD}/dev/{name}", f"/dev/{name}")
    for name, target in (("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        os.symlink(f"/proc/self/{target}", f"/dev/{name}")
    for folder in ("/dev/shm", "/run", "/tmp", "/var/tmp"):
        os.makedirs(folder)
    for folder in ("/tmp", "/var/tmp"):
        mount("underlay", folder, "tmpfs", NOSUID | NODEV, SMALL)
    os.symlink("/run", "/var/run")
    show_kernel()


def show_kernel() -> None:
    """Mount proc and sys: of the settings in there only the network namespace's may be written."""
    bind(f"{OLD}/proc", "/proc")
    bind("/proc/sys", "/proc/sys")
    bind("/proc/sys/net", "/proc/sys/net")
    read_only("/proc/sys", alone=True)
    for name in OF_THE_HOST:
        if os.path.exists(f"/proc/{name}"):
            bind(f"/proc/{name}", f"/proc/{name}")
            read_only(f"/proc/{name}")
    os.mkdir("/sys")
    try:
        mount("sysfs", "/sys", "sysfs", RDONLY | NOSUID | NODEV | NOEXEC)
    except OSError:
        # A container's own is covered in parts: nobody in there may mount another.
        show("/sys", "/sys")


def give_up() -> None:
    """Give up what would let a process gain rights, or lead to what its starter holds."""
    checked(libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    # A container's filter may forbid it, and its processes have no keys then.
    libc.syscall(KEYCTL, JOIN_SESSION_KEYRING, None)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def show(source: str, target: str) -> None:
    """Show the old root's ``source`` at ``target``, with all that is mounted beneath, read-only."""
    bind(OLD + source, target)
    read_only(target)


def bind(source: str, target: str) -> None:
    """Mount the file or folder ``source`` at ``target``, which is made where it is missing."""
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    elif not os.path.exists(target):
        write(target, b"")
    mount(source, target, None, BIND | REC)


def read_only(target: str, *, alone: bool = False) -> None:
    """Forbid to write at ``target`` and, unless it is meant ``alone``, to all mounts beneath it.

    What restricts a mount of this host already has to be said again: mount(2), EPERM.
    """
    with open(f"{OLD}/proc/self/mountinfo") as file:
        lines = [line.split() for line in file]
    for fields in lines:
        at = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), fields[4])
        if at == target or (not alone and beneath(at, target)):
            kept = sum(flag for name, flag in NAMED.items() if name in fields[5].split(","))
            mount(None, at, None, REMOUNT | BIND | RDONLY | kept)


def beneath(path: str, folder: str) -> bool:
    """Whether ``path`` lies in ``folder``, and isn't that itself."""
    return path.startswith(folder.rstrip("/") + "/")


def write(path: str, content: bytes) -> None:
    """Write a file of the new root, with the folders that it is in."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


def mount(
    source: str | None, target: str, kind: str | None, flags: int, options: str | None = None
) -> None:
    """Have the kernel show ``source`` at ``target``; raise OSError, which names that."""
    words = [word.encode() if word is not None else None for word in (source, target, kind)]
    data = options.encode() if options else None
    checked(libc.mount(*words, ctypes.c_ulong(flags), data), target)


def umount(target: str) -> None:
    """Take away ``target`` and all that is mounted beneath it; raise OSError."""
    checked(libc.umount2(target.encode(), DETACH), target)


def checked(result: int, what: str) -> None:
    """Raise OSError about ``what`` where a call's ``result`` says that it failed."""
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), what)


if __name__ == "__main__":
    main()
