"""The Containerfile and what it lets in, as far as that can be seen without building it.

tests/cluster/test_container.py builds it and runs labs in it.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONTAINERFILE = (ROOT / "Containerfile").read_text()


def let_in() -> list[str]:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    return [line[1:] for line in lines if line.startswith("!")]


def instructions() -> list[tuple[str, str]]:
    joined = re.sub(r"\\\n", " ", re.sub(r"(?m)^#.*\n", "", CONTAINERFILE))
    return [(line.split()[0], line.partition(" ")[2]) for line in joined.splitlines() if line]


def test_all_that_the_wheel_is_made_of_is_let_in_and_nothing_else() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {path.partition("/")[0] for path in (*wheel["packages"], *wheel["force-include"])}
    needed |= {project["project"]["readme"], *project["project"]["license-files"]}
    needed |= {"pyproject.toml", "requirements.txt"}
    assert sorted(let_in()) == sorted(needed)
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"
    assert [name for name in needed if not (ROOT / name).exists()] == []


def test_the_base_can_be_another_and_no_other_registry_is_named() -> None:
    assert instructions()[0] == ("ARG", "BASE=docker.io/library/debian:13-slim")
    assert instructions()[1] == ("FROM", "${BASE}")
    assert len(re.findall(r"[\w-]+\.(?:io|com|org)/", CONTAINERFILE)) == 1


def test_system_packages_are_those_of_the_list_and_python_packages_those_that_are_locked() -> None:
    said = " ".join(text for word, text in instructions() if word == "RUN")
    assert "$(sed '/^#/d; s/ .*//' packages.txt)" in said
    assert "--require-hashes" in said
    assert "--requirement requirements.txt" in said
    assert said.count("--no-index --no-deps") == 1


def test_the_nodes_image_is_in_it_and_orphans_are_collected() -> None:
    assert ("RUN", "underlay image build") in instructions()
    assert ("ENTRYPOINT", '["/usr/bin/tini", "--"]') in instructions()


def test_files_that_are_copied_are_let_in() -> None:
    copied = [text.split()[0] for word, text in instructions() if word == "COPY"]
    assert copied == ["packages.txt", "requirements.txt", "."]
    assert {"packages.txt", "requirements.txt"} <= set(let_in())
