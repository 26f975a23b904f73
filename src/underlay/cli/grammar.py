"""What may follow what on Underlay's command line, for the scripts of shell completion.

Verbs, options and arguments are read from the verbs themselves. Only what a value may
be is said here, by the parameter's name.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import get_args, get_type_hints

from underlay.cli.frame import build_command
from underlay.cli.overview import summaries
from underlay.cli.verbs.bench import DATAPLANE
from underlay.cli.verbs.image import ACTIONS
from underlay.cluster.providers import NAMES
from underlay.proof.bench.figures import NAMES as FIGURE_NAMES
from underlay.proof.own_tests import LAYERS

SHELLS = ("bash", "zsh", "fish")


@dataclass(frozen=True)
class Values:
    """What a value may be: some ``words``, those of a ``kind`` (see words.py), or any file."""

    words: tuple[str, ...] = ()
    kind: str = ""
    file: bool = False


@dataclass(frozen=True)
class Option:
    """An option: its long name, its help, and its values where it takes one."""

    name: str
    text: str
    values: Values | None


@dataclass(frozen=True)
class Verb:
    """A verb with its options, and what its arguments may be, in order."""

    name: str
    text: str
    options: tuple[Option, ...]
    arguments: tuple[Values, ...]


RUNNING = Values(kind="running")
LAB_FILE = Values(kind="labs", file=True)
BY_NAME = {
    "lab": RUNNING,
    "file": LAB_FILE,
    "what": LAB_FILE,
    "node": Values(kind="nodes"),
    "target": Values(kind="targets"),
    "source": Values(kind="ends"),
    "destination": Values(kind="ends"),
    "container": Values(kind="containers"),
    "names": Values(words=(*FIGURE_NAMES, DATAPLANE)),
    "fault": Values(kind="faults"),
    "provider": Values(NAMES),
    "layer": Values(LAYERS),
    "shell": Values(SHELLS),
    "action": Values(ACTIONS),
}
# Options `--lab` that mean a lab file, as LAB does where it is an argument.
FILE_OPTIONS = {("env", "lab")}


def grammar() -> tuple[Verb, ...]:
    """Return all verbs, in the order of ``--help``; imports every one of them."""
    return tuple(_verb(name, text) for name, text in summaries().items())


def with_values(found: tuple[Verb, ...]) -> tuple[str, ...]:
    """Return the options after which a value follows, whatever the verb; sorted."""
    return tuple(sorted({o.name for verb in found for o in verb.options if o.values is not None}))


def _verb(name: str, text: str) -> Verb:
    module = importlib.import_module(f"underlay.cli.verbs.{name}")
    command = build_command(name, module.command, getattr(module, "CONTEXT", {}))
    hints = get_type_hints(module.command)
    options, arguments = [Option("--help", "Show the verb's help.", None)], []
    for parameter in command.params:
        is_path = Path in (hints[parameter.name], *get_args(hints[parameter.name]))
        if parameter.param_type_name == "argument":
            arguments.append(_values(name, parameter.name, LAB_FILE, is_path))
        else:
            flag = parameter.is_flag
            values = None if flag else _values(name, parameter.name, RUNNING, is_path)
            longest = max(parameter.opts, key=len)
            options.append(Option(longest, parameter.help or "", values))
    return Verb(name, text, tuple(options), tuple(arguments))


def _values(verb: str, name: str, lab: Values, is_path: bool) -> Values:
    """Return what the parameter called ``name`` takes; ``lab`` is for one of that name."""
    if name == "lab":
        return LAB_FILE if (verb, name) in FILE_OPTIONS else lab
    return BY_NAME.get(name, Values(file=is_path))
