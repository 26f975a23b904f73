"""YAML read quickly is what ruamel.yaml reads, places, tags and quotes too, or it is left to it."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from underlay.lab.nodes import Node, NotYaml, Unsure, quickly
from underlay.lab.text import text_of
from underlay.lab.yaml_syntax import carefully

ROOT = Path(__file__).resolve().parents[3]
LONGEST = 6000
# What is put into texts of this repository: whatever means something to YAML.
BITS = (
    *(": ", "- ", ":", "-", "#", " #", "{", "}", "[", "]", ",", "'", '"', "|", ">", "?", "@", "%"),
    *(
        "\n",
        "\n\n",
        "\n  ",
        "  ",
        "|-\n",
        ">+\n",
        "|2\n",
        "'\n",
        "''",
        "~",
        "\\",
        "\\u",
        "\\/",
        "é",
    ),
    *("<<: ", "&a ", "*a", "!!str ", "!", "---\n", "\n...\n", "{a: b}", "[a:b]", "{a:1}", "- - "),
    *("é", "a: b: c", " #c\n", "\u3000", "\u2028", "\t", "\x85"),
)


def repository() -> list[Path]:
    done = subprocess.run(
        ["git", "ls-files", "*.yml", "*.yaml"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    files = [ROOT / name for name in done.stdout.splitlines()]
    return [path for path in files if path.is_file() and path.stat().st_size < LONGEST]


def without_places_of_nothing(node: Node | None) -> Node | None:
    """Return ``node`` without the places of values that aren't there: nobody asks for them."""
    for number, item in enumerate(node.items if node else ()):
        if node and node.kind == "mapping" and number % 2 and not (item.word or item.style):
            item.mark = node.mark
        without_places_of_nothing(item)
    return node


def same(text: str) -> bool:
    """Prove that ``text``, where it is read quickly, is read as ruamel.yaml does; say if it was."""
    try:
        quick = quickly(text)
    except Unsure:
        return False
    assert without_places_of_nothing(quick) == without_places_of_nothing(carefully(text)), text
    return True


def texts() -> list[str]:
    found = []
    for path in repository():
        try:
            found.append(path.read_bytes().decode("utf-8-sig"))
        except UnicodeDecodeError:
            continue
    return found


def test_most_files_of_this_repository_are_read_quickly_and_alike() -> None:
    every = texts()
    quick = 0
    for text in every:
        try:
            quick += same(text)
        except NotYaml:
            pytest.fail(f"it was read, and isn't YAML: {text}")
    if not every:
        pytest.skip("this is no checkout of git")
    assert quick > 0.85 * len(every) > 200


@pytest.mark.parametrize("seed", range(4))
def test_files_with_slips_in_them_are_read_alike_or_not_at_all(seed: int) -> None:
    every = texts() or ["nodes: 3\nnetworks:\n  - {a: b}\n"]
    chance = random.Random(seed)
    quick = 0
    for _ in range(300):
        lines = chance.choice(every).splitlines(keepends=True) or [""]
        begin = chance.randrange(len(lines))
        text = "".join(lines[begin : begin + chance.randrange(1, 14)])
        for _ in range(chance.randrange(1, 4)):
            place = chance.randrange(len(text) + 1)
            cut = chance.choice((0, 0, 1, 3))
            text = text[:place] + chance.choice(BITS) * (not cut) + text[place + cut :]
        quick += same(text)
    assert quick > 30


# What libyaml reads otherwise than ruamel.yaml, or takes where that says what is wrong.
OTHERWISE = (
    "- \n- a\n",
    ": a\n",
    "[a, ]: \n? b\n",
    "|-\n# a comment, or a line\n",
    "a: |#\n  b\n",
    "a: >-# c\n  b\n",
    "a: {b: !c, d: e}\n",
    "&a: b\nc: d\n",
    "a: *b\n",
    "%YAML 1.1\n---\na: yes\n",
    "a: b\n...\n",
    "a: b\n---\nc: d\n",
    "a:\tb\n",
    "a: b\r\n",
    "a: b\u2028c: d\n",
    "\ufeffa: b\n",
    "just words\n",
    "a: [b\n",
    "a" * 3000 + ": " + "[" * 12 + "]" * 12 + "\n",
    "a: [" + "b, " * 10_001 + "]\n",
)


@pytest.mark.parametrize("text", OTHERWISE, ids=range(len(OTHERWISE)))
def test_what_the_two_read_otherwise_is_left_to_ruamel_yaml(text: str) -> None:
    with pytest.raises(Unsure):
        quickly(text)


def test_words_mean_the_same_whoever_read_them() -> None:
    text = "on: yes\noff: 010\nn: ~\nlist: [0x1f, 1_000, 1e3, .5, 'no', \"null\", null]\n"
    read = text_of("lab.yml", text)
    assert same(text)
    assert read.data == {
        "on": "yes", "off": 10, "n": None,
        "list": [31, "1_000", 1000.0, 0.5, "no", "null", None],
    }  # fmt: skip
    assert read.data == text_of("lab.yml", f"{text}...\n").data
    assert read.values == text_of("lab.yml", f"{text}...\n").values


def test_without_libyaml_ruamel_yaml_reads_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yaml.__with_libyaml__", False)
    with pytest.raises(Unsure):
        quickly("a: b\n")
    assert text_of("lab.yml", "some: thing of its own\n").data == {"some": "thing of its own"}
