"""Lab files as they are in a revision of a git repository. Nothing is checked out or fetched."""

from __future__ import annotations

from dataclasses import dataclass
from shlex import quote
from typing import TYPE_CHECKING

from underlay.cluster.process import run, run_bytes, tail
from underlay.errors import BadInput, Infrastructure, did_you_mean, nearest
from underlay.lab.text import MAX_BYTES, shown

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from pathlib import Path

DEADLINE = 20.0
# What git refuses with is told by its words, and nothing is fetched from a server.
ENVIRONMENT = {"LC_ALL": "C", "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0"}
FOLDER, FILE = "tree", "blob"
LINK = "120000"


@dataclass(frozen=True)
class Entry:
    """What a revision has at a path: git's mode, kind and id for it, and a file's size."""

    mode: str
    kind: str
    id: str
    size: int
    path: str


@dataclass(frozen=True)
class Revision:
    """A revision as it was typed, in the repository that ``folder`` is in.

    Paths count from the root of the repository with ``from_root``, else from ``folder``.
    """

    name: str
    folder: Path
    from_root: bool

    def entry(self, path: str) -> Entry:
        """Return what the revision has at ``path``, a file or a folder.

        Raises BadInput where it, the revision or the repository isn't there, and Infrastructure
        where git isn't, or doesn't answer.
        """
        self._refuse_unknown()
        path = path.rstrip("/")
        if path in ("", "."):
            return Entry("040000", FOLDER, "", 0, "")
        found = self._list("--", path)
        if found:
            return found[0]
        every = [entry.path for entry in self._list("-r") if entry.path.endswith((".yml", ".yaml"))]
        near = nearest(path, every) or next((p for p in every if p.endswith(f"/{path}")), "")
        hint = did_you_mean(f"{self.name}:{near}" if near else "")
        if not self.from_root and (self.folder / path).is_file():
            here = quote(shown(self.folder / path))
            fresh = f"{path} is new since then: underlay predict {here}  says who will reach whom"
            hint = "\n".join(filter(None, (fresh, hint)))
        listing = f"`git ls-tree -r --name-only {self.name}` lists its files"
        raise BadInput(f"the revision {self.name} has no {path}", hint=hint or listing)

    def inside(self, folder: Entry) -> list[Entry]:
        """Return the files directly in a folder of the revision."""
        where = ["--", f"{folder.path}/"] if folder.path else []
        return [entry for entry in self._list(*where) if entry.kind == FILE]

    def below(self, path: str) -> list[Entry]:
        """Return all files at or below ``path``, links too; none where it isn't there."""
        found = self._list("--", path)
        if found and found[0].kind == FOLDER:
            return [one for one in self._list("-r", "--", f"{path}/") if one.kind == FILE]
        return [one for one in found if one.kind == FILE]

    def contents(self, entries: Sequence[Entry]) -> dict[str, bytes]:
        """Return what files of the revision hold, by their paths, all asked for at once."""
        asked = "".join(f"{entry.id}\n" for entry in entries).encode()
        words = ["git", "-C", str(self.folder), "cat-file", "--batch"]
        done = run_bytes(words, asked, deadline=DEADLINE)
        if done.returncode:
            raise Infrastructure(
                f"git can't read files of {self.name}",
                detail=tail(done.stderr.decode(errors="replace")),
            )
        found, rest = {}, done.stdout
        for entry in entries:
            head, _, rest = rest.partition(b"\n")
            size = int(head.rpartition(b" ")[2])
            found[entry.path], rest = rest[:size], rest[size + 1 :]
        return found

    def content(self, entry: Entry) -> bytes:
        """Return what a file of the revision holds; raise BadInput where that is no lab file."""
        what = ""
        if entry.mode == LINK:
            what = "a symbolic link"
        elif entry.kind != FILE:
            what = "a folder" if entry.kind == FOLDER else "another repository"
        elif entry.size > MAX_BYTES:
            what = "more than 1 MiB"
        if what:
            raise BadInput(f"{self.name}:{entry.path}: found {what}, expected a lab file")
        words = ["git", "-C", str(self.folder), "cat-file", FILE, entry.id]
        done = run_bytes(words, b"", deadline=DEADLINE)
        if done.returncode:
            raise Infrastructure(
                f"git can't read {self.name}:{entry.path}",
                detail=tail(done.stderr.decode(errors="replace")),
            )
        return done.stdout

    def _refuse_unknown(self) -> None:
        if self.name.startswith("-"):
            raise BadInput(f"no revision begins with a hyphen: {self.name!r}")
        wanted = f"{self.name}^{{tree}}"
        done = self._git("rev-parse", "--verify", "--quiet", wanted)
        if done.returncode == 0:
            return
        said = (done.stderr.strip().splitlines() or [""])[0].removeprefix("fatal: ")
        where = shown(self.folder)
        if "not a git repository" in said:
            hint = "run it inside of the repository, or name a file that is in one"
            raise BadInput(f"{where} is in no git repository, to look for {self.name}", hint=hint)
        if said:
            raise BadInput(f"git can't look for {self.name} in {where}: {said}")
        refs = self._git("for-each-ref", "--format=%(refname:short)").stdout.split()
        hint = did_you_mean(nearest(self.name, [*refs, "HEAD"]))
        raise BadInput(
            f"git knows no revision {self.name!r} in {where}",
            hint=hint or f"`git -C {quote(where)} log --oneline` lists revisions",
        )

    def _list(self, *words: str) -> list[Entry]:
        root = ["--full-tree"] if self.from_root else []
        options = [word for word in words if word == "-r"]
        paths = [word for word in words if word != "-r"]
        done = self._git("ls-tree", "-l", "-z", *root, *options, self.name, *paths)
        if done.returncode and "outside repository" in done.stderr:
            hint = (
                "a path counts from the root of the repository, or from here if it begins with ./"
            )
            raise BadInput(f"{self.name}:{paths[-1]} is outside of the repository", hint=hint)
        if done.returncode:
            raise Infrastructure(f"git can't list {self.name}", detail=tail(done.stderr))
        entries = []
        for line in done.stdout.split("\0"):
            about, tab, path = line.partition("\t")
            if tab:
                mode, kind, number, size = about.split()
                entries.append(Entry(mode, kind, number, int(size) if size != "-" else 0, path))
        return entries

    def _git(self, *words: str) -> subprocess.CompletedProcess[str]:
        arguments = ["git", "-C", str(self.folder), *words]
        try:
            return run(arguments, deadline=DEADLINE, environment=ENVIRONMENT, check=False)
        except Infrastructure as error:
            hint = "apt-get install git, or name a file in place of the revision"
            raise Infrastructure(error.message, hint=hint, detail=error.detail) from error
