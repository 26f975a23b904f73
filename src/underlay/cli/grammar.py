"""What may follow what on Underlay's command line, for the scripts of shell completion.

Verbs, options and arguments are read from the verbs themselves. Only what a value may
be is said here, by the parameter's name.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from underlay.cli import verbs
from underlay.cli.frame import build_command
from underlay.cli.image import ACTIONS
from underlay.cli.layers import LAYERS
from underlay.cluster.provider import NAMES

FILE = "file"
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
    "node": Values(kind="nodes"),
    "target": Values(kind="targets"),
    "provider": Values(NAMES),
    "layer": Values(LAYERS),
    "shell": Values(SHELLS),
    "action": Values(ACTIONS),
}
# Options `--lab` that mean a lab file, as LAB does where it is an argument.
FILE_OPTIONS = {("env", "lab")}


def grammar() -> tuple[Verb, ...]:
    """Return all verbs, in the order of ``--help``; imports every one of them."""
    return tuple(_verb(name, text) for name, text in verbs().items())


def with_values(found: tuple[Verb, ...]) -> tuple[str, ...]:
    """Return the options after which a value follows, whatever the verb; sorted."""
    return tuple(
        sorted({o.name for verb in found for o in verb.options if o.values is not None})
    )


def _verb(name: str, text: str) -> Verb:
    module = importlib.import_module(f"underlay.cli.{name}")
    command = build_command(name, module.command, getattr(module, "CONTEXT", {}))
    options, arguments = [Option("--help", "Show the verb's help.", None)], []
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            arguments.append(_values(name, parameter, LAB_FILE))
            continue
        flag = getattr(parameter, "is_flag", False)
        values = None if flag else _values(name, parameter, RUNNING)
        longest = max(parameter.opts, key=len)
        options.append(Option(longest, (parameter.help or "").strip(), values))
    return Verb(name, text, tuple(options), tuple(arguments))


def _values(verb: str, parameter: Any, lab: Values) -> Values:
    if parameter.name == "lab":
        return LAB_FILE if (verb, "lab") in FILE_OPTIONS else lab
    known = BY_NAME.get(parameter.name)
    if known is not None:
        return known
    # click's own type for pathlib.Path; test files and other people's words are not ours.
    return Values(file=parameter.type.name in ("path", "file") or _is_path(parameter))


def _is_path(parameter: Any) -> bool:
    return getattr(parameter.type, "path_type", None) is Path
