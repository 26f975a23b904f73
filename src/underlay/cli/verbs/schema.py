"""The verb ``schema``: what editors and other programs need to know of Underlay's documents."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from underlay.cli.console import print_json
from underlay.errors import BadInput, did_you_mean, listed, nearest

GROUP = "Files"
ORDER = 40
LAB, RUN = "lab", "run"


def command(
    what: Annotated[
        str,
        typer.Argument(metavar="WHAT", help="lab, run, error, version, or a verb that has --json."),
    ] = LAB,
) -> None:
    """Print the JSON Schema of lab files, for editors, or of what a verb prints as JSON.

    An editor that knows that of lab files completes keys, shows what they mean and marks mistakes
    while you type. The language server for YAML, which VS Code, Neovim and others
    use, takes it from a comment in the lab file's first line:

      # yaml-language-server: $schema=lab.schema.json

    The path counts from the lab file. In labs/ of a checkout the schema is there
    already. `underlay lint` finds more than a schema can say.

    WHAT is a verb for the document that its --json prints, `run` for the file that `check --save`
    keeps, `error` for what any verb prints with --json where it fails. Each document says in
    `document` and `version` what it is; a version changes where a program that reads the older
    one could go wrong.

    Example:
      underlay schema > lab.schema.json
      underlay schema check > check.schema.json
      underlay schema run
    """
    print_json(_schema(what))


def _schema(what: str) -> dict[str, Any]:
    if what == LAB:
        from underlay.lab.editor_schema import editor_schema

        return editor_schema()
    if what == RUN:
        from underlay.proof.runs.file import schema_of_runs

        return schema_of_runs()
    from underlay.report.documents.kinds import VERSIONS

    if what not in VERSIONS:
        known = sorted([LAB, RUN, *VERSIONS])
        near = nearest(what, known)
        raise BadInput(
            f"there is no document {what!r}",
            hint=did_you_mean(f"`underlay schema {near}`") if near else listed(known, more="docs"),
        )
    from underlay.report.documents.schemas import schema_of

    return schema_of(what)
