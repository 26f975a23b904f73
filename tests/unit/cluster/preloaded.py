"""The library that linux.uml is started with, held against what ptrace itself says.

test_preload.py runs this in a Python that is started with it, too: loaded later, a library made by
tcc is refused by the C library of Debian 13, as it asks for an executable stack.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Iterator

import pytest

SYS_PTRACE = 101
TRACE_ME, CONTINUE, EMULATE, EVENT_MESSAGE = 0, 7, 31, 0x4201
SET_OPTIONS, END_WITH_TRACER = 0x4200, 0x00100000
GET_SET, SET_SET, XSTATE = 0x4204, 0x4205, 0x202
# Where the sixteen bytes of xmm7 are, and the part of the set that is the same everywhere.
XMM7 = slice(160 + 7 * 16, 160 + 8 * 16)
LARGEST = 1 << 16
MONOTONIC = 1
# s in which a process is held to a processor at least once, on a machine with much to do.
PATIENCE = 30.0


class Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class Traced:
    """A process that calls getppid for ever, stopped, and both ways to its registers."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.ptrace.restype = ctypes.c_long
        self.pid = os.fork()
        if self.pid == 0:
            self._libc.syscall(SYS_PTRACE, TRACE_ME, 0, 0, 0)
            os.kill(os.getpid(), signal.SIGSTOP)
            while True:
                os.getppid()
        os.waitpid(self.pid, 0)
        self.ask(SET_OPTIONS, 0, END_WITH_TRACER)

    def ask(self, request: int, address: int = 0, data: int = 0) -> None:
        """Have the library carry out a request that it may make something else of."""
        words = (ctypes.c_long(value) for value in (request, self.pid, address, data))
        assert self._libc.ptrace(*words) == 0

    def go_on(self, request: int) -> None:
        """Have the process go on until its next stop."""
        self.ask(request)
        os.waitpid(self.pid, 0)

    def read(self) -> bytes:
        """Return the registers as the library tells them."""
        buffer = ctypes.create_string_buffer(LARGEST)
        vector = Vector(ctypes.addressof(buffer), LARGEST)
        self.ask(GET_SET, XSTATE, ctypes.addressof(vector))
        return buffer.raw[: vector.length]

    def write(self, registers: bytes) -> None:
        """Write the registers by the library."""
        buffer = ctypes.create_string_buffer(registers, len(registers))
        vector = Vector(ctypes.addressof(buffer), len(registers))
        self.ask(SET_SET, XSTATE, ctypes.addressof(vector))

    def has(self) -> bytes:
        """Return the registers that the process has, past the library."""
        buffer = ctypes.create_string_buffer(LARGEST)
        vector = Vector(ctypes.addressof(buffer), LARGEST)
        words = (GET_SET, self.pid, XSTATE, ctypes.addressof(vector))
        assert self._libc.syscall(SYS_PTRACE, *(ctypes.c_long(word) for word in words)) == 0
        return buffer.raw[: vector.length]

    def processors(self) -> set[int]:
        return os.sched_getaffinity(self.pid)


@pytest.fixture
def traced() -> Iterator[Traced]:
    before = os.sched_getaffinity(0)
    process = Traced()
    yield process
    os.kill(process.pid, signal.SIGKILL)
    os.waitpid(process.pid, 0)
    os.sched_setaffinity(0, before)


def changed(registers: bytes) -> bytes:
    """Return ``registers`` with other bytes in xmm7, which then isn't in its first state."""
    fresh = bytearray(registers)
    fresh[XMM7] = bytes(one ^ 0x5A for one in registers[XMM7])
    fresh[512] |= 2
    return bytes(fresh)


def test_what_is_read_is_what_the_process_has(traced: Traced) -> None:
    for _ in range(3):
        assert traced.read() == traced.has()
        traced.go_on(EMULATE)


def test_what_is_written_is_there_before_the_process_goes_on(traced: Traced) -> None:
    wanted = changed(traced.read())
    traced.write(wanted)
    assert traced.read() == wanted
    assert traced.has()[XMM7] != wanted[XMM7], "written at once"
    # A request that the library doesn't know finds everything as it was asked for.
    message = ctypes.c_ulong()
    traced.ask(EVENT_MESSAGE, 0, ctypes.addressof(message))
    assert traced.has()[XMM7] == wanted[XMM7]


def test_what_others_code_changes_meanwhile_is_taken_back(traced: Traced) -> None:
    before = traced.read()
    # As UML has code of its own run in the process; here that is the process's loop, to a signal.
    traced.ask(CONTINUE)
    os.kill(traced.pid, signal.SIGUSR1)
    os.waitpid(traced.pid, 0)
    other = changed(traced.has())
    buffer = ctypes.create_string_buffer(other, len(other))
    vector = Vector(ctypes.addressof(buffer), len(other))
    words = (SET_SET, traced.pid, XSTATE, ctypes.addressof(vector))
    libc = ctypes.CDLL(None)
    assert libc.syscall(SYS_PTRACE, *(ctypes.c_long(word) for word in words)) == 0
    traced.write(before)
    assert traced.read() == before
    message = ctypes.c_ulong()
    traced.ask(EVENT_MESSAGE, 0, ctypes.addressof(message))
    assert traced.has()[XMM7] == before[XMM7]


def test_a_process_that_has_gone_on_is_read_anew(traced: Traced) -> None:
    before = traced.read()
    traced.write(changed(before))
    traced.go_on(EMULATE)
    assert traced.read() == traced.has()


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is one processor")
def test_a_process_is_where_its_kernel_is_and_both_go_elsewhere_again(traced: Traced) -> None:
    """Now and then both are let go; and for longer where others have much to do here."""
    everywhere = os.sched_getaffinity(os.getppid())
    together: set[frozenset[int]] = set()
    limit = time.monotonic() + PATIENCE
    while time.monotonic() < limit and not (together and os.sched_getaffinity(0) == everywhere):
        traced.go_on(EMULATE)
        if len(traced.processors()) == 1:
            together.add(frozenset(traced.processors()))
            assert os.sched_getaffinity(0) in (traced.processors(), everywhere)
    assert together
    assert os.sched_getaffinity(0) == everywhere


class Clock:
    """A timer of the host's as a node's kernel has it, and the alarms that came."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._timer = ctypes.c_void_p()
        assert self._libc.timer_create(MONOTONIC, None, ctypes.byref(self._timer)) == 0
        self.alarms = 0

    def on_alarm(self, *_: object) -> None:
        self.alarms += 1

    def set(self, seconds: float) -> None:
        """Have an alarm come in so many seconds, or none at all for 0."""
        nanoseconds = round(seconds * 1e9)
        times = (ctypes.c_long * 4)(0, 0, *divmod(nanoseconds, 10**9))
        assert self._libc.timer_settime(self._timer, 0, times, None) == 0

    def idle(self, seconds: float, alarms: int) -> None:
        """Ask for the timer as an idle kernel does, for so long or until there were ``alarms``."""
        times = (ctypes.c_long * 4)()
        limit = time.monotonic() + seconds
        while time.monotonic() < limit and self.alarms < alarms:
            assert self._libc.timer_gettime(self._timer, times) == 0

    def end(self) -> None:
        assert self._libc.timer_delete(self._timer) == 0


@pytest.fixture
def clock() -> Iterator[Clock]:
    made = Clock()
    before = signal.signal(signal.SIGALRM, made.on_alarm)
    yield made
    made.set(0)
    made.end()
    signal.signal(signal.SIGALRM, before)


def test_who_has_set_no_timer_after_an_alarm_gets_another(
    clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    """That is what a kernel does which has lost it: it never came there."""
    clock.set(0.001)
    clock.idle(PATIENCE, alarms=4)
    assert clock.alarms == 4
    assert capfd.readouterr().err.count("was lost, and is sent again") == 1


def test_it_is_found_as_well_while_a_process_runs(clock: Clock, traced: Traced) -> None:
    clock.set(0.001)
    limit = time.monotonic() + PATIENCE
    while clock.alarms < 2 and time.monotonic() < limit:
        traced.go_on(EMULATE)
    assert clock.alarms == 2


def test_who_has_set_the_next_or_wants_none_gets_no_other(
    clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    for next_one in (600, 0):
        clock.alarms = 0
        clock.set(0.001)
        while not clock.alarms:
            time.sleep(0.001)
        clock.set(next_one)
        clock.idle(0.3, alarms=2)
        assert clock.alarms == 1
    assert not capfd.readouterr().err
