"""The programs that run on nodes, as argument lists: each carries its own source.

Nothing is installed on a node. The modules travel compressed on the command line, so that
ssh or a test can start them all the same.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from underlay.cluster.pieces import IN_PIECES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from underlay.plan import Plan, PlannedContainer

PATIENCE = 60.0  # s that a probe waits for its caller's next word
# Looking for site packages costs more than all that the probe imports.
PYTHON = ("python3", "-I", "-S")

PROBED = (
    "rtnetlink",
    "namespaces",
    "packets",
    "cells",
    "socket_options",
    "spaces",
    "question",
    "loop",
    "settings",
    "round_trips",
    "station",
    "renewing",
    "asking",
    "witness",
    "hearing",
    "answering",
    "resolving",
    "sizing",
    "marked",
    "unplanned",
    "telling",
    "probe",
)
_GATHERING = ("rtnetlink", "namespaces", "sysctls", "gather")
_PINGING = (
    "rtnetlink",
    "namespaces",
    "packets",
    "cells",
    "socket_options",
    "spaces",
    "pinging",
)
_RELAYING = ("namespaces", "relaying")
_READING = ("rtnetlink", "namespaces", "packets", "sysctls", "gather", "reader")
SNIFFING = ("rtnetlink", "namespaces", "socket_options", "bpf", "sniff")
# What cluster/pieces.py says, done by Python itself where the library isn't. Who has no right to
# lock memory would have too little of it.
AT_ONCE = """\
import ctypes, resource
MCL_FUTURE = 2
try:
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    ctypes.CDLL(None).mlockall(MCL_FUTURE)
except (OSError, ValueError):
    pass
"""
# Compiles the sources that it is handed.
_COMPILED = """\
texts = json.loads(zlib.decompress(base64.b64decode(sys.argv[1])))
codes = [(name, compile(text, name, "exec")) for name, text in texts]
"""
# The same, but what they are compiled to is kept on a node until it reboots: a fifth of what is
# left of a start. The file's name says of what it is, its owner whose; it is there whole or not at
# all. Machines without that folder, which aren't nodes, keep nothing.
_KEPT = f"""\
kept = "/run/underlay/.probe-%s-%x" % (sys.argv[3], sys.hexversion)
try:
    with open(kept, "rb") as file:
        if os.fstat(file.fileno()).st_uid != os.geteuid():
            raise PermissionError(kept)
        codes = marshal.loads(file.read())
except (OSError, EOFError, ValueError, TypeError):
    {_COMPILED.strip().replace(chr(10), chr(10) + "    ")}
    try:
        with open("%s.%d" % (kept, os.getpid()), "xb") as file:
            file.write(marshal.dumps(codes))
        os.replace(file.name, kept)
    except OSError:
        pass
"""
# Makes modules of them, and runs the last one's main.
_RUN = """\
for name in ("underlay", "underlay.observe", "underlay.observe.on_node"):
    package = sys.modules[name] = types.ModuleType(name)
for name, code in codes:
    module = sys.modules[package.__name__ + "." + name] = types.ModuleType(name)
    setattr(package, name, module)
    exec(code, module.__dict__)
sys.exit(module.main(sys.argv[2]))"""
BOOTSTRAP = "import base64, json, sys, types, zlib\n" + _COMPILED + _RUN
KEPT = "import base64, json, marshal, os, sys, types, zlib\n" + _KEPT + _RUN

# The same, for a program whose sources come as the first line of stdin and whose argument is the
# second: on a machine that others use too nothing of it stands in the list of processes.
FED = (
    BOOTSTRAP.replace("sys.argv[1]", "sys.stdin.readline()")
    .replace("sys.argv[2]", "sys.stdin.readline()")
)  # fmt: skip


def probe_command(patience: float = PATIENCE) -> list[str]:
    """Return the argument list that runs the probe as root on a node.

    What it is to do comes first on its stdin, within ``patience`` seconds: a line of
    ``tasks.py``. How it is led after that is described in probe.py.
    """
    source = _source(PROBED)
    digest = hashlib.sha256(source.encode()).hexdigest()[:16]
    program = [*PYTHON, "-c", AT_ONCE + KEPT, source, f"{patience:g}", digest]
    return [*IN_PIECES, *program]


def gather_command(plan: Plan, node: str, *, brief: bool = False) -> list[str]:
    """Return the argument list that gathers, as root on ``node``, what gather.py describes.

    With ``switch`` for ``node`` it is what runs where the segments' bridges are; an external
    host has no services of its own. With ``brief`` it is interfaces alone.
    """
    spaces = [[c.name, c.space_kind] for c in plan.containers if c.node == node]
    own = not brief and node in {planned.name for planned in plan.nodes}
    task = pack({"node": node, "spaces": spaces, "services": own, "brief": brief})
    return [*PYTHON, "-c", BOOTSTRAP, _source(_GATHERING), task]


def ping_command() -> list[str]:
    """Return the argument list that asks cells again and again as root, as pinging.py says.

    What it is to ask comes first on its stdin, packed.
    """
    return [*PYTHON, "-c", BOOTSTRAP, _source(_PINGING), ""]


def relay_command(container: PlannedContainer, port: int, path: str) -> list[str]:
    """Return the argument list that relays a socket to a container's port, as relaying.py says.

    It runs as root on the container's node; ``path`` is where it makes the socket.
    """
    addresses = [one.ip for attachment in container.attachments for one in attachment.addresses]
    task = {
        "name": container.name,
        "kind": container.space_kind,
        "addresses": [address for address in addresses if address],
        "port": port,
        "path": path,
    }
    return [*PYTHON, "-c", BOOTSTRAP, _source(_RELAYING), pack(task)]


def sniff_command(
    spaces: list[tuple[str, str, list[str]]],
    *,
    seconds: float,
    count: int = 0,
    marks: tuple[bytes, ...] = (),
    program: list[list[int]] | None = None,
    snap: int = 65535,
) -> list[str]:
    """Return the argument list that captures as root on one machine, as sniff.py describes it.

    ``spaces`` are (name, kind, devices), with ``node`` for the kind of the machine's own;
    ``program`` is a filter as bpf.py runs it.
    """
    task = sniff_task(spaces, seconds=seconds, count=count, marks=marks, program=program, snap=snap)
    return [*PYTHON, "-c", BOOTSTRAP, _source(SNIFFING), pack(task)]


def sniff_task(
    spaces: list[tuple[str, str, list[str]]],
    *,
    seconds: float,
    count: int,
    marks: tuple[bytes, ...],
    program: list[list[int]] | None,
    snap: int,
) -> dict[str, Any]:
    """Return the task of ``sniff_command``."""
    return {
        "spaces": spaces,
        "seconds": seconds,
        "count": count,
        "marks": [mark.hex() for mark in marks],
        "program": program or [],
        "snap": snap,
    }


def reader_command(python: str) -> list[str]:
    """Return the argument list that runs reader.py on a machine, as any user."""
    return fed_command(python)


def fed_command(python: str) -> list[str]:
    """Return the argument list that runs on a machine what it is fed."""
    return [python, *PYTHON[1:], "-c", FED]


def fed(modules: Sequence[str], own: Mapping[str, str], task: object) -> str:
    """Return what ``fed_command`` reads: ``modules`` by name, with the texts of those of ``own``.

    The last one's ``main`` is run with the ``task``.
    """
    texts = [(name, own[name] if name in own else source_of_module(name)) for name in modules]
    return f"{pack(texts)}\n{pack(task)}\n"


def reader_input(task: object) -> str:
    """Return what the program of ``reader_command`` reads: its sources, and its ``task``."""
    return f"{_source(_READING)}\n{pack(task)}\n"


@cache
def _source(modules: tuple[str, ...]) -> str:
    return pack([(name, source_of_module(name)) for name in modules])


def source_of_module(name: str) -> str:
    """Return the source of a module that runs on nodes."""
    return (Path(__file__).parent / "on_node" / f"{name}.py").read_text("utf-8")


def pack(value: object) -> str:
    """Return ``value`` as one line of text, which the programs unpack."""
    text = json.dumps(value, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode(), 6)).decode()


def unpacked(line: str) -> Any:
    """Return what ``pack`` made a line of."""
    return json.loads(zlib.decompress(base64.b64decode(line)))
