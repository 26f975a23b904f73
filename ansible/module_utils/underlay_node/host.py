"""A lab on a host of somebody's own: looked at, applied, told about, and undone.

One document on standard input says what is to be done, and one on standard output what came of it:

    look    what would be changed, and what is in the way
    ask     who on the wire has one of these addresses
    apply   make the changes
    undo    undo whatever was changed
    state   what was changed, and whether it is still so

Only ``apply`` and ``undo`` change anything. What the host was before, the journal knows.
"""

from __future__ import annotations

import json
import os
import time

from . import cni, files, host_asking, host_changes, host_conflicts
from .commands import Failed
from .host_changes import Change
from .host_journal import UNDOING, WANTS, WHOLE, Journal, boot, held


def main(task: dict) -> dict:
    """Do what ``task`` says; return the document. A failure is in it, as ``error``."""
    report: dict = {"error": ""}
    os.umask(0o022)
    try:
        host_conflicts.refuse_other_rights()
        _WORDS[task["word"]](task, report)
    except (Failed, OSError, ValueError, KeyError) as error:
        report["error"] = str(error) if not isinstance(error, KeyError) else f"no {error}"
    return report


def look(task: dict, report: dict) -> None:
    """Say what applying the task's files would do: ``changes``, ``conflicts``, ``asked``."""
    node, sent = _read(task)
    with held() as journal:
        report.update(_seen(journal))
        known = journal.lab if journal else ""
        if known and known != node["lab"]:
            cure = "underlay down -i INVENTORY  removes it"
            found = host_conflicts.Conflict(f"the lab {known} is applied here", cure)
            report.update(changes=[], conflicts=[found], asked=[])
            return
        work = _Work(journal, node, sent)
        report["changes"] = work.words()
        report["conflicts"] = host_conflicts.conflicts(node, sent, work.fresh, work.ours)
        report["asked"] = host_conflicts.asked(work.fresh)


def ask(task: dict, report: dict) -> None:
    """Say who answers for the task's ``asked`` addresses."""
    report["answers"] = host_asking.answering([(nic, address) for nic, address, _ in task["asked"]])


def apply(task: dict, report: dict) -> None:
    """Make what the task's files want, whatever an earlier command has left here.

    ``begun`` says that this call has begun the journal, ``repaired`` what was undone first, and
    ``left`` what of that was somebody else's by then.
    """
    node, sent = _read(task)
    report.update(changes=[], conflicts=[], left=[], repaired="", begun=False)
    with held(create=True) as journal:
        assert journal is not None
        if journal.lab not in ("", node["lab"]):
            raise Failed(f"the lab {journal.lab} is applied here")
        if journal.begun and (journal.rebooted or not journal.whole):
            report["repaired"] = _told(journal)
            report["left"] = _undo(journal)
            journal.clear()
        work = _Work(journal, node, sent)
        report["conflicts"] = host_conflicts.conflicts(node, sent, work.fresh, work.ours)
        if report["conflicts"]:
            if not journal.begun:
                journal.remove()
            return
        report["begun"] = not journal.begun
        if not work.fresh and not work.gone and journal.whole:
            return
        journal.note(WANTS, **_wants(node))
        for entry in work.gone:
            report["left"] += filter(None, [host_changes.unmake(entry, journal)])
            report["changes"].append(f"{_thing(entry)}: removed")
        for change in work.fresh:
            report["changes"] += host_changes.make(change, journal)
        journal.note(WHOLE)


def undo(task: dict, report: dict) -> None:
    """Undo all that the journal holds, of whichever lab or of the task's alone."""
    report.update(lab="", undone=[], left=[])
    with held() as journal:
        if journal is None:
            return
        report["lab"] = journal.lab
        if task.get("lab") and journal.lab not in ("", task["lab"]):
            raise Failed(f"the lab {journal.lab} is applied here, and not {task['lab']}")
        report["undone"] = [f"{_thing(one)}: removed" for one in reversed(journal.made.values())]
        report["left"] = _undo(journal)
        journal.remove()


def state(task: dict, report: dict) -> None:
    """Say which lab is applied here, and what of it is amiss."""
    with held() as journal:
        report.update(_seen(journal))


def _seen(journal: Journal | None) -> dict:
    """Return what a journal says, and what of it isn't so any more."""
    if journal is None or not journal.begun:
        nobody = {"lab": "", "since": 0, "by": "", "told": ""}
        return {**nobody, "lost": [], "containers": [], "holds": []}
    lost = [_thing(entry) for entry in journal.made.values() if not host_changes.stands(entry)]
    return {
        "lab": journal.lab,
        "since": journal.wants["since"],
        "by": journal.wants["by"],
        "told": _told(journal),
        "lost": lost,
        "containers": [name for kind, name in journal.made if kind == "container"],
        "holds": [a for entry in journal.made.values() for a in host_changes.addresses(entry)],
    }


def _told(journal: Journal) -> str:
    """Return what became of the command that wrote the journal, where it didn't end well."""
    if journal.undoing:
        return "an undoing was cut short"
    if journal.rebooted:
        return "the host was booted again since"
    if not journal.whole:
        return f"a command was cut short after: {journal.last or 'nothing'}"
    return ""


def _undo(journal: Journal) -> list[str]:
    """Undo all changes, the last one first; return what was left, and why."""
    if journal.begun:
        journal.note(UNDOING)
    left = [host_changes.unmake(one, journal) for one in reversed(list(journal.made.values()))]
    return [words for words in left if words]


class _Work:
    """What is to be made (``fresh``), and what goes first (``gone``), the last made of it first."""

    def __init__(self, journal: Journal | None, node: dict, sent: dict[str, str]) -> None:
        wanted = host_changes.changes(node, sent)
        cut = journal is not None and (journal.rebooted or not journal.whole)
        # What a command that was cut short has made is undone before anything else.
        made = journal.made if journal is not None and not cut else {}
        stands = {
            key
            for key, entry in made.items()
            if entry["kind"] == "folder" or host_changes.stands(entry)
        }
        by_key = {change.key: change for change in wanted}
        kept = {
            key
            for key in stands
            if key[0] == "folder" or (key in by_key and by_key[key].of == made[key]["of"])
        }
        # Who sits on a link that goes has lost its own.
        renewed = {change.name for change in wanted if change.key not in kept}
        kept -= {change.key for change in wanted if renewed & {*change.on}}
        self.fresh: list[Change] = [change for change in wanted if change.key not in kept]
        self.gone = [made[key] for key in reversed(list(made)) if key not in kept]
        self._undone = journal.made if journal is not None and cut else {}
        known = journal.made if journal is not None else {}
        self.ours = {key for key, entry in known.items() if host_changes.is_ours(entry)}

    def words(self) -> list[str]:
        """Return every change in words, in the order in which it is made."""
        said = [f"{_thing(entry)}: undone, of a command that was cut short"
                for entry in reversed(list(self._undone.values()))]  # fmt: skip
        said += [f"{_thing(entry)}: removed" for entry in self.gone]
        folders: dict[str, None] = {}
        for change in self.fresh:
            path = host_changes.place(change)
            for folder in host_changes.missing_folders(path) if path else ():
                if folder not in folders:
                    folders[folder] = None
                    said.append(f"{folder}: made")
            said.append(change.said)
        return said


def _read(task: dict) -> tuple[dict, dict[str, str]]:
    """Return node.json's document, and the other files by their paths; refuse a path elsewhere."""
    sent = dict(task["files"])
    files.differing(sent, [])
    return json.loads(sent.pop(files.NODE)), sent


def _wants(node: dict) -> dict:
    by = os.environ.get("SUDO_USER") or "root"
    return {"lab": node["lab"], "boot": boot(), "since": int(time.time()), "by": by}


def _thing(entry: dict) -> str:
    kind, name = entry["kind"], entry["name"]
    said = {"container": f"container {name}", "route": f"route {name}"}
    return said.get(kind, f"{cni.LEASES}/{name}" if kind == "store" else name)


_WORDS = {"look": look, "ask": ask, "apply": apply, "undo": undo, "state": state}
