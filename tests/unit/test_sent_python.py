"""Whatever is sent to machines does with the Python that Underlay asks of them, by vermin's tables.

On nodes of Debian 11 and 12 it really runs: tests/cluster/test_hosts_old_python.py.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

from underlay.cluster import applying
from underlay.cluster.machines import LEAST
from underlay.observe import commands, live_capture, pinned
from underlay.observe.survey import commands as surveying
from underlay.storage.paths import root

# Modules that travel as they are.
FOLDERS = (
    "src/underlay/observe/on_node",
    "src/underlay/observe/survey/on_host",
    "ansible/module_utils/underlay_node",
)
# What else travels: texts of programs.
TEXTS: dict[str, Callable[[], str]] = {
    "what is fed": lambda: commands.FED,
    "what a node keeps": lambda: commands.AT_ONCE + commands.KEPT,
    "what carries its sources": lambda: commands.BOOTSTRAP,
    "what a survey carries": lambda: surveying.BOOTSTRAP,
    "what takes the node program": lambda: applying.TAKE,
    "what enters a container": lambda: live_capture.ENTERING,
    "what is sought": lambda: live_capture.SOUGHT.format(addresses={}),
    "the pinned file": pinned.program,
    "what takes the pinned file": lambda: pinned.carried()[-1],
}


def complaints(*paths: Path) -> str:
    """Return what in ``paths`` needs a newer Python, a line each; nothing where nothing does."""
    target = ".".join(map(str, LEAST))
    program = str(Path(sys.executable).with_name("vermin"))
    done = subprocess.run(
        [program, "--no-tips", "--violations", f"--target={target}-", *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert not done.stderr, done.stderr
    assert done.returncode in (0, 1), done.stdout
    return done.stdout if done.returncode else ""


def test_no_module_needs_more() -> None:
    folders = [root() / folder for folder in FOLDERS]
    assert all(list(folder.glob("*.py")) for folder in folders)
    assert complaints(*folders) == ""


def test_no_text_of_a_program_needs_more(tmp_path: Path) -> None:
    for name, text in TEXTS.items():
        (tmp_path / f"{name}.py").write_text(text())
    assert complaints(tmp_path) == ""


# By Python's own words of what is new in it.
NEWER = {
    "3.12, a function": "import os\nos.setns(3, 0)\n",
    "3.12, another": "import os\nos.unshare(0)\n",
    "3.11, a module": "import tomllib\n",
    "3.11, syntax": "try: pass\nexcept* OSError: pass\n",
    "3.10, an argument": "zip([1], [2], strict=True)\n",
    "3.10, syntax": "match 1:\n    case 1: pass\n",
    "3.10, of a module": "from itertools import pairwise\n",
}


def test_what_needs_more_is_found_and_what_has_a_way_without_it_is_not(tmp_path: Path) -> None:
    for name, text in NEWER.items():
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "excused.py").write_text("import os\nos.setns(3, 0)  # novm\n")
    said = complaints(tmp_path)
    assert [name for name in NEWER if f"{name}.py" not in said] == []
    assert "excused.py" not in said


def test_ruff_reads_them_as_that_python_does() -> None:
    """Vermin reads by the Python that it runs on, and can't see an f-string that is newer."""
    settings = tomllib.loads((root() / "pyproject.toml").read_text())
    target = f"py{''.join(map(str, LEAST))}"
    folders = settings["tool"]["ruff"]["per-file-target-version"]
    assert folders == {f"{folder}/*.py": target for folder in FOLDERS}
