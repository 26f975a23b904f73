"""The probe as one readable file that an administrator allows by its digest, and nothing else.

On a lab's own nodes the probe's source travels with each call, and runs as root by a rule that
allows everything. On a machine of somebody's own that is too much to ask. There the same modules
are one file, installed by whoever administers it; a line of sudoers allows that file alone, for
as long as it has the digest that stands there (sudoers(5), Digest_Spec), and without an argument.
"""

from __future__ import annotations

import hashlib
from functools import cache

from underlay import __version__
from underlay.observe.commands import PROBED, PYTHON, source_of_module

# Where the file lies unless its user says otherwise: a folder in which only root writes.
PATH = "/usr/local/lib/underlay-probe"
# What its first line names, whatever an inventory says: sudo has nobody choose another.
INTERPRETER = "/usr/bin/python3"
MODULES = (*PROBED, "sysctls", "gather", "finding")

_HEAD = '''\
#!{interpreter} -IS
"""Underlay's probe, version {version}: what it does as root, and nothing but that.

It finds network namespaces of containers that are there, enters them, and opens sockets in them.
With those it sends what its task asks for, answers others of its kind, and listens on port
{port}. It reads links, addresses, routes, neighbours, rules and counters by ip, bridge, tc, nft and
iptables-save. It starts no container, installs nothing, writes no file, and ends with its standard
input, or when nobody has said a word to it for a minute. Its task says whether neighbour tables
are flushed; in a network that is in use they aren't, unless its user has asked for that.

Whoever may run it decides to which addresses packets go, and at which rate, and reads rules that
only root is told. No other port is listened on, and no file named by its task is opened.

It takes no argument. The first line of its standard input is "probe SECONDS" or "gather TASK";
what follows is described in the modules below, which are Underlay's own, unchanged.
"""

import os
import sys
import types

SOURCES = []
'''
_TAIL = """
for name in ("underlay", "underlay.observe", "underlay.observe.on_node"):
    package = sys.modules[name] = types.ModuleType(name)
modules = {}
for name, text in SOURCES:
    module = modules[name] = sys.modules[package.__name__ + "." + name] = types.ModuleType(name)
    setattr(package, name, module)
    exec(compile(text, name, "exec"), module.__dict__)

line = b""
while not line.endswith(b"\\n"):
    # Byte by byte: what comes after it is the module's to read.
    data = os.read(0, 1)
    if not data:
        sys.exit("nobody said what is to be done")
    line += data
word, _, argument = line.decode("ascii").strip().partition(" ")
if len(sys.argv) > 1 or word not in ("probe", "gather"):
    sys.exit("expected no argument, and probe or gather on standard input")


def refused(task):
    # What of a task isn't allowed here; nothing where all is.
    if task.get("port", {port}) != {port} or task.get("services"):
        return "another port than {port}, or services"
    for name, kind, *path in task["spaces"]:
        # Either this machine itself, or a namespace that is looked for by name and addresses.
        if kind not in ("node", "found") or len(path) > 1:
            return "a namespace in another way than by its name and addresses"
    return ""


modules[word].REFUSED = refused
sys.exit(modules[word].main(argument))
"""


# Starts it where it isn't installed: its text comes first on standard input, and what is to be done
# after that, from which nothing may be read before it is asked for.
_TAKE = """\
import os
text = b""
while len(text) < {size}:
    text += os.read(0, {size} - len(text))
exec(compile(text, "underlay-probe", "exec"), {{"__name__": "__main__"}})
"""


@cache
def program() -> str:
    """Return the text of the file: Python, with each module's source as it is."""
    from underlay.plan.naming import PROBE_PORT

    parts = [_HEAD.format(interpreter=INTERPRETER, version=__version__, port=PROBE_PORT)]
    for name in MODULES:
        text = source_of_module(name)
        # Raw text between quotes that no module has itself: read here as it was written there.
        assert "'''" not in text
        parts.append(f"\nSOURCES.append((\"{name}\", r'''\n{text.rstrip()}\n'''))\n")
    return "".join([*parts, _TAIL.replace("{port}", str(PROBE_PORT))])


@cache
def carried() -> tuple[str, ...]:
    """Return the argument list that runs the program as root, whose text is to come on stdin."""
    return (*PYTHON, "-c", _TAKE.format(size=len(program().encode())))


def digest() -> str:
    """Return the SHA-256 of the file, in hexadecimal, as sudoers has it."""
    return hashlib.sha256(program().encode()).hexdigest()


def sudoers(user: str, path: str = PATH) -> str:
    """Return the line of sudoers by which ``user`` may run the file at ``path``, and nothing else.

    The two quotes mean that no argument may be given (sudoers(5)).
    """
    return f'{user} ALL=(root) NOPASSWD: sha256:{digest()} {path} ""'
