"""Runs one verb: its module's ``command`` becomes a typer command of that name."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import typer

from underlay.errors import EXIT_OK, BadInput

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
        hint = f"`{program} --help` shows the arguments, with examples"
        raise BadInput(_sentence(error.format_message()), hint=hint) from error
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


def _sentence(text: str) -> str:
    """Return click's error as Underlay writes them: in lower case and without a full stop."""
    text = text.strip().rstrip(".")
    return text[:1].lower() + text[1:]
