"""A lab that is up, as tests see it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import pytest

from underlay.errors import UnderlayError, did_you_mean, listed, nearest
from underlay.proof.lab import prove
from underlay.pytest_plugin.matrix import Matrix

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testinfra.host import Host

    from underlay.cluster.state.lab import LabState
    from underlay.expect import Prediction
    from underlay.pytest_plugin.cells import Asked

# Runtimes whose containers have a file system of their own; the others' have the node's.
WITH_FILES = ("docker", "podman")
NO_TESTINFRA = "pip install 'underlay[pytest]'  brings testinfra, which `node` and `container` need"


class Cluster:
    """A lab that is up. ``name`` is the lab's, ``folder`` holds its state and its ssh_config."""

    def __init__(
        self,
        state: LabState,
        prediction: Prediction,
        note: Callable[[Asked], None],
        tell: Callable[[str], None],
        keep_by: str = "",
    ) -> None:
        """``keep_by`` is how the lab is left up, where it is ended with the tests; else empty."""
        self._keep_by = keep_by
        self._state, self._prediction = state, prediction
        self._note, self._tell = note, tell
        self._hosts: dict[tuple[str, bool], Host] = {}

    def __repr__(self) -> str:
        """Return what a failed assertion shows of it."""
        return f"<lab {self.name}>"

    @property
    def name(self) -> str:
        """The lab's name."""
        return self._state.lab

    @property
    def folder(self) -> Path:
        """The lab's state folder; ``ssh_config`` in it leads to the nodes."""
        return self._state.folder

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of the nodes."""
        return tuple(node.name for node in self._prediction.plan.nodes)

    @property
    def containers(self) -> tuple[str, ...]:
        """The names of the containers."""
        return tuple(one.name for one in self._prediction.plan.containers)

    def node(self, name: str) -> Host:
        """Return testinfra's host for a node, as root. A name that no node has fails the test."""
        __tracebackhide__ = True
        self._refuse_unknown("node", name, self.nodes)
        return self._host(name, own_files=False)

    def container(self, name: str, *, tools: Literal["own", "node"] = "own") -> Host:
        """Return testinfra's host for a container, as root in its namespaces.

        Where the container has a file system of its own, commands and files are those in it; with
        ``tools="node"`` they are the node's, as in `underlay exec`. A name that no container has
        fails the test.
        """
        __tracebackhide__ = True
        self._refuse_unknown("container", name, self.containers)
        runtime = next(c.runtime for c in self._prediction.plan.containers if c.name == name)
        return self._host(name, own_files=tools == "own" and runtime in WITH_FILES)

    def measure(self) -> Matrix:
        """Measure the lab as it is now, and return its matrix; for tests that change something.

        Causes are looked for where a cell isn't as predicted. A lab that can't be measured fails
        the test.
        """
        __tracebackhide__ = True
        try:
            proof = prove(self._state, self._tell)
        except UnderlayError as error:
            words = f"the lab {self.name} can't be measured: {error.message}"
            raise pytest.fail.Exception(words, pytrace=False) from None
        if self._keep_by:
            told = replace(
                proof.explanation, lab=self.name, file=self._state.file, keep_by=self._keep_by
            )
            proof = replace(proof, explanation=told)
        return Matrix(self._prediction, proof, self._note)

    def _host(self, name: str, *, own_files: bool) -> Host:
        try:
            from underlay.pytest_plugin.hosts import host
        except ModuleNotFoundError as error:
            if error.name != "testinfra":
                raise
            raise pytest.fail.Exception(NO_TESTINFRA, pytrace=False) from None
        key = (name, own_files)
        if key not in self._hosts:
            self._hosts[key] = host(self._state, name, own_files=own_files)
        return self._hosts[key]

    def _refuse_unknown(self, what: str, name: str, known: tuple[str, ...]) -> None:
        __tracebackhide__ = True
        if name not in known:
            hint = did_you_mean(nearest(name, known)) or f"{what}s: {listed(known)}"
            pytest.fail(f"the lab {self.name} has no {what} {name!r}: {hint}")
