"""The verb ``schema``: what an editor needs to help with lab files."""

from __future__ import annotations

from underlay.cli.console import print_json

GROUP = "Files"
ORDER = 40


def command() -> None:
    """Print the JSON Schema of lab files, for editors.

    An editor that knows it completes keys, shows what they mean and marks mistakes
    while you type. The language server for YAML, which VS Code, Neovim and others
    use, takes it from a comment in the lab file's first line:

      # yaml-language-server: $schema=lab.schema.json

    The path counts from the lab file. In labs/ of a checkout the schema is there
    already. `underlay lint` finds more than a schema can say.

    Example:
      underlay schema > lab.schema.json
    """
    from underlay.lab.editor_schema import editor_schema

    print_json(editor_schema())
