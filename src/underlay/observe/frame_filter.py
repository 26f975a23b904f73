"""A tcpdump expression made into a program, before anything is captured.

A node's own tcpdump compiles it: every image has one, and this machine need not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from underlay.cluster.access import refuse_stopped, run_in
from underlay.errors import EXIT_NOT_RUN, BadInput, Infrastructure
from underlay.observe.on_node.socket_options import PACKET_TYPE

if TYPE_CHECKING:
    from underlay.cluster.state.lab import LabState

    Program = list[list[int]]

NOT_FOUND = 127  # as a shell says that there is no such program
COMPILING = 30.0  # s; a name in an expression may be looked up
# Constants from here on mean what a frame doesn't hold, SKF_AD_OFF in linux/filter.h.
BESIDE_THE_FRAME = 0xFFFFF000


def compiled(state: LabState, node: str, expression: str) -> Program:
    """Return the program for ``expression``, which ``node`` compiles.

    The expression is one argument of tcpdump's, whatever it holds. Raises BadInput with tcpdump's
    own words where it isn't an expression, and Infrastructure where nothing can compile it.
    """
    refuse_stopped(state, [node])
    done = run_in(state, node, compiling(expression), deadline=COMPILING)
    return read_program(node, expression, done.returncode, done.stdout, done.stderr)


def compiling(expression: str) -> list[str]:
    """Return the argument list by which tcpdump compiles ``expression``."""
    # Without -- an expression could be one of tcpdump's options.
    return ["tcpdump", "-ddd", "-y", "EN10MB", "--", expression]


def read_program(node: str, expression: str, code: int, out: str, said: str) -> Program:
    """Return the program that ``node`` printed; raise as ``compiled`` does where it is none."""
    if code in (EXIT_NOT_RUN, NOT_FOUND):
        hint = "capture without --filter, and filter the file with tcpdump -r"
        raise Infrastructure(f"{node} has no tcpdump to compile a filter", hint=hint)
    if code:
        words = said.strip().rpartition("\n")[2].removeprefix("tcpdump: ")
        raise BadInput(
            f"--filter {expression!r}: {words}",
            hint="an expression of tcpdump's, such as 'arp or icmp': man 7 pcap-filter",
        )
    return _program(out, expression)


def _program(text: str, expression: str) -> Program:
    _, *lines = text.splitlines()
    program = [[int(number) for number in line.split()] for line in lines]
    for code, _, _, constant in program:
        if code & 0xE7 == 0x20 and constant >= BESIDE_THE_FRAME and constant != PACKET_TYPE:
            raise BadInput(
                f"--filter {expression!r} asks for more than the frame and its direction"
            )
    return program
