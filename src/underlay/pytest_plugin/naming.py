"""Which lab is named for a run: on the command line, by the environment, or in pytest's file."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

# As for Vagrant and Ansible: see `underlay env`.
VARIABLE = "UNDERLAY_LAB"


@dataclass(frozen=True)
class Named:
    """The ``word`` for a lab, and ``where`` it stands, as people write that.

    ``running``: a file is the lab that is up from it, if one is. So does the environment mean it
    for Vagrant and Ansible.
    """

    word: str
    where: str
    running: bool = False


def named_lab(config: pytest.Config) -> Named | None:
    """Return what names the lab of this run; None where nothing does.

    The command line goes before the environment, and that before pytest's file, whose paths count
    from its own folder.
    """
    option = config.getoption("--underlay")
    if option:
        return Named(option, "--underlay")
    if os.environ.get(VARIABLE):
        return Named(os.environ[VARIABLE], f"${VARIABLE}", running=True)
    said = str(config.getini("underlay")).strip()
    if not said:
        return None
    file = config.inipath
    beside = (file.parent if file else Path.cwd()) / said
    return Named(str(beside) if beside.is_file() else said, f"{file.name if file else 'ini'}")


def no_lab(config: pytest.Config) -> str:
    """Return what a test that needs a lab says where none is named: what to write, and where.

    The place in pytest's file is that of the file which this run has read, if it has read any.
    """
    file = config.inipath
    if file is None:
        place, said = "[pytest] in a new pytest.ini", "underlay = web.yml"
    elif file.suffix == ".toml":
        place, said = f"[{_table(file)}] in {file.name}", 'underlay = "web.yml"'
    else:
        section = "tool:pytest" if file.name == "setup.cfg" else "pytest"
        place, said = f"[{section}] in {file.name}", "underlay = web.yml"
    return (
        "this test needs a lab, and none is named\n"
        f"type: pytest --underlay LAB   (or set {VARIABLE}, or write `{said}` below {place})\n"
        "LAB is a lab file, the name of one in labs/, or of a lab that is up"
    )


def _table(file: Path) -> str:
    """Return the table in which pytest reads its settings in a TOML ``file``.

    Since pytest 9 there are two in pyproject.toml, of which one may be used, and `pytest.toml`
    (docs.pytest.org, reference/customize).
    """
    if file.name != "pyproject.toml":
        return "pytest"
    try:
        tools = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {})
        own = tools.get("pytest", {})
    except (OSError, ValueError, AttributeError):
        own = {}
    native = isinstance(own, dict) and own.keys() - {"ini_options"}
    return "tool.pytest" if native else "tool.pytest.ini_options"
