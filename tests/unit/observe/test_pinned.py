"""The probe as one file: what it is made of, what allows it, and what it refuses to do."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from underlay.observe.commands import pack, source_of_module
from underlay.observe.pinned import MODULES, PATH, digest, program, sudoers


@pytest.fixture
def run(tmp_path: Path) -> object:
    file = tmp_path / "probe"
    file.write_text(program())

    def started(given: str, *words: str) -> tuple[int, str, str]:
        command = [sys.executable, "-I", "-S", str(file), *words]
        done = subprocess.run(
            command, input=given, capture_output=True, text=True, timeout=120, check=False
        )
        return done.returncode, done.stdout, done.stderr.strip()

    return started


def test_each_module_stands_in_it_as_it_is() -> None:
    for name in MODULES:
        assert source_of_module(name).rstrip() in program()


def test_the_line_of_sudoers_names_its_digest_and_allows_no_argument() -> None:
    assert digest() == hashlib.sha256(program().encode()).hexdigest()
    assert sudoers("ops") == f'ops ALL=(root) NOPASSWD: sha256:{digest()} {PATH} ""'


@pytest.mark.parametrize("given", ["", "sh\n", "probe", "exec id\n"])
def test_what_it_is_not_for_it_refuses(run: object, given: str) -> None:
    code, out, err = run(given)  # type: ignore[operator]
    assert (code, out) == (1, "")
    assert err


def test_an_argument_is_refused(run: object) -> None:
    assert run("probe 5\n", "x")[0] == 1  # type: ignore[operator]


@pytest.mark.parametrize(
    "row",
    [
        ["a", "docker", ""],
        ["a", "cni", "/etc/shadow"],
        ["a", "crun", ""],
        ["a", "found", "192.0.2.1", "tcp:22"],
    ],
)
@pytest.mark.parametrize("word", ["probe", "gather"])
def test_only_namespaces_that_are_looked_for_are_entered(
    run: object, word: str, row: list[str]
) -> None:
    task = pack({"node": "m", "port": 27007, "patience": 5, "spaces": [row]})
    given = f"probe 5\n{task}\n" if word == "probe" else f"gather {task}\n"
    code, out, err = run(given)  # type: ignore[operator]
    assert (code, out) == (1, "")
    assert "a namespace in another way" in err


def test_no_other_port_is_listened_on(run: object) -> None:
    task = pack({"node": "m", "port": 80, "patience": 5, "spaces": []})
    assert "another port" in run(f"probe 5\n{task}\n")[2]  # type: ignore[operator]
