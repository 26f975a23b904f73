"""Running commands on the node: an argument list, a deadline, and the command's own words."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable

DEADLINE = 60
WORDS = 2000


class Failed(Exception):
    """Something could not be made; the text is the runtime's or the kernel's own."""


class Ended(Failed):
    """A container's process has ended; without it its namespace can't be told from the node's."""


def run(
    arguments: list[str],
    text: str = "",
    *,
    check: bool = True,
    deadline: float = DEADLINE,
    environment: dict[str, str] | None = None,
) -> str:
    """Run a command with ``text`` on its input; return its output, or raise Failed.

    It has this program's environment where no other is given.
    """
    try:
        done = subprocess.run(
            arguments,
            input=text,
            capture_output=True,
            text=True,
            timeout=deadline,
            env=environment,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(f"{' '.join(arguments[:4])}: {error}") from error
    if check and done.returncode:
        said = (done.stderr.strip() or done.stdout.strip())[-WORDS:]
        raise Failed(f"{' '.join(arguments[:4])}: exit {done.returncode}: {said}")
    return done.stdout


def all_or_each(
    function: Callable[[list[dict]], None], specifications: list[dict]
) -> dict[str, str]:
    """Call ``function`` for many containers at once; return what failed, by container.

    Where it fails, which of them it was is found out by each alone.
    """
    try:
        function(specifications)
    except Failed as error:
        if len(specifications) == 1:
            return {specifications[0]["container"]["name"]: str(error)}
        failed: dict[str, str] = {}
        for specified in specifications:
            failed |= all_or_each(function, [specified])
        return failed
    return {}


def batch(lines: list[str], enter: list[str] | None = None, *, space: str = "") -> None:
    """Run all ``lines`` by one ``ip -batch``, in the namespace that ``enter`` leads into.

    In the one called ``space`` ip goes by itself: nsenter would cost another program's start.

    The first line that fails ends it: Failed names that line, since ip gives its number alone.
    """
    if not lines:
        return
    try:
        there = ["-netns", space] if space else []
        run([*(enter or []), "ip", *there, "-batch", "-"], "\n".join(lines) + "\n")
    except Failed as error:
        number = str(error).rpartition("Command failed -:")[2]
        line = lines[int(number) - 1] if number.isdigit() and int(number) <= len(lines) else ""
        raise Failed(f"ip {line}: {error}") from error


def batch_all(lines: list[str], *, space: str = "") -> dict[int, str]:
    """Run all ``lines`` by one ``ip -batch`` that goes on after failures, in ``space`` if given.

    Returns the kernel's words by the index of each line that failed. ip says them, and then
    "Command failed -:N".
    """
    if not lines:
        return {}
    there = ["-netns", space] if space else []
    try:
        done = subprocess.run(
            ["ip", *there, "-force", "-batch", "-"],
            input="\n".join(lines) + "\n",
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return dict.fromkeys(range(len(lines)), str(error))
    failed: dict[int, str] = {}
    said: list[str] = []
    for text in done.stderr.splitlines():
        head, _, number = text.rpartition("Command failed -:")
        if number.isdigit() and not head:
            failed[int(number) - 1] = " ".join(said)
            said = []
        else:
            said.append(text)
    if done.returncode and not failed:
        return dict.fromkeys(range(len(lines)), f"exit {done.returncode}: {done.stderr.strip()}")
    return failed


def show(arguments: list[str], enter: list[str] | None = None) -> list[dict]:
    """Return what ``ip -json`` says; nothing where the namespace or device isn't there."""
    text = run([*(enter or []), "ip", "-json", *arguments], check=False)
    return json.loads(text) if text.startswith("[") else []


def write(path: str, content: str) -> None:
    """Write a file whole or not at all, readable for all, with its folder.

    Several threads may write one at a time, each its own before it takes the file's place.
    """
    os.makedirs(os.path.dirname(path), exist_ok=True)
    fresh = f"{path}.{threading.get_native_id()}.new"
    with open(fresh, "w", encoding="utf-8") as file:
        file.write(content)
    os.chmod(fresh, 0o644)
    os.replace(fresh, path)
