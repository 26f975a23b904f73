"""The verb ``completion``: the script with which a shell completes Underlay's commands."""

from __future__ import annotations

from typing import Annotated

import typer

from underlay.errors import BadInput

GROUP = "This machine"
ORDER = 50


def command(
    shell: Annotated[str, typer.Argument(help="`bash`, `zsh` or `fish`.")],
) -> None:
    """Print the script with which a shell completes Underlay's commands.

    It completes verbs and options, and the names of labs, nodes and containers,
    which it asks Underlay for. It also works for `./underlay` in a checkout. Write
    it once to where your shell looks for it, and again after an update.

    Example:
      underlay completion bash > ~/.local/share/bash-completion/completions/underlay
      underlay completion zsh > ~/.zfunc/_underlay    # a folder in zsh's $fpath
      underlay completion fish > ~/.config/fish/completions/underlay.fish
    """
    from underlay.cli.grammar import SHELLS
    from underlay.cli.shells import script

    if shell not in SHELLS:
        raise BadInput(f"there is no completion for {shell!r}", hint=f"shells: {', '.join(SHELLS)}")
    print(script(shell), end="")
