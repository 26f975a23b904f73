"""Checkouts and the labs that run in them, as their users see them: through the command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cluster.commands import Done, clean_environment, run
from underlay.cluster.access import run_in
from underlay.cluster.state.lab import read_state
from underlay.expect import PROTOCOLS
from underlay.plan import Plan, plan_from_json
from underlay.storage.paths import HOME, root
from underlay.verdict import SAYS_NOTHING

# s; they end what hangs, and prove nothing about speed: where twenty processes share two
# processors, two nodes with Docker took four minutes to boot, and three emulated ones seven.
UP_DEADLINE = 1200.0
CHECK_DEADLINE = 300.0
VERB_DEADLINE = 180.0

# Whether several processes share the tests.
SHARED = "PYTEST_XDIST_WORKER" in os.environ
NOT_COPIED = (
    ".git", ".underlay", ".vagrant", ".venv", ".tox", ".hypothesis", ".*_cache",
)  # fmt: skip
# The labs that tests can ask for: the lab file, and how `up` starts it. First those of which most
# tests are, in the order in which they are up, then all others that are shipped.
FIRST = {
    "coreos": ("labs/coreos.yml",),
    "docker-vlan": ("labs/docker-vlan.yml",),
    "basics-ipvlan": ("labs/basics-ipvlan.yml",),
    "dual-stack": ("labs/dual-stack.yml",),
    "one-of-each": ("labs/one-of-each.yml",),
    "router-segments": ("labs/router-segments.yml",),
    "two-networks": ("labs/two-networks.yml",),
    "filters": ("labs/filters.yml",),
    "slaac": ("labs/slaac.yml",),
    "seen": ("labs/seen.yml",),
    "seen-l3": ("labs/seen-l3.yml",),
    "small-mtu": ("labs/small-mtu.yml",),
    "overlay-vxlan": ("labs/overlay-vxlan.yml",),
    "seen-overlay": ("labs/seen-overlay.yml",),
    "podman-macvlan": ("labs/podman-macvlan.yml",),
    "podman-dhcp": ("labs/podman-dhcp.yml",),
    "seed-as-written": ("labs/broken/seed-as-written.yml", "--force"),
}
OTHERS = {path.stem: (f"labs/{path.name}",) for path in sorted((root() / "labs").glob("*.yml"))}
LABS: dict[str, tuple[str, ...]] = FIRST | {n: f for n, f in OTHERS.items() if n not in FIRST}

# (source, destination, protocol); over IPv6 the protocol has a 6 behind it
Cell = tuple[str, str, str]


@dataclass(frozen=True)
class Checkout:
    """A checkout of Underlay, and the labs that it runs."""

    root: Path

    def underlay(
        self,
        *words: str,
        deadline: float = VERB_DEADLINE,
        text: str = "",
        folder: Path | None = None,
    ) -> Done:
        """Run the checkout's ``underlay`` with ``words``, in ``folder`` or the checkout itself."""
        program = str(self.root / "underlay")
        return run([program, *words], folder=folder or self.root, deadline=deadline, text=text)

    def start(
        self,
        *words: str,
        environment: Mapping[str, str] | None = None,
        stdout: int = subprocess.DEVNULL,
        stderr: int = subprocess.DEVNULL,
    ) -> subprocess.Popen[str]:
        """Start the checkout's ``underlay`` in a process group of its own, to be interrupted.

        ``environment`` is added to ours. What it prints is dropped, or ``stdout`` and ``stderr``
        are pipes for it.
        """
        return subprocess.Popen(
            [str(self.root / "underlay"), *words],
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            env=clean_environment() | dict(environment or {}),
            text=True,
        )

    def vagrant(
        self,
        *words: str,
        environment: Mapping[str, str] | None = None,
        deadline: float = UP_DEADLINE,
    ) -> Done:
        """Run Vagrant by hand in the checkout."""
        command = ["vagrant", *words]
        return run(command, folder=self.root, deadline=deadline, environment=environment)

    def tool(self, name: str) -> str:
        """Return the path of a program of the checkout's virtual environment."""
        return str(self.root / ".venv" / "bin" / name)

    def copied(self, root: Path) -> Checkout:
        """Copy the checkout to ``root``, with the same virtual environment but labs of its own."""
        shutil.copytree(self.root, root, ignore=shutil.ignore_patterns(*NOT_COPIED), symlinks=True)
        (root / ".venv").mkdir()
        for part in (self.root / ".venv").iterdir():
            (root / ".venv" / part.name).symlink_to(part)
        # The launcher would make another one where the stamp names another checkout.
        stamp = (self.root / ".venv" / "stamp").read_text()
        (root / ".venv" / "stamp").unlink()
        (root / ".venv" / "stamp").write_text(stamp.replace(str(self.root), str(root)))
        return Checkout(root)

    @contextmanager
    def copied_apart(self) -> Iterator[Checkout]:
        """Copy the checkout to a folder of its own, and end whatever it still runs.

        Where a run is interrupted, pytest removes its own folders before it ends fixtures.
        """
        with tempfile.TemporaryDirectory(prefix="underlay-copy-") as folder:
            checkout = self.copied(Path(folder) / "underlay")
            try:
                yield checkout
            finally:
                checkout.underlay("down", "--all")

    def state(self, lab: str) -> Path:
        """Return the state folder of the lab called ``lab``."""
        return self.root / ".underlay" / "labs" / lab


@dataclass(frozen=True)
class Matrix:
    """What ``underlay check --json`` said, and with which exit code."""

    done: Done
    summary: dict[str, int]
    cells: dict[Cell, dict[str, Any]]

    @property
    def differing(self) -> set[Cell]:
        """The cells of which something else came than expected.

        Silence that says nothing, as its source reaches nobody or sends nothing, isn't among them.
        """
        return {
            name
            for name, cell in self.cells.items()
            if cell["observed"] != cell["expected"]
            if cell["observed"] != "not_measured" or cell["reason"] not in SAYS_NOTHING
        }

    def prove_green(self) -> None:
        """Fail unless every cell was measured and is as expected."""
        wrong = [str(self.cells[name]) for name in sorted(self.differing)]
        said = "\n".join([f"exit {self.done.code}, {self.summary}", self.done.err, *wrong[:20]])
        assert not wrong, said
        assert self.summary["cells"] == self.summary["as_expected"] == len(self.cells) > 0, said
        assert self.summary["differs"] == self.summary["not_measured"] == 0, said
        assert self.done.code == 0, said


def label(cell: Mapping[str, Any]) -> str:
    """Return how a cell was asked: its protocol, with a 6 behind it for IPv6."""
    return f"{cell['protocol']}6" if cell.get("family") == 6 else str(cell["protocol"])


@dataclass(frozen=True)
class Lab:
    """A lab of a checkout. ``file`` is its lab file; the lab need not be up."""

    checkout: Checkout
    name: str
    file: Path

    def up(self, *options: str) -> Done:
        """Start the lab."""
        return self.checkout.underlay("up", str(self.file), *options, deadline=UP_DEADLINE)

    def down(self) -> Done:
        """Stop the lab."""
        return self.verb("down")

    def verb(self, verb: str, *words: str, deadline: float = VERB_DEADLINE, text: str = "") -> Done:
        """Run a verb on this lab by its name."""
        words = ("--lab", self.name, *words)
        return self.checkout.underlay(verb, *words, deadline=deadline, text=text)

    def execute(self, target: str, *command: str, text: str = "") -> Done:
        """Run ``command`` as root in a node, a container or the switch."""
        return self.verb("exec", target, "--", *command, text=text)

    def shell(self, target: str, script: str, *arguments: str) -> str:
        """Run a shell script as root in ``target``, fail where it fails, return what it says.

        It is the test's own hand, and does what `exec` does without an interpreter for each script,
        which takes longer than most. `exec` has tests of its own, and `execute` is for them.
        """
        words = ["sh", "-euc", script, "sh", *arguments]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(HOME, str(self.checkout.root / ".underlay"))
            state = read_state(self.name)
            assert state is not None, f"{self.name} is not up"
            done = run_in(state, target, words, deadline=VERB_DEADLINE)
        assert done.returncode == 0, f"{target}: {script}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def status(self) -> dict[str, Any]:
        """Return what ``status --json`` says."""
        done = self.verb("status", "--json")
        assert done.code == 0, str(done)
        document: dict[str, Any] = done.document()
        return document

    def check(self) -> Matrix:
        """Measure the lab with ``check --json``, whatever comes of it."""
        done = self.verb("check", "--json", deadline=CHECK_DEADLINE)
        document = done.document()
        assert "cells" in document, str(done)
        cells = {
            (cell["source"], cell["destination"], label(cell)): cell for cell in document["cells"]
        }
        return Matrix(done, document["summary"], cells)

    @contextmanager
    def broken(
        self, target: str, fault: str, cure: str, *arguments: str, prove_cured: bool = True
    ) -> Iterator[Matrix]:
        """Run the script ``fault`` in ``target`` and hand out what check then measures.

        Whatever the test makes of it, the script ``cure`` is run afterwards, and
        check must be green again. Both scripts get ``arguments``. That can be left to the next
        check, if that compares every cell.
        """
        self.shell(target, fault, *arguments)
        try:
            yield self.check()
        finally:
            self.shell(target, cure, *arguments)
            if prove_cured:
                self.check().prove_green()

    @property
    def state(self) -> Path:
        """The lab's state folder."""
        return self.checkout.state(self.name)

    @property
    def sandbox(self) -> dict[str, Any]:
        """The identity of the sandbox that the lab's state records."""
        identity: dict[str, Any] = json.loads((self.state / "sandbox.json").read_text())
        return identity

    @property
    def plan(self) -> Plan:
        """The plan that the lab was started with."""
        return plan_from_json((self.state / "plan.json").read_text())


@contextmanager
def written(checkout: Checkout, folder: Path, name: str, text: str) -> Iterator[Lab]:
    """Write the lab file ``text`` to ``folder``, yield its lab, and end that if it is up then."""
    file = folder / f"{name}.yml"
    file.write_text(text)
    lab = Lab(checkout, name, file)
    try:
        yield lab
    finally:
        if lab.state.exists():
            lab.down()


class Cast:
    """Who is in a lab, from ``status --json`` alone: no prediction, no plan."""

    def __init__(self, status: Mapping[str, Any]) -> None:
        self.containers = {row["name"]: row for row in status["containers"]}
        self.nodes = [node["name"] for node in status["nodes"]]

    def host(self, end: str) -> str:
        """Return the node that an end of a cell is on, or is."""
        return self.containers[end]["node"] if end in self.containers else end

    def healthy(self, network: str) -> set[Cell]:
        """Return the cells that macvlan or ipvlan l2 connects in ``network`` of a healthy lab.

        Those are all its containers among each other, and each of them with the
        nodes that it is not on.
        """
        members = [name for name, row in self.containers.items() if row["network"] == network]
        pairs = {(one, other) for one in members for other in members if one != other}
        for member in members:
            for node in self.nodes:
                if node != self.host(member):
                    pairs |= {(member, node), (node, member)}
        return {(*pair, protocol) for pair in pairs for protocol in PROTOCOLS}
