"""The tools that are compared, each run as its users run it.

What a tool says of a cell is *fine*, *broken*, or *no word*: it ended with an error that says that
it couldn't tell, or was still at it past ``DEADLINE``, which is ours. Of a word *broken* is kept
whether the tool's own request could be made at all.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from testinfra.host import Host

from cluster.running import Lab
from lies.questions import Cell, Question
from underlay.cluster import ssh
from underlay.cluster.access import run_in
from underlay.cluster.state.lab import LabState
from underlay.errors import EXIT_DIFFERS, EXIT_OK, Infrastructure
from underlay.proof.lab import RunningLab, measure_and_judge

WRITTEN = Path(__file__).parent / "as-users-write-them"
FOLDER = "/run/lies"
PORT = 8080
DEADLINE = 120.0  # s that a tool has for the whole lab
FINE, BROKEN, NO_WORD = "fine", "broken", "no word"


@dataclass
class Said:
    """What one run of a tool said: of which cells what, and of which it couldn't ask."""

    seconds: float = 0.0
    cells: dict[Cell, str] = field(default_factory=dict)
    not_asked: set[Cell] = field(default_factory=set)
    beyond: int = 0
    whole: str = ""

    @property
    def verdict(self) -> str:
        """What its user reads at the end: one failure is one."""
        words = set(self.cells.values())
        return self.whole or next((w for w in (BROKEN, NO_WORD) if w in words), FINE)


@dataclass
class Bench:
    """A running lab, what is asked of it, testinfra's hosts, and what serves on each node."""

    lab: Lab
    state: LabState
    hosts: dict[str, Host]
    asked: list[Question]
    serving: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)


Tool = Callable[[Bench], Said]


def timed(tool: Tool, bench: Bench) -> Said:
    """Run a tool and say how long it took."""
    began = time.monotonic()
    said = tool(bench)
    said.seconds = said.seconds or round(time.monotonic() - began, 2)
    return said


def _at_every_node(bench: Bench, work: Callable[[str], None], stop: threading.Event) -> None:
    """Do ``work`` for each node at once, for at most ``DEADLINE`` seconds."""
    names = [node.name for node in bench.state.plan().nodes]
    threads = [threading.Thread(target=work, args=(name,), daemon=True) for name in names]
    for thread in threads:
        thread.start()
    end = time.monotonic() + DEADLINE
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    stop.set()


# --- ping, as testinfra's users do -------------------------------------------------------------


def ping(bench: Bench) -> Said:
    """Ask testinfra's ``host.addr(ADDRESS, NAMESPACE).is_reachable`` for each pair."""
    said = Said(cells={(*q.pair[:2], "icmp", q.family): NO_WORD for q in bench.asked})
    stop = threading.Event()

    def work(node: str) -> None:
        host = bench.hosts[node]
        for question in bench.asked:
            if question.source.node != node or stop.is_set():
                continue
            cell = (*question.pair[:2], "icmp", question.family)
            namespace = question.source.space if question.source.kind == "container" else None
            heard: list[str] = []
            run = host.run

            def noting(*words: Any, run: Any = run, heard: list[str] = heard, **more: Any) -> Any:
                done = run(*words, **more)
                heard.append(done.stdout + done.stderr)
                return done

            host.run = noting  # type: ignore[method-assign]
            try:
                fine = host.addr(question.address, namespace).is_reachable
            except (AssertionError, RuntimeError, OSError):
                # ping said neither yes nor no, or ssh failed: its user sees an error.
                continue
            finally:
                host.run = run  # type: ignore[method-assign]
            if stop.is_set():
                return
            said.cells[cell] = FINE if fine else BROKEN
            # is_reachable says no as well where ping never ran: then nothing begins with its name.
            if not fine and not heard[-1].upper().startswith("PING"):
                said.not_asked.add(cell)

    _at_every_node(bench, work, stop)
    said.cells = dict(said.cells)
    return said


# --- goss ---------------------------------------------------------------------------------------


def goss_file(node: str, asked: list[Question]) -> dict[str, Any]:
    """Return a node's goss file: TCP to others' containers, a page of one, pings of its own."""
    document: dict[str, Any] = {"addr": {}, "http": {}, "command": {}}
    first: set[tuple[str, str, int]] = set()
    for question in asked:
        if question.source.node != node:
            continue
        at = f"[{question.address}]" if question.family == 6 else question.address
        if question.source.kind == "node":
            document["addr"][f"tcp://{at}:{PORT}"] = {"reachable": True}
            one = (question.destination.node, question.destination.network, question.family)
            if one not in first:
                first.add(one)
                document["http"][f"http://{at}:{PORT}/"] = {"status": 200}
        else:
            name = f"{question.source.name} pings {question.destination.name}"
            name += " over IPv6" if question.family == 6 else ""
            words = f"ip netns exec {question.source.space} ping -c 1 -W 1 {question.address}"
            document["command"][name] = {"exec": words, "exit-status": 0}
    return {kind: tests for kind, tests in document.items() if tests}


def goss_cells(node: str, asked: list[Question]) -> dict[tuple[str, str], Cell]:
    """Return which cell each test of a node's goss file is about, by its kind and its name."""
    found: dict[tuple[str, str], Cell] = {}
    for question in asked:
        one = goss_file(node, [question])
        word = "icmp" if "command" in one else "tcp"
        for kind, tests in one.items():
            for name in tests:
                found[kind.capitalize(), name] = (*question.pair[:2], word, question.family)
    return found


def put_goss_files(bench: Bench) -> None:
    """Write each node its goss file; tests/unit/test_lies.py keeps them in the repository."""
    for node in bench.state.plan().nodes:
        put(bench.state, node.name, {"goss.yaml": goss_text(node.name, bench.asked).encode()})


def goss_text(node: str, asked: list[Question]) -> str:
    """Return a node's goss file as text."""
    return yaml.safe_dump(goss_file(node, asked), sort_keys=False, width=200)


def goss(bench: Bench) -> Said:
    """Run ``goss validate`` on each node, with goss's own time limits and without a retry."""
    said, stop = Said(), threading.Event()
    by_node = {n.name: goss_cells(n.name, bench.asked) for n in bench.state.plan().nodes}
    for found in by_node.values():
        said.cells |= dict.fromkeys(found.values(), NO_WORD)

    def work(node: str) -> None:
        words = [f"{FOLDER}/goss", "-g", f"{FOLDER}/goss.yaml", "validate", "--format", "json"]
        with suppress(Infrastructure, ValueError):
            done = run_in(bench.state, node, words, deadline=DEADLINE)
            for row in json.loads(done.stdout[done.stdout.index("{") :])["results"]:
                cell = by_node[node].get((row["resource-type"], row["resource-id"]))
                if cell is None or stop.is_set():
                    continue
                word = FINE if row["successful"] else BROKEN
                # A test with one failed property has failed.
                said.cells[cell] = BROKEN if BROKEN in (word, said.cells[cell]) else word

    _at_every_node(bench, work, stop)
    return said


# --- the star -----------------------------------------------------------------------------------


def star_clients(asked: list[Question]) -> list[Question]:
    """Return who asks whom: in each network its first container has the server, and each node
    has one client, as rook's validation has a daemon set of them.
    """
    servers: dict[str, str] = {}
    clients: dict[tuple[str, str], Question] = {}
    for question in asked:
        if question.source.kind == "container":
            servers.setdefault(question.source.network, question.source.name)
    for question in asked:
        network = question.source.network
        if question.family == 4 and network and question.destination.name == servers[network]:
            clients.setdefault((question.source.node, network), question)
    return list(clients.values())


def star(bench: Bench) -> Said:
    """Let each client curl its network's server until it is ready or isn't."""
    clients = star_clients(bench.asked)
    said, stop = Said(), threading.Event()
    cell_of = {q.source.space: (*q.pair[:2], "tcp", q.family) for q in clients}
    said.cells = dict.fromkeys(cell_of.values(), NO_WORD)

    def work(node: str) -> None:
        own = [q for q in clients if q.source.node == node]
        script = "PATH=$PATH:/run/lies\n" + "".join(
            f"sh {FOLDER}/curl-client.sh {q.source.space} {q.address} &\n" for q in own
        )
        with suppress(Infrastructure):
            done = run_in(bench.state, node, ["sh", "-c", script + "wait"], deadline=DEADLINE)
            for line in () if stop.is_set() else done.stdout.splitlines():
                name, _, word = line.partition(" ")
                said.cells[cell_of[name]] = FINE if word == "ready" else BROKEN

    _at_every_node(bench, work, stop)
    return said


# --- Underlay -----------------------------------------------------------------------------------


def check(bench: Bench) -> Said:
    """Measure and judge as ``underlay check`` does; a cell that it couldn't measure has no word.

    The command's interpreter starts before that, and where cells differ it looks for causes after
    it: neither changes what it says of a cell.
    """
    said = Said()
    wanted = {q.pair for q in bench.asked}
    words = {"reachable": FINE, "unreachable": BROKEN, "not_measured": NO_WORD}
    try:
        verdict = measure_and_judge(RunningLab(bench.state), lambda _: None)
    except Infrastructure:
        said.whole = NO_WORD
        return said
    for cell in verdict.cells:
        pair = (cell.source, cell.destination, int(cell.family))
        if cell.kind == "reach" and pair in wanted:
            said.cells[cell.source, cell.destination, cell.protocol, pair[2]] = words[
                str(cell.observed)
            ]
        elif cell.differs:
            said.beyond += 1
    said.whole = {EXIT_OK: FINE, EXIT_DIFFERS: BROKEN}.get(verdict.exit_code, NO_WORD)
    return said


TOOLS: dict[str, Tool] = {"ping": ping, "goss": goss, "star": star, "underlay": check}


# --- getting the tools onto the nodes -----------------------------------------------------------


def put(state: LabState, node: str, files: Mapping[str, bytes]) -> None:
    """Write files that can be run to a folder of a node that is gone when it ends."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755
            archive.addfile(entry, io.BytesIO(data))
    words = ["sudo", "-n", "sh", "-c", f"mkdir -p {FOLDER} && tar -x -C {FOLDER}"]
    command = ssh.command(state.folder / "ssh_config", node, words)
    subprocess.run(command, input=packed.getvalue(), check=True, capture_output=True, timeout=120)


def curl_files() -> dict[str, bytes]:
    """Return this machine's curl with its libraries: the nodes are of the same release."""
    curl = shutil.which("curl") or ""
    told = subprocess.run(["ldd", curl], check=True, capture_output=True, text=True, timeout=30)
    files = [Path(word) for word in told.stdout.split() if word.startswith("/")]
    loader = next(file.name for file in files if file.name.startswith("ld-"))
    words = f"{FOLDER}/{loader} --library-path {FOLDER} {FOLDER}/curl.bin"
    script = f'#!/bin/sh\nexec {words} "$@"\n'
    found = {file.name: file.read_bytes() for file in files}
    return {**found, "curl.bin": Path(curl).read_bytes(), "curl": script.encode()}


def debian_goss(cache: Path) -> tuple[Path, str]:
    """Return Debian's goss and its version: the installed one, or its package's, fetched by apt."""
    cache.mkdir(parents=True, exist_ok=True)
    if not list(cache.glob("goss_*.deb")):
        words = ["apt-get", "download", "goss"]
        subprocess.run(words, cwd=cache, check=True, capture_output=True, timeout=300)
    package = next(cache.glob("goss_*.deb"))
    subprocess.run(["dpkg-deb", "-x", package.name, "x"], cwd=cache, check=True, timeout=60)
    told = subprocess.run(
        ["dpkg-deb", "-f", package.name, "Version"],
        cwd=cache,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return cache / "x" / "usr" / "bin" / "goss", told.stdout.strip()


def versions(bench: Bench, goss_version: str) -> dict[str, str]:
    """Return the versions of all tools, as they say them themselves."""
    node = next(iter(bench.hosts.values()))
    curl = subprocess.run(["curl", "--version"], capture_output=True, text=True, timeout=30).stdout
    return {
        "testinfra": version("pytest-testinfra"),
        "ping": node.run("ping -V").stdout.partition("\n")[0],
        "goss": f"Debian {goss_version}",
        "curl": " ".join(curl.split()[:2]),
        "busybox": " ".join(node.run("busybox").stdout.split()[:2]),
        "python": node.run("python3 --version").stdout.strip(),
        "kernel of the nodes": node.run("uname -r").stdout.strip(),
    }
