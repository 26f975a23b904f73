"""What may stand at the cursor, for shell completion: ``_UNDERLAY_COMPLETE=SHELL underlay WORDS``.

click reads the words before the cursor and knows the options; what a value may be is said
here, by the parameter's name. This is asked at every press of the Tab key, so it imports
no verb but the one that is typed.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from underlay.cli.overview import is_verb, summaries
from underlay.cli.which_lab import lab_names, running_labs
from underlay.storage.paths import state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# Stands for any file; nothing else that is offered looks like it.
FILES = "/"


def answer(shell: str, typed: list[str]) -> None:
    """Print a line for each word that may be the last of ``typed``, as ``shell`` wants it."""
    *before, current = typed or [""]
    separator = {"zsh": ":", "fish": "\t"}.get(shell, "")
    for word, text in dict(offered(before, current)).items():
        escaped = word.replace(":", r"\:") if shell == "zsh" else word
        print(f"{escaped}{separator}{text}" if separator and text else escaped)


def offered(before: list[str], current: str) -> Iterator[tuple[str, str]]:
    """Yield what may follow the words ``before`` and what it means (may be empty).

    ``current`` is what is there of it; only whether it begins an option matters.
    """
    if not before:
        yield from summaries().items()
        yield "--help", "List all verbs."
        yield "--version", "Print versions."
    elif "--" in before:
        # Somebody else's command line.
        yield FILES, ""
    elif is_verb(before[0]):
        yield from _of_verb(before[0], before[1:], current)


def _of_verb(verb: str, words: list[str], current: str) -> Iterator[tuple[str, str]]:
    import typer

    from underlay.cli.frame import verb_command

    command = verb_command(verb)
    # Parsed, but not made into values: that would load pydantic, for half of the time of a Tab.
    context = typer.Context(command, info_name=verb, resilient_parsing=True)
    given, _, _ = command.make_parser(context).parse_args(words.copy())
    options = [p for p in command.params if p.param_type_name == "option" and not p.is_flag]
    waiting = [p for p in options if words and words[-1] in p.opts]
    if not waiting and current.startswith("-"):
        yield from ((o.value, o.help or "") for o in command.shell_complete(context, "--"))
        return
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    free = [p for p in arguments if p.nargs == -1 or given.get(p.name) is None]
    hints = get_type_hints(command.callback)
    for parameter in (waiting or free)[:1]:
        yield from ((word, "") for word in _values(verb, parameter, hints[parameter.name]))
        yield from ((value.value, "") for value in parameter.shell_complete(context, ""))


def _values(verb: str, parameter: Any, hint: Any) -> Iterable[str]:
    """Return what ``parameter`` may be, as far as its type or its name says it.

    Values that the verb itself lays down stand there, as typer's ``autocompletion``.
    """
    name = parameter.name
    if Path in (hint, *get_args(hint)):
        return (FILES,)
    if name == "lab" and parameter.param_type_name == "option" and verb != "env":
        return running_labs()
    if name in ("lab", "labs", "file", "what", "old", "new"):
        return (*lab_names(), FILES)
    return BY_NAME.get(name, tuple)()


def _targets() -> tuple[str, ...]:
    """What `exec` takes: nodes, containers and the switch."""
    return _named("nodes", "containers") + (("switch",) if running_labs() else ())


def _providers() -> tuple[str, ...]:
    from underlay.cluster.providers import NAMES

    return NAMES


def _named(*kinds: str) -> tuple[str, ...]:
    """Return the names of all ``kinds`` in the plans of all labs that are up, kind by kind."""
    plans = []
    for lab in running_labs():
        with suppress(OSError, ValueError):
            plans.append(json.loads((state(lab) / "plan.json").read_text(encoding="utf-8")))
    return tuple(item["name"] for kind in kinds for plan in plans for item in plan[kind])


BY_NAME: dict[str, Callable[[], tuple[str, ...]]] = {
    "node": lambda: _named("nodes"),
    "target": _targets,
    "source": lambda: _named("containers", "nodes"),
    "destination": lambda: _named("containers", "nodes"),
    "container": lambda: _named("containers"),
    "provider": _providers,
    "words": lab_names,
    "folders": lambda: (FILES,),
}
