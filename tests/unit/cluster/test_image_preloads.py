"""The libraries that programs are started with on nodes, compiled and preloaded here."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from underlay.cluster.image.build import compile_preloads

ASKED = """
import os, subprocess
print(os.environ.get("LD_PRELOAD"), any("pieces" in line for line in open("/proc/self/maps")))
child = ["grep", "-c", "pieces", "/proc/self/maps"]
print(subprocess.run(child, capture_output=True, text=True).stdout.strip())
"""
# Maps memory as Go does, by the mmap that programs find; says how many pages are there untouched.
MAPPED = """
import ctypes, mmap
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]
for length, protection in ((4 << 20, 3), (4 << 20, 0), (32 << 10, 3), (64 << 20, 3)):
    start = libc.mmap(None, length, protection, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    there = ctypes.create_string_buffer(length // mmap.PAGESIZE)
    assert libc.mincore(start, length, there) == 0
    print(sum(1 for page in there.raw[:length // mmap.PAGESIZE] if page & 1))
print(libc.mmap(None, 0, 3, 0x22, -1, 0) == 2**64 - 1, ctypes.get_errno())
"""


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the libraries."""
    folder = tmp_path_factory.mktemp("preloads")
    for name, library in compile_preloads().items():
        (folder / name).write_bytes(library)
    return folder


def said(words: list[str], **environment: str) -> str:
    """Return what a program says that is started so; it has nothing to complain of."""
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=60, env=os.environ | environment, check=True
    )
    assert done.stderr == ""
    return done.stdout


def test_pieces_is_in_the_program_that_it_is_preloaded_into_and_in_no_other(
    libraries: Path,
) -> None:
    words = [sys.executable, "-I", "-c", ASKED]
    preloaded = said(words, LD_PRELOAD=str(libraries / "pieces.so"))
    assert preloaded.split() == ["None", "True", "0"]
    assert said(words).split() == ["None", "False", "0"]


def test_what_go_maps_to_use_is_there_and_what_it_reserves_is_not(libraries: Path) -> None:
    words = [sys.executable, "-I", "-c", MAPPED]
    lines = said(words, LD_PRELOAD=str(libraries / "go.so")).splitlines()
    assert lines == ["1024", "0", "0", "0", "True 22"]
    assert said(words).splitlines() == ["0", "0", "0", "0", "True 22"]


def test_what_a_program_may_write_to_is_there_before_its_relocations_are_made(
    libraries: Path,
) -> None:
    """ip has 77 pages that hold nothing when it starts, and uses few of them to say its version."""
    without, audited = faults(), faults(LD_AUDIT=str(libraries / "relocations.so"))
    assert audited > without + 50


def faults(**environment: str) -> int:
    """Return how many pages a short program was given."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt
    said(["ip", "-V"], **environment)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt - before
