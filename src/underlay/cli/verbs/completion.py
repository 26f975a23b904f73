"""The verb ``completion``: the script with which a shell completes Underlay's commands.

A script hands over what is typed, the word under the cursor last, and gets what may stand
there from words.py, a line each. A line ``/`` means any file, which the shell knows best.
"""

from __future__ import annotations

from typing import Annotated

import typer

from underlay.errors import BadInput

GROUP = "This machine"
ORDER = 50

SCRIPTS = {
    "bash": """\
# Completion of underlay for bash; written by `underlay completion bash`.
_underlay() {
    local current=${COMP_WORDS[COMP_CWORD]} word words
    COMPREPLY=()
    mapfile -t words < <(_UNDERLAY_COMPLETE=bash "${COMP_WORDS[0]/#\\~/$HOME}" \\
        "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null </dev/null)
    # Not by compgen -W, which would carry out what stands in a name.
    for word in "${words[@]}"; do
        if [ "$word" = / ]; then
            compopt -o filenames
            mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$current")
        elif [[ $word == "$current"* ]]; then
            COMPREPLY+=("$(printf %q "$word")")
        fi
    done
}
complete -F _underlay underlay
""",
    "zsh": """\
#compdef underlay
# Completion of underlay for zsh; written by `underlay completion zsh`.
_underlay() {
    local -a found
    found=(${(f)"$(_UNDERLAY_COMPLETE=zsh ${~words[1]} "${(@)words[2,CURRENT]}" \\
        2>/dev/null </dev/null)"})
    (( ! $found[(Ie)/] )) || _files
    found=(${found:#/})
    (( ! $#found )) || _describe value found
}
if [ "$funcstack[1]" = _underlay ]; then
    _underlay
else
    compdef _underlay underlay
fi
""",
    "fish": """\
# Completion of underlay for fish; written by `underlay completion fish`.
function __underlay
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program (string replace -r '^~' $HOME -- $words[1])
    for line in (_UNDERLAY_COMPLETE=fish $program $words[2..-1] "$current" 2>/dev/null </dev/null)
        if test "$line" = /
            __fish_complete_path "$current"
        else
            printf '%s\\n' $line
        end
    end
end
complete -c underlay -f -a '(__underlay)'
""",
}


def command(
    shell: Annotated[
        str, typer.Argument(help="`bash`, `zsh` or `fish`.", autocompletion=lambda: list(SCRIPTS))
    ],
) -> None:
    """Print the script with which a shell completes Underlay's commands.

    It completes verbs and options, and the names of labs, nodes and containers. At
    every press of Tab it asks Underlay for them, so it stays right after an update.
    It also works for `./underlay` in a checkout.

    Example:
      underlay completion bash > ~/.local/share/bash-completion/completions/underlay
      underlay completion zsh > ~/.zfunc/_underlay    # a folder in zsh's $fpath
      underlay completion fish > ~/.config/fish/completions/underlay.fish
    """
    if shell not in SCRIPTS:
        hint = f"shells: {', '.join(SCRIPTS)}"
        raise BadInput(f"there is no completion for {shell!r}", hint=hint)
    print(SCRIPTS[shell], end="")
