"""The completion scripts of bash, zsh and fish, written from Underlay's grammar.

All three work alike. The words before the cursor say which verb it is and how many of
its arguments are there; what may follow is either in the script or, for names of labs,
nodes and containers, asked of ``underlay --complete KIND``. After ``--`` comes somebody
else's command line, which is left to the shell.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from underlay.cli.grammar import Values, Verb, grammar, with_values

if TYPE_CHECKING:
    from collections.abc import Callable

TOP = ("--help", "--version")

BASH = """\
# Completion of underlay for bash; written by `underlay completion bash`.
# Not by compgen -W, which would carry out what stands in a file's name.
_underlay_offer() {
    local word
    for word; do
        [[ $word != "$current"* ]] || COMPREPLY+=("$(printf %q "$word")")
    done
}
_underlay_ask() {
    local words
    mapfile -t words < <("${COMP_WORDS[0]/#\\~/$HOME}" --complete "$1" 2>/dev/null </dev/null)
    _underlay_offer "${words[@]}"
}
_underlay_files() {
    compopt -o filenames
    local IFS=$'\\n'
    COMPREPLY+=($(compgen -f -- "$current"))
}
_underlay() {
    local current=${COMP_WORDS[COMP_CWORD]} previous='' verb=${COMP_WORDS[1]} count=0 i
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        _underlay_offer @VERBS@
        return
    fi
    for ((i = 2; i < COMP_CWORD; i++)); do
        case $previous in @TAKING@) previous=''; continue ;; esac
        previous=${COMP_WORDS[i]}
        case $previous in
            --) compopt -o default; return ;;
            -*) ;;
            *) count=$((count + 1)) ;;
        esac
    done
    case $previous in
        @TAKING@) ;;
        *) previous='' ;;
    esac
    case $verb:$previous:$current in
@OPTIONS@
    esac
    case $verb:$count in
@ARGUMENTS@
    esac
}
complete -F _underlay underlay
"""

ZSH = """\
#compdef underlay
# Completion of underlay for zsh; written by `underlay completion zsh`.
_underlay_ask() {
    compadd -- ${(f)"$(${~words[1]} --complete $1 2>/dev/null </dev/null)"}
}
_underlay() {
    local previous='' verb=$words[2] count=0 i
    local -a found
    if (( CURRENT == 2 )); then
        found=(@VERBS@)
        _describe verb found
        return
    fi
    for (( i = 3; i < CURRENT; i++ )); do
        case $previous in @TAKING@) previous=''; continue ;; esac
        previous=$words[i]
        case $previous in
            --) _default; return ;;
            -*) ;;
            *) (( count++ )) ;;
        esac
    done
    case $previous in
        @TAKING@) ;;
        *) previous='' ;;
    esac
    case $verb:$previous:$words[CURRENT] in
@OPTIONS@
    esac
    case $verb:$count in
@ARGUMENTS@
    esac
}
if [ "$funcstack[1]" = _underlay ]; then
    _underlay
else
    compdef _underlay underlay
fi
"""

FISH = """\
# Completion of underlay for fish; written by `underlay completion fish`.
function __underlay_ask
    set -l words (commandline -opc)
    set -l program (string replace -r '^~' $HOME -- $words[1])
    $program --complete $argv[1] 2>/dev/null </dev/null
end
# __underlay_at VERB [COUNT]: whether VERB is being typed, and has COUNT arguments so far.
function __underlay_at
    set -l words (commandline -opc)
    set -q words[2]; and test "$words[2]" = $argv[1]; or return 1
    set -l count 0
    set -l previous ''
    for word in $words[3..-1]
        if contains -- $previous @TAKING@
            set previous ''
            continue
        end
        set previous $word
        switch $word
            case --
                return 1
            case '-*'
            case '*'
                set count (math $count + 1)
        end
    end
    test (count $argv) -eq 1; or test $argv[2] = $count
end
function __underlay_first
    test (count (commandline -opc)) -eq 1
end
complete -c underlay -f
"""


def script(shell: str) -> str:
    """Return the completion script for ``shell``: ``bash``, ``zsh`` or ``fish``."""
    found = grammar()
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](found)


def _bash(found: tuple[Verb, ...]) -> str:
    verbs = " ".join([*(verb.name for verb in found), *TOP])
    return _filled(BASH, found, verbs, _bash_offer, _bash_options)


def _zsh(found: tuple[Verb, ...]) -> str:
    pairs = [(verb.name, verb.text) for verb in found]
    pairs += [("--help", "List all verbs."), ("--version", "Print versions.")]
    return _filled(ZSH, found, _described(pairs), _zsh_offer, _zsh_options)


def _filled(
    template: str,
    found: tuple[Verb, ...],
    verbs: str,
    offer: Callable[[Values], str],
    options: Callable[[Verb], str],
) -> str:
    """Fill in what bash and zsh have in common: the branches of two ``case``."""
    valued, arguments = [], []
    for verb in found:
        for option in verb.options:
            if option.values is not None:
                valued.append(f"{verb.name}:{option.name}:*) {offer(option.values)}; return ;;")
        valued.append(f"{verb.name}::-*) {options(verb)}; return ;;")
        for number, values in enumerate(verb.arguments):
            if values != Values():
                arguments.append(f"{verb.name}:{number}) {offer(values)} ;;")
    return (
        template.replace("@VERBS@", verbs)
        .replace("@TAKING@", "|".join(with_values(found)))
        .replace("@OPTIONS@", "\n".join(f"        {line}" for line in valued))
        .replace("@ARGUMENTS@", "\n".join(f"        {line}" for line in arguments))
    )


def _bash_offer(values: Values) -> str:
    return _offer(values, "_underlay_offer", "_underlay_files")


def _zsh_offer(values: Values) -> str:
    return _offer(values, "compadd --", "_files")


def _offer(values: Values, some_words: str, files: str) -> str:
    lines = [f"{some_words} {' '.join(values.words)}"] if values.words else []
    lines += [f"_underlay_ask {values.kind}"] if values.kind else []
    lines += [files] if values.file else []
    return "; ".join(lines) or ":"


def _bash_options(verb: Verb) -> str:
    return f"_underlay_offer {' '.join(option.name for option in verb.options)}"


def _zsh_options(verb: Verb) -> str:
    pairs = [(option.name, option.text) for option in verb.options]
    return f"found=({_described(pairs)}); _describe option found"


def _described(pairs: list[tuple[str, str]]) -> str:
    return " ".join(shlex.quote(f"{name}:{text}") for name, text in pairs)


def _fish(found: tuple[Verb, ...]) -> str:
    lines = [
        f"complete -c underlay -n __underlay_first -a {verb.name} -d {_fish_text(verb.text)}"
        for verb in found
    ]
    lines += [f"complete -c underlay -n __underlay_first -l {name[2:]}" for name in TOP]
    for verb in found:
        for option in verb.options:
            line = f"complete -c underlay -n '__underlay_at {verb.name}' -l {option.name[2:]}"
            if option.values is not None:
                # -x is -r without files.
                line += f" {'-r' if option.values.file else '-x'}{_fish_values(option.values)}"
            lines.append(f"{line} -d {_fish_text(option.text)}")
        for number, values in enumerate(verb.arguments):
            if values != Values():
                condition = f"'__underlay_at {verb.name} {number}'"
                lines.append(f"complete -c underlay -n {condition}{_fish_values(values)}")
    text = FISH.replace("@TAKING@", " ".join(with_values(found)))
    return text + "\n".join(lines) + "\n"


def _fish_values(values: Values) -> str:
    words = [*values.words, *([f"(__underlay_ask {values.kind})"] if values.kind else [])]
    files = " -F" if values.file else ""
    return files + (f" -a '{' '.join(words)}'" if words else "")


def _fish_text(text: str) -> str:
    """Fish's single quotes take two escapes, and no other."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
