"""Interrupts that wait until what they would leave running can be ended."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from underlay.errors import INTERRUPTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def interrupts_wait() -> Iterator[Callable[[], bool]]:
    """Have ``INTERRUPTS`` wait until the block is over; hand out whether one has come.

    What their handlers raise inside Popen, or while a library runs programs of its own, would leave
    a program that nobody knows of. Handlers are called in the main thread alone. A program that is
    started meanwhile has every signal's default, which blocking them would take from it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    came: list[int] = []
    before = {
        number: handler
        for number in INTERRUPTS
        if (handler := signal.getsignal(number)) not in (signal.SIG_IGN, None)
    }
    for number in before:
        signal.signal(number, lambda number, _: came.append(number))
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for each in came:
            signal.raise_signal(each)
