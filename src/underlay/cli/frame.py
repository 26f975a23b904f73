"""Runs one verb: its module's ``command`` becomes a typer command of that name."""

from __future__ import annotations

import importlib
import inspect
import re
import shlex
from typing import TYPE_CHECKING, Any

import typer

from underlay.errors import EXIT_OK, BadInput, did_you_mean, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

# click refills paragraphs unless they start with this mark.
KEEP_LINES = "\b\n"


def run_verb(verb: str, arguments: list[str]) -> int:
    """Import ``verb``'s module, run its ``command`` with ``arguments``; return the exit code.

    Raises BadInput for arguments that the verb doesn't take, and lets through whatever
    the verb raises.
    """
    command = verb_command(verb)
    program = f"underlay {verb}"
    try:
        with command.make_context(program, list(arguments)) as context:
            command.invoke(context)
    except typer.Exit as result:
        return result.exit_code
    except typer.Abort as error:
        raise KeyboardInterrupt from error
    except typer.TyperException as error:
        text = error.format_message()
        options = [word for parameter in command.params for word in parameter.opts]
        hint = _hint(program, text, options)
        if all(one.param_type_name == "option" for one in command.params) and "--lab" in options:
            hint = _lab_hint(program, text) or hint
        if any((one.metavar or "").startswith("-- ") for one in command.params):
            hint = _behind_hint(program, text, arguments) or hint
        raise BadInput(_sentence(text), hint=hint) from error
    return EXIT_OK


def verb_command(verb: str) -> Any:
    """Import ``verb``'s module and return its typer command.

    A module may hold ``CONTEXT``, a dictionary of click's context settings (how
    unknown options are treated, say).
    """
    module = importlib.import_module(f"underlay.cli.verbs.{verb}")
    return build_command(verb, module.command, getattr(module, "CONTEXT", {}))


def build_command(verb: str, function: Any, context: dict[str, Any]) -> Any:
    """Return the typer command that calls ``function``, with its docstring as help."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    settings = {"help_option_names": ["-h", "--help"], **context}
    text = help_text(inspect.getdoc(function) or "")
    app.command(name=verb, help=text, context_settings=settings)(function)
    return typer.main.get_command(app)


def help_text(docstring: str) -> str:
    """Return ``docstring`` with its indented blocks (examples) guarded against refilling."""
    paragraphs = docstring.split("\n\n")
    return "\n\n".join(
        KEEP_LINES + paragraph if "\n  " in f"\n{paragraph}" else paragraph
        for paragraph in paragraphs
    )


# What the libraries below say, and what people read. The first that is found is written so.
_PLAINER = (
    (r"got unexpected extra arguments?(?:\(s\))? \((.*)\)", r"nothing more is expected: \1"),
    (r" \(possible options: .*\)|\. did you mean .*", ""),
    (r"value error, ", ""),
    (r"input should be a valid (number|integer)(, .*)?", r"it is no \1"),
    (r"input should be ", "it has to be "),
    (r"'([^']*)' is not one of (.*)", r"it is '\1', not one of \2"),
)


def _sentence(text: str) -> str:
    """Return click's error as Underlay writes them: plain words, lower case and no full stop."""
    text = text.strip().rstrip(".")
    for found, plain in _PLAINER:
        text = re.sub(found, plain, text, flags=re.IGNORECASE)
    return text[:1].lower() + text[1:]


def _lab_hint(program: str, text: str) -> str:
    """Return how a lab is named to a verb about a running one, where a word was there for it."""
    extra = re.search(r"unexpected extra argument(?:\(s\))? \((\S+)\)", text)
    return f"a lab that is up is named by --lab: `{program} --lab {extra[1]}`" if extra else ""


def _behind_hint(program: str, text: str, arguments: list[str]) -> str:
    """Return the command line with `--` in it, where a command's own option was meant."""
    if not text.startswith("No such option") or "--" in arguments or arguments[0][:1] == "-":
        return ""
    own = shlex.join(arguments[1:])
    return f"what follows -- is the command's: `{program} {shlex.quote(arguments[0])} -- {own}`"


def _hint(program: str, text: str, options: Iterable[str]) -> str:
    """Return the option or the value that was probably meant, or where all of them are told."""
    option = re.match(r"No such option: (\S+)", text)
    value = re.search(r"'([^']*)' is not one of (.*)", text)
    # The hyphens, which all have, make nothing alike.
    plain = {word.lstrip("-"): word for word in options}
    near = plain.get(nearest(option[1].lstrip("-"), plain), "") if option else ""
    if value:
        near = nearest(value[1], re.findall(r"'([^']*)'", value[2]))
    beside = f"`{program} --help` shows the arguments, with examples"
    return f"{did_you_mean(near)}\n{beside}" if near else beside
