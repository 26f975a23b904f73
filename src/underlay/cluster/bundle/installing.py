"""Installing a bundle where Underlay is already: by the bundle's own script, as without it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from underlay.cluster.bundle.contents import INSTALL, Manifest
from underlay.cluster.bundle.reading import check
from underlay.cluster.process import run, tail
from underlay.errors import EXIT_BAD_INPUT, BadInput, Infrastructure, reason
from underlay.storage import temporary

if TYPE_CHECKING:
    from collections.abc import Callable

DEADLINE = 3600.0
STEP, ERROR, HINT = "install: ", "error: ", "hint: "


def install(file: Path, folder: Path, progress: Callable[[str], None]) -> Manifest:
    """Install what is in the bundle ``file``: packages, a checkout in ``folder``, and the image.

    Returns what the bundle is. Raises BadInput where it is damaged or for another system, or
    ``folder`` is there and isn't of this bundle, and Infrastructure where something else fails.
    """
    target = folder.absolute()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with temporary.beside(target) as work:
            manifest = check(file, progress, into=work)
            _run(work / INSTALL, target, progress)
    except OSError as error:
        raise BadInput(f"cannot write to {target.parent}: {reason(error)}") from error
    return manifest


def _run(script: Path, target: Path, progress: Callable[[str], None]) -> None:
    def show(line: str) -> None:
        if line.startswith(STEP):
            progress(line.removeprefix(STEP))

    words = ["sh", str(script), str(target)]
    done = run(words, deadline=DEADLINE, on_line=show, check=False, name=INSTALL)
    if not done.returncode:
        return
    lines = done.stderr.splitlines()
    errors = [line.removeprefix(ERROR) for line in lines if line.startswith(ERROR)]
    hints = [line.removeprefix(HINT) for line in lines if line.startswith(HINT)]
    kind = BadInput if done.returncode == EXIT_BAD_INPUT else Infrastructure
    raise kind(
        errors[-1] if errors else f"{INSTALL} ended with exit code {done.returncode}",
        hint=hints[-1] if hints else "",
        detail="" if errors else tail(done.stderr),
    )
