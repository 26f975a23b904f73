"""Goes on as another script in a process where to have no further groups is no failure.

Runs as a script with the standard library alone: ``without_groups.py SCRIPT``. libvirtd gives each
qemu the groups of the user that it runs as, by setgroups(2). A user namespace of somebody who isn't
root refuses that (user_namespaces(7)), and there is nothing to be done: its root is one user with
one group. So the call is answered with success by a filter of system calls, in this process and in
all that it starts (seccomp(2): an errno of 0).
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

# linux/prctl.h, linux/seccomp.h, linux/audit.h, asm/unistd_64.h
SET_SECCOMP, FILTER = 22, 2
ALLOW, SUCCEED = 0x7FFF0000, 0x00050000
X86_64, SETGROUPS = 0xC000003E, 116
# linux/bpf_common.h: load a word at a fixed place, jump where it is equal, return.
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
NUMBER_AT, MACHINE_AT = 0, 4  # linux/seccomp.h, struct seccomp_data
STEPS = (
    (LOAD, 0, 0, MACHINE_AT),
    (EQUAL, 0, 3, X86_64),
    (LOAD, 0, 0, NUMBER_AT),
    (EQUAL, 0, 1, SETGROUPS),
    (RETURN, 0, 0, SUCCEED),
    (RETURN, 0, 0, ALLOW),
)


class Program(ctypes.Structure):
    """What the kernel takes a filter as: struct sock_fprog of linux/filter.h."""

    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def main() -> None:
    """Answer the call, and become the script; exit with the kernel's word where it refuses."""
    steps = b"".join(struct.pack("=HBBI", *step) for step in STEPS)
    program = Program(len(STEPS), steps)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(SET_SECCOMP, FILTER, ctypes.byref(program), 0, 0):
        code = ctypes.get_errno()
        sys.exit(f"no filter of system calls can be set: {os.strerror(code)}")
    os.execv(sys.executable, [sys.executable, "-I", "-S", sys.argv[1]])


if __name__ == "__main__":
    main()
