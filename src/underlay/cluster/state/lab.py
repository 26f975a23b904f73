"""A lab's state folder: what is up, from which file, and by which provider."""

from __future__ import annotations

import hashlib
import json
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from underlay.cluster.providers import NAMES
from underlay.errors import Infrastructure
from underlay.plan import plan_from_json
from underlay.storage import paths
from underlay.storage.writing import write_whole

if TYPE_CHECKING:
    from underlay.plan import Plan


# The digest of a plan and of the text that says the same: a file that hasn't changed need not be
# read again to know what it wants.
NOTED = "text.sha256"


@dataclass(frozen=True)
class LabState:
    """A lab that was started: its name, lab file and provider; the file may have changed since."""

    lab: str
    file: str
    provider: str

    @property
    def folder(self) -> Path:
        """The lab's state folder."""
        return paths.state(self.lab)

    def plan(self) -> Plan:
        """Return the plan that the lab was started with, whatever its file says now."""
        return plan_in(self.folder)

    def write(self, plan: Plan) -> None:
        """Write ``plan`` and then this record, each whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self.folder / "plan.json", plan.to_json())
        write_whole(self.folder / "lab.json", json.dumps(asdict(self), indent=2) + "\n")

    def note_text(self, text: str) -> None:
        """Note that ``text``, a lab file's, says what the plan in the folder does."""
        with suppress(OSError):
            write_whole(self.folder / NOTED, self._digest(text.encode()))

    def text_is_noted(self) -> bool:
        """Whether the lab's file has the text that was noted, and the plan is that of then."""
        try:
            noted = (self.folder / NOTED).read_text()
            return noted == self._digest(Path(self.file).read_bytes())
        except (OSError, ValueError):
            return False

    def _digest(self, text: bytes) -> str:
        return hashlib.sha256((self.folder / "plan.json").read_bytes() + b"\0" + text).hexdigest()


def plan_in(folder: Path) -> Plan:
    """Return the plan that is recorded in a lab's state ``folder``.

    Raises Infrastructure where it can't be read: a full disk or a dying machine has cut it.
    """
    try:
        return plan_from_json((folder / "plan.json").read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise Infrastructure(
            f"the plan that the lab {folder.name} was started with can't be read",
            detail=f"{folder / 'plan.json'}: {error}",
            hint=f"underlay down --lab {folder.name}",
        ) from error


def read_state(lab: str) -> LabState | None:
    """Return what is recorded about ``lab``; None where it was never started, or that is lost."""
    try:
        state = LabState(**json.loads((paths.state(lab) / "lab.json").read_text()))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    whole = all(isinstance(value, str) for value in asdict(state).values())
    if unfinished(paths.state(lab)).exists():
        # A switch was cut short between the folder's new name and the record's.
        state = replace(state, lab=lab)
    # The name leads to the folder that `down` removes: it must be this one.
    return state if whole and state.lab == lab and state.provider in NAMES else None


def only_rendered(folder: Path) -> bool:
    """Whether a lab's state ``folder`` holds its files and nothing else: it was never started."""
    return [path.name for path in folder.glob("*")] == ["files"]


def unfinished(folder: Path) -> Path:
    """Return the mark in a lab's ``folder`` that its nodes are on the way to another lab."""
    return folder / "switching"


def state_of_file(file: Path) -> LabState | None:
    """Return the started lab that came from the lab ``file``, or None."""
    for record in sorted(paths.states().glob("*/lab.json")):
        state = read_state(record.parent.name)
        if state is not None and Path(state.file) == file.resolve():
            return state
    return None


def remove(lab: str) -> None:
    """Remove the lab's state folder and those above it that are empty then."""
    shutil.rmtree(paths.state(lab), ignore_errors=True)
    paths.remove_empty_home()
