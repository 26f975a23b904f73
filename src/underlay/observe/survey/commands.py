"""The programs of ``on_host/`` as argument lists: each carries its own source."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from underlay.observe.commands import PYTHON, pack

_FACTS = ("observe.on_node.sysctls", "observe.survey.on_host.facts")
_FRAMES = (
    "observe.on_node.socket_options",
    "observe.on_node.bpf",
    "observe.on_node.namespaces",
    "observe.on_node.sniff",
    "observe.survey.on_host.frames",
)
# Makes modules of the sources that it is handed, and runs the last one's main.
BOOTSTRAP = """\
import base64, json, sys, types, zlib
def made(name):
    module = sys.modules[name] = types.ModuleType(name)
    above, _, own = name.rpartition(".")
    if above:
        setattr(sys.modules[above] if above in sys.modules else made(above), own, module)
    return module
for name, text in json.loads(zlib.decompress(base64.b64decode(sys.argv[1]))):
    module = made("underlay." + name)
    exec(compile(text, name, "exec"), module.__dict__)
sys.exit(module.main(sys.argv[2]))"""


def facts_command() -> list[str]:
    """Return the argument list that prints what facts.py sees, as an ordinary user."""
    return [*PYTHON, "-c", BOOTSTRAP, _source(_FACTS), ""]


def frames_command(nics: list[str], nonce: bytes, rate: float, seconds: float) -> list[str]:
    """Return the argument list that sends and hears as root, led by stdin as frames.py says.

    It ends past ``seconds``, whatever becomes of its caller.
    """
    task = {"nics": nics, "nonce": nonce.hex(), "rate": rate, "seconds": seconds}
    return [*PYTHON, "-c", BOOTSTRAP, _source(_FRAMES), pack(task)]


@cache
def _source(modules: tuple[str, ...]) -> str:
    root = Path(__file__).parents[2]
    return pack([(m, (root / f"{m.replace('.', '/')}.py").read_text("utf-8")) for m in modules])
