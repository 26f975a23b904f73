"""Leads the programs of ``on_host/`` on all machines at once, whatever way leads there."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from underlay.cluster.process import close, tail
from underlay.observe.survey.commands import facts_command, frames_command
from underlay.observe.survey.model import Machine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Starts an argument list on a machine, as root or as whoever ssh comes in as, its streams piped.
Start = Callable[[str, list[str], bool], "subprocess.Popen[bytes]"]
FACTS_DEADLINE = 30.0
READY = 20.0  # s until a machine listens
ANSWER = 60.0  # s until one has done what it was told
MARGIN = 5.0  # s that a program gets to end by itself


@dataclass(frozen=True)
class Heard:
    """A frame that arrived at a machine's NIC; ``number`` is -1 for one that isn't ours."""

    machine: str
    nic: str
    vlan: int | None
    size: int
    number: int
    data: bytes

    @property
    def at(self) -> str:
        """MACHINE:NIC."""
        return f"{self.machine}:{self.nic}"


def read_facts(start: Start, names: Sequence[str]) -> list[Machine]:
    """Return what each machine tells an ordinary user; one that can't be asked says why."""
    running: dict[str, subprocess.Popen[bytes] | str] = {}
    for name in names:
        try:
            running[name] = start(name, facts_command(), False)
        except OSError as error:
            running[name] = str(error)
    end = time.monotonic() + FACTS_DEADLINE
    try:
        return [_machine(name, one, end) for name, one in running.items()]
    finally:
        for one in running.values():
            if not isinstance(one, str) and one.poll() is None:
                one.kill()


def _machine(name: str, process: subprocess.Popen[bytes] | str, end: float) -> Machine:
    if isinstance(process, str):
        return Machine(name=name, failed=process)
    try:
        out, err = process.communicate(timeout=max(0.1, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return Machine(name=name, failed=f"said nothing within {FACTS_DEADLINE:.0f} s")
    said = tail(err.decode(errors="replace"), 1) or f"exit code {process.returncode}"
    try:
        return Machine(name=name, **json.loads(out))
    except (ValueError, TypeError, ValidationError):
        return Machine(name=name, failed=said)


class _Led:
    """One machine's frames.py: its lines come through a queue, so that each has a deadline."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.lines: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.said: list[bytes] = []
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self._read_errors, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            try:
                self.lines.put(json.loads(line))
            except ValueError:
                self.said.append(line)
        self.lines.put(None)

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        self.said.extend(self.process.stderr)

    def order(self, what: dict[str, Any]) -> None:
        """Tell it what to do; a machine that is gone is noticed by its answer."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(what).encode() + b"\n")
            self.process.stdin.flush()
        except (OSError, ValueError):
            self.lines.put(None)

    def answer(self, end: float) -> dict[str, Any] | None:
        """Return its next line; None where it ended or it is too late."""
        try:
            return self.lines.get(timeout=max(0.01, end - time.monotonic()))
        except queue.Empty:
            return None

    def why(self) -> str:
        """Return the last thing that it complained of."""
        return tail(b"".join(self.said).decode(errors="replace"), 1) or "it ended"


class Leading:
    """Has all machines send and hear; ``with`` ends them. ``amiss`` says what went wrong.

    A machine that can't or doesn't answer is left out from then on; the others go on.
    """

    def __init__(
        self, start: Start, nics: Mapping[str, list[str]], nonce: bytes, *, rate: float, life: float
    ) -> None:
        self.amiss: list[str] = []
        self.frames = 0
        self._rate = rate
        self.unheard: set[tuple[str, str]] = set()
        self._led: dict[str, _Led] = {}
        for machine, names in nics.items():
            try:
                process = start(machine, frames_command(names, nonce, rate, life), True)
            except OSError as error:
                self.amiss.append(f"{machine}: {error}")
                continue
            self._led[machine] = _Led(process)
        end = time.monotonic() + READY
        for machine in list(self._led):
            said = self._answer(machine, end, "can't send or listen as root")
            for nic, why in (said or {}).get("missing", {}).items():
                self.amiss.append(f"{machine}:{nic}: {why}")
                self.unheard.add((machine, nic))

    @property
    def machines(self) -> list[str]:
        """The machines that still answer."""
        return list(self._led)

    def __enter__(self) -> Leading:
        return self

    def __exit__(self, *_: object) -> None:
        for led in self._led.values():
            close(led.process, MARGIN)
        self._led.clear()

    def send(
        self, frames: Mapping[str, list[tuple[str, bytes, int]]], *, refusable: bool = False
    ) -> None:
        """Have each machine send its frames: (NIC, bytes, length that they are padded to).

        What a machine can't send is amiss, unless such frames are ``refusable``.
        """
        orders = {
            machine: {"send": [[nic, data.hex(), length] for nic, data, length in each]}
            for machine, each in frames.items()
            if each
        }
        most = max((len(each) for each in frames.values()), default=0)
        for machine, said in self._all(orders, ANSWER + most / self._rate).items():
            self.frames += said["sent"]
            for text, times in () if refusable else said["failed"].items():
                self.amiss.append(f"{machine}:{text} ({times} frames were not sent)")

    def join(self, groups: Mapping[str, list[tuple[str, str]]]) -> set[tuple[str, str]]:
        """Have machines join groups at their NICs; return (MACHINE:NIC, group) that can't.

        What can't isn't a fault: a NIC may be without IPv6.
        """
        orders = {
            machine: {"join": [list(one) for one in each]} for machine, each in groups.items()
        }
        return {
            (f"{machine}:{nic}", group)
            for machine, said in self._all(orders).items()
            for nic, group, _ in said["refused"]
        }

    def heard(self, seconds: float) -> list[Heard]:
        """Listen for so many seconds; return what was heard since the last time."""
        told = self._all({machine: {"listen": seconds} for machine in self._led}, ANSWER + seconds)
        return [
            Heard(machine, nic, None if vlan < 0 else vlan, size, number, bytes.fromhex(text))
            for machine, said in told.items()
            for nic, vlan, size, number, text in said["heard"]
        ]

    def _all(
        self, orders: Mapping[str, dict[str, Any]], patience: float = ANSWER
    ) -> dict[str, dict[str, Any]]:
        """Give orders to machines at once; return their answers."""
        for machine, what in orders.items():
            if machine in self._led:
                self._led[machine].order(what)
        end = time.monotonic() + patience
        found = {}
        for machine in orders:
            said = self._answer(machine, end, "stopped answering")
            if said is not None:
                found[machine] = said
        return found

    def _answer(self, machine: str, end: float, what: str) -> dict[str, Any] | None:
        led = self._led.get(machine)
        said = led.answer(end) if led else None
        if led and said is None:
            self.amiss.append(f"{machine} {what}: {led.why()}")
            close(led.process, MARGIN)
            del self._led[machine]
        return said
