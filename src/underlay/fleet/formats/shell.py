"""A shell script as the simple commands that it leads to: loops over literal words unrolled.

Nothing is run. A variable is filled in where the script itself gives it a plain value, and a loop
is taken as often as its words say; what a condition decides is taken once, as it is written.
"""

from __future__ import annotations

import ast
import operator
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise, product

from underlay.fleet.document import Document
from underlay.fleet.formats.compose import filled_in

# Words that stand before a command and decide nothing of it here.
DECLARED = ("export", "readonly", "local")
ENDS = frozenset({";", "&&", "||", "|", "&", "(", ")"})
ASSIGNED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)")
# So often is a loop taken, and so many commands all loops lead to: a lab has fewer containers.
MOST_TURNS, MOST_COMMANDS = 256, 4000
# So many loops are in one another.
DEEPEST = 16
_OPENED = re.compile(r"^(?:(?:do|then|else|\{)\s+)*")
_FOR = re.compile(r"for\s+([A-Za-z_][A-Za-z0-9_]*)\s+in\b(.*)$", re.DOTALL)
_LOOP = re.compile(r"(for|while|until|select)\b")
_ENDED = re.compile(r"done\b")
# The word that a loop's commands begin with; bash takes a brace as well.
_BEGUN = re.compile(r"\s*(do\b|\{)")
NO_DO = "`do` is missing after it, so that a shell refuses the whole script"
# What leaves a loop early, so that nobody knows how often it is taken.
_LEAVES = re.compile(r"(^|[;&|\s])(break|continue)\b")
_COMPUTED = re.compile(r"\$\(\(((?:[^()]|\([^()]*\))*)\)\)")
_SEQUENCE = re.compile(r"^\$\(\s*seq\s+([^()]*)\)$|^`\s*seq\s+([^`]*)`$")
_NUMBERS = re.compile(r"(-?[0-9]+)\.\.(-?[0-9]+)(?:\.\.(-?[0-9]+))?")
_LETTERS = re.compile(r"([A-Za-z])\.\.([A-Za-z])")
_BRACES = re.compile(r"\{([^{}\s]*)\}")
_OPERATORS: dict[type, Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_LARGEST = 1 << 40

# A command line of a script with the number of its line.
Piece = tuple[int, str]


@dataclass(frozen=True)
class Loop:
    """A loop that isn't unrolled: its line, how it begins, what is in it, and why."""

    line: int
    head: str
    body: tuple[Piece, ...]
    why: str


@dataclass
class _Walk:
    """What is known on the way through a script: variables, and loops that can't be unrolled."""

    bash: bool
    known: dict[str, str] = field(default_factory=dict)
    loops: list[Loop] = field(default_factory=list)
    commands: int = 0
    depth: int = 0


def simple_commands(document: Document) -> Iterator[tuple[list[str], int]]:
    """Yield the simple commands of a script as words, with their lines and variables filled in.

    An assignment to a variable is taken note of, and isn't yielded.
    """
    yield from _commands(_pieces(document.text), _Walk(_is_bash(document)))


def unread_loops(document: Document) -> list[Loop]:
    """Return the loops that are taken once, since nobody can tell how often without running them.

    Those in a loop that is unrolled are named once.
    """
    walk = _Walk(_is_bash(document))
    for _ in _commands(_pieces(document.text), walk):
        pass
    return list({(one.line, one.head): one for one in walk.loops}.values())


def lines_of(text: str) -> Iterator[Piece]:
    """Yield the lines of a script with their numbers; a backslash at the end joins two."""
    begun, start = "", 0
    for line, raw in enumerate(text.splitlines(), 1):
        start = start if begun else line
        whole = begun + raw
        if whole.endswith("\\"):
            begun = whole[:-1] + " "
            continue
        begun = ""
        if whole.strip() and not whole.lstrip().startswith("#"):
            yield start, whole
    if begun.strip():
        yield start, begun


def words_of(text: str) -> list[str] | None:
    """Return the words of a line of shell; None where a quote is open at its end."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.commenters = "#"
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError:
        return None


def without_keywords(text: str) -> str:
    """Return a command line without the words of a loop or condition that stand before it."""
    return _OPENED.sub("", text.strip())


def _is_bash(document: Document) -> bool:
    """Whether bash runs a script by itself, and not a plain shell, which has no braces."""
    return "bash" in document.text.partition("\n")[0]


def begins_loop(text: str) -> bool:
    """Whether a command line is the head of a loop."""
    return bool(_LOOP.match(without_keywords(text)))


def ends_loop(text: str) -> bool:
    """Whether a command line is the end of a loop, and no more than that."""
    return bool(re.fullmatch(r"do|done", text.strip()))


def _pieces(text: str) -> list[Piece]:
    return [(line, part) for line, whole in lines_of(text) for part in parts_of(whole)]


def parts_of(text: str) -> Iterator[str]:
    """Yield the commands of a line that semicolons divide, outside of quotes and parentheses."""
    start, quote, depth, position = 0, "", 0, 0
    while position < len(text):
        sign = text[position]
        if sign == "\\" and quote != "'":
            position += 1
        elif quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"`":
            quote = sign
        elif sign == "#" and (position == 0 or text[position - 1].isspace()):
            break
        elif sign in "()":
            depth += 1 if sign == "(" else -1
        elif sign == ";" and depth <= 0:
            yield text[start:position]
            start = position + 1
        position += 1
    yield text[start:]


def _commands(pieces: list[Piece], walk: _Walk) -> Iterator[tuple[list[str], int]]:
    position = 0
    while position < len(pieces):
        line, text = pieces[position]
        head = without_keywords(text)
        if _LOOP.match(head):
            end = _end_of(pieces, position)
            body = pieces[position + 1 : end]
            yield from _of_loop(line, head, body, walk)
            position = end + 1
            continue
        position += 1
        walk.commands += 1
        if walk.commands > MOST_COMMANDS:
            return
        yield from _of_line(line, text, walk.known)


def _end_of(pieces: list[Piece], start: int) -> int:
    """Return where the loop that begins at ``start`` ends: the place of its ``done``."""
    depth = 0
    for position in range(start, len(pieces)):
        head = without_keywords(pieces[position][1])
        depth += bool(_LOOP.match(head))
        depth -= bool(_ENDED.match(head))
        if not depth:
            return position
    return len(pieces)


def _of_loop(
    line: int, head: str, body: list[Piece], walk: _Walk
) -> Iterator[tuple[list[str], int]]:
    walk.depth += 1
    yield from _taken(line, head, body, walk)
    walk.depth -= 1


def _taken(line: int, head: str, body: list[Piece], walk: _Walk) -> Iterator[tuple[list[str], int]]:
    """Yield what a loop leads to, as often as it is taken."""
    words, why = _turns(head, body, walk)
    if walk.depth > DEEPEST:
        why = f"it is in {DEEPEST} others"
        walk.loops.append(Loop(line, " ".join(head.split()), tuple(body), why))
        return
    if words is None:
        walk.loops.append(Loop(line, " ".join(head.split()), tuple(body), why))
        yield from _commands([(line, _once(head)), *body], walk)
        return
    for word in words:
        walk.commands += 1
        if walk.commands > MOST_COMMANDS:
            why = f"it leads to more than {MOST_COMMANDS} commands"
            walk.loops.append(Loop(line, " ".join(head.split()), tuple(body), why))
            return
        walk.known[words_name(head)] = word
        yield from _commands(body, walk)


def _once(head: str) -> str:
    """Return what a loop that is taken once does itself: the command that it waits for."""
    told = re.sub(r"^(while|until)\s+", "", head) if head.startswith(("while", "until")) else ":"
    return ":" if begins_loop(told) else told


def words_name(head: str) -> str:
    """Return the variable of a ``for``."""
    found = _FOR.match(head)
    return found[1] if found else ""


def _turns(head: str, body: list[Piece], walk: _Walk) -> tuple[list[str] | None, str]:
    """Return the words that a loop is taken for; None and why, where nobody can tell."""
    found = _FOR.match(head)
    if found is None:
        kind = head.split(None, 1)[0]
        return None, f"how often a `{kind}` like this is taken isn't known until it runs"
    if not (body and _BEGUN.match(body[0][1])):
        return None, NO_DO
    if any(_LEAVES.search(text) for _, text in body):
        return None, "it may be left early"
    words: list[str] = []
    for text in _unquoted_words(found[2]):
        here, why = _literal(text, walk)
        if here is None:
            return None, why
        words += here
        if len(words) > MOST_TURNS:
            return None, f"it is taken more than {MOST_TURNS} times"
    return words, ""


def _unquoted_words(text: str) -> list[str]:
    """Return the words of a loop as they are written, what is in ``$(…)`` being one of them."""
    found, word, quote, depth = [], "", "", 0
    for sign in text:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"`":
            quote = sign
        elif sign in "()":
            depth += 1 if sign == "(" else -1
        if sign.isspace() and not quote and not depth:
            found.append(word)
            word = ""
        else:
            word += sign
    return [one for one in (*found, word) if one]


def _literal(text: str, walk: _Walk) -> tuple[list[str] | None, str]:
    """Return what a word of a loop stands for: itself, seq's numbers, or what is in braces."""
    sequence = _SEQUENCE.match(_calculated(text, walk.known))
    if sequence:
        told = filled_in(sequence[1] or sequence[2], walk.known).split()
        numbers = [_whole(one) for one in told]
        plain = [one for one in numbers if one is not None]
        if not 1 <= len(plain) <= 3 or len(plain) != len(numbers):
            return None, f"{text} isn't known until it runs"
        return _counted(plain)
    plain_text = filled_in(_calculated(text, walk.known), walk.known)
    told_words = words_of(plain_text)
    if told_words is None or re.search(r"[$`*?\[]", plain_text) or "(" in plain_text:
        return None, f"{text} isn't known until it runs"
    quoted = text[:1] in "'\""
    if quoted or not _BRACES.search(plain_text):
        # A variable without quotes is as many words as it has.
        return (told_words if quoted or "$" not in text else plain_text.split()), ""
    if not walk.bash:
        return None, f"{text} is bash's, and a plain shell takes it for a word"
    return _braced(plain_text, text)


def _braced(plain: str, text: str) -> tuple[list[str] | None, str]:
    parts: list[list[str]] = []
    behind = 0
    for found in _BRACES.finditer(plain):
        choice = _choices(found[1])
        if choice is None:
            return None, f"{text} isn't read"
        parts += [[plain[behind : found.start()]], choice]
        behind = found.end()
    parts.append([plain[behind:]])
    size = 1
    for one in parts:
        size *= len(one)
    if size > MOST_TURNS:
        return None, f"it is taken more than {MOST_TURNS} times"
    return ["".join(one) for one in product(*parts)], ""


def _choices(inside: str) -> list[str] | None:
    """Return what braces stand for: {a,b}, {1..9}, {01..09}, {1..9..2} or {a..e}; see bash(1)."""
    numbers, letters = _NUMBERS.fullmatch(inside), _LETTERS.fullmatch(inside)
    if numbers:
        first, last = _whole(numbers[1]), _whole(numbers[2])
        step = abs(int(numbers[3])) if numbers[3] and len(numbers[3]) < 10 else 1
        if first is None or last is None:
            return None
        step = (step or 1) if first <= last else -(step or 1)
        found, _ = _counted([first, step, last])
        ends = (numbers[1].lstrip("-"), numbers[2].lstrip("-"))
        padded = any(len(one) > 1 and one.startswith("0") for one in ends)
        width = max(len(numbers[1]), len(numbers[2])) if padded else 0
        return [one.zfill(width) for one in found] if found is not None else None
    if letters:
        first, last = ord(letters[1]), ord(letters[2])
        step = 1 if first <= last else -1
        return [chr(one) for one in range(first, last + step, step)]
    return inside.split(",") if "," in inside else None


def _counted(numbers: list[int]) -> tuple[list[str] | None, str]:
    """Return what seq(1) prints for one to three numbers."""
    first, step, last = {1: [1, 1, *numbers], 2: [numbers[0], 1, *numbers[1:]]}.get(
        len(numbers), numbers
    )
    if not step:
        return None, "it never ends"
    found = range(first, last + (1 if step > 0 else -1), step)
    if len(found) > MOST_TURNS:
        return None, f"it is taken more than {MOST_TURNS} times"
    return [str(one) for one in found], ""


def _whole(text: str) -> int | None:
    return int(text) if re.fullmatch(r"-?[0-9]{1,9}", text) else None


def _of_line(line: int, text: str, known: dict[str, str]) -> Iterator[tuple[list[str], int]]:
    words = words_of(_calculated(without_keywords(text), known)) or []
    plain = words[1:] if words[:1] and words[0] in DECLARED else words
    if len(plain) == 1 and (assigned := ASSIGNED.fullmatch(plain[0])):
        known[assigned[1]] = filled_in(assigned[2], known)
        return
    told = [filled_in(word, known) for word in words]
    ends = [i for i, word in enumerate(told) if word in ENDS]
    for start, end in pairwise([-1, *ends, len(told)]):
        if part := told[start + 1 : end]:
            yield part, line


def _calculated(text: str, known: dict[str, str]) -> str:
    """Return ``text`` with the sums of whole numbers in ``$((…))`` worked out where they can be."""

    def value(found: re.Match[str]) -> str:
        plain = re.sub(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?", r"\1", found[1]).strip()
        try:
            tree = ast.parse(plain.replace("/", "//"), mode="eval")
            return str(_number(tree.body, known))
        except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
            return found[0]

    return _COMPUTED.sub(value, text) if "$((" in text else text


def _number(tree: ast.expr, known: dict[str, str]) -> int:
    """Return the value of a sum; raise ValueError for anything that isn't one of whole numbers."""
    if isinstance(tree, ast.Constant) and type(tree.value) is int:
        return tree.value
    if isinstance(tree, ast.Name) and (value := _whole(known.get(tree.id, ""))) is not None:
        return value
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
        return -_number(tree.operand, known)
    if isinstance(tree, ast.BinOp) and type(tree.op) in _OPERATORS:
        one, two = _number(tree.left, known), _number(tree.right, known)
        if abs(one) > _LARGEST or abs(two) > _LARGEST:
            raise ValueError("a sum beyond measure")
        return _OPERATORS[type(tree.op)](one, two)
    raise ValueError("no sum of whole numbers")
