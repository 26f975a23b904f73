"""How fast packets are: the drivers side by side, between two nodes and within one.

Everything is measured in containers by programs of their node: iperf3 for throughput,
ping for latency, TCP connections that are opened and closed at once. Processor time is
what the nodes themselves count in /proc/stat, so nothing here depends on what runs them.
"""

from __future__ import annotations

import json
import re
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from underlay.cluster.process import tail
from underlay.cluster.providers import DEFAULT, provider
from underlay.errors import Infrastructure, UnderlayError
from underlay.proof.bench import labs
from underlay.proof.bench.bench import LONGEST, QUICK, machine, reason
from underlay.proof.bench.labs import Stopwatch
from underlay.storage import temporary

if TYPE_CHECKING:
    from collections.abc import Callable

# What stands in the lab file's `networks` for each row of the table.
DRIVERS = {
    "macvlan": "driver: macvlan",
    "ipvlan l2": "driver: ipvlan",
    "ipvlan l3": "driver: ipvlan, mode: l3, routed: true",
    "bridge": "driver: bridge",
    "vxlan": "driver: vxlan, vni: 100",
}
PLACES = {"between nodes": "many-2a", "within a node": "many-1b"}
SOURCE = "many-1a"
PORT = 5201
HERTZ = 100  # what /proc/stat counts in: USER_HZ, 100 on every architecture that nodes have

# $1 is the other end's address, $2 the seconds. The first and last line are the node's
# processor time; the server may come a moment later than its client.
CLIENT = """
head -n 1 /proc/stat
tries=0
until said=$(iperf3 -J -c "$1" -t "$2" 2>&1); do
    tries=$((tries + 1)); [ $tries -lt 50 ] || { echo "$said" >&2; exit 1; }
    sleep 0.1
done
head -n 1 /proc/stat
echo "$said"
"""
SERVER = """
head -n 1 /proc/stat
timeout 120 iperf3 -s -1 >/dev/null || exit 1
head -n 1 /proc/stat
"""
LISTEN = """
import socket, sys, time
with socket.create_server(("", int(sys.argv[1])), backlog=1024) as server:
    server.settimeout(float(sys.argv[2]) + 10)
    end = time.monotonic() + float(sys.argv[2]) + 10
    while time.monotonic() < end:
        connection, _ = server.accept()
        with connection:
            if connection.recv(1):
                break
"""
CONNECT = """
import socket, sys, time
there, count, until = (sys.argv[1], int(sys.argv[2])), 0, time.monotonic() + 10
def connect():
    return socket.create_connection(there, timeout=5)
while True:
    try:
        connect().close()
        break
    except OSError:
        if time.monotonic() > until:
            raise
        time.sleep(0.1)
began = time.monotonic()
while time.monotonic() - began < float(sys.argv[3]):
    connect().close()
    count += 1
print(count / (time.monotonic() - began))
with connect() as last:
    last.send(b"x")
"""


def dataplane(
    say: Callable[[str], None], *, provider_name: str = DEFAULT, quick: bool = False
) -> dict[str, Any]:
    """Measure every driver in both places and return the document about it.

    Raises BadInput where there is no such provider.
    """
    by = provider(provider_name)
    profile = "lean" if by.lean_nodes else "full"
    results: list[dict[str, Any]] = []
    not_run: list[dict[str, str]] = []
    facts, began = machine(), time.monotonic()
    with temporary.folder("bench") as folder:
        watch = Stopwatch(folder, QUICK if quick else LONGEST, say, quick=quick)
        for driver, words in DRIVERS.items():
            try:
                file = lab_file(watch.folder, driver, words, profile)
                with watch.lab(file, "--provider", provider_name) as (lab, _):
                    for where, destination in PLACES.items():
                        try:
                            row = _Pair(watch, lab, SOURCE, destination).measure()
                        except UnderlayError as error:
                            failed = f"{driver}, {where}"
                            not_run.append({"name": failed, "reason": reason(error)})
                        else:
                            results.append({"driver": driver, "where": where, **row})
            except UnderlayError as error:
                not_run.append({"name": driver, "reason": reason(error)})
    facts |= {"seconds": round(time.monotonic() - began, 1), "provider": provider_name}
    return {"machine": facts, "results": results, "not_run": not_run, "caveat": by.caveat}


def lab_file(folder: Path, driver: str, words: str, profile: str) -> Path:
    """Write the lab of one driver: two nodes with two containers each in one network."""
    name = driver.replace(" ", "-")
    file = labs.many(name, folder, nodes=2, count=2, profile=profile, protocols="icmp")
    file.write_text(file.read_text().replace("driver: macvlan", words))
    return file


class _Pair:
    """Two containers of a lab that is up."""

    def __init__(self, watch: Stopwatch, lab: str, source: str, destination: str) -> None:
        self._watch, self._lab = watch, lab
        self._source, self._destination = source, destination
        rows = watch.run("status", "--lab", lab, "--json").document()["containers"]
        found = {row["name"]: row for row in rows}
        self._address = found[destination]["address"]
        self._one_node = found[source]["node"] == found[destination]["node"]
        self._seconds = 2 if watch.quick else 5

    def measure(self) -> dict[str, Any]:
        """Return the row of this pair; raise Infrastructure where a part of it can't be had."""
        try:
            return {**self._throughput(), "latency_ms": self._latency(), **self._connections()}
        except (ValueError, LookupError, ZeroDivisionError) as error:
            said = repr(error)
            raise Infrastructure("what a program said isn't a figure", detail=said) from error

    def _throughput(self) -> dict[str, float]:
        served: list[str] = []
        with _Beside(lambda: served.append(self._in(self._destination, "sh", "-c", SERVER))):
            said = self._in(
                self._source, "sh", "-c", CLIENT, "sh", self._address, str(self._seconds)
            )
        before, after, text = said.split("\n", 2)
        ended = json.loads(text)["end"]["sum_received"]
        gigabits = ended["bytes"] * 8 / 1e9
        busy = busy_seconds(after) - busy_seconds(before)
        if not self._one_node:
            first, last = served[0].strip().split("\n")
            busy += busy_seconds(last) - busy_seconds(first)
        return {
            "throughput_gbit_s": round(ended["bits_per_second"] / 1e9, 3),
            "cpu_s_per_gbit": round(busy / gigabits, 3),
        }

    def _latency(self) -> dict[str, float]:
        count = 200 if self._watch.quick else 1000
        words = ["ping", "-n", "-c", str(count), "-i", "0.002", "-w", "20", self._address]
        return distribution(self._in(self._source, *words))

    def _connections(self) -> dict[str, float]:
        listen = ["python3", "-c", LISTEN, str(PORT), str(self._seconds)]
        connect = ["python3", "-c", CONNECT, self._address, str(PORT), str(self._seconds)]
        with _Beside(lambda: self._in(self._destination, *listen)):
            return {"connections_per_s": round(float(self._in(self._source, *connect)), 1)}

    def _in(self, container: str, *command: str) -> str:
        return self._watch.run("exec", "--lab", self._lab, container, "--", *command).out


class _Beside:
    """Does something beside the block, and waits for its end; what it raises is raised there."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._failure: UnderlayError | None = None
        self._thread = threading.Thread(target=self._run, args=(work,))

    def _run(self, work: Callable[[], object]) -> None:
        try:
            work()
        except UnderlayError as error:
            self._failure = error

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._thread.join()
        if self._failure is not None and error is None:
            raise self._failure


def busy_seconds(line: str) -> float:
    """Return what a node's processors have worked, from the first line of /proc/stat (proc(5))."""
    user, nice, system, _idle, _iowait, irq, softirq, *_ = map(int, line.split()[1:])
    return (user + nice + system + irq + softirq) / HERTZ


def distribution(said: str) -> dict[str, float]:
    """Return round trips' percentiles in milliseconds, and the lost share, from ping's words."""
    times = sorted(float(found) for found in re.findall(r"time=([\d.]+) ms", said))
    lost = re.search(r"([\d.]+)% packet loss", said)
    if not times or lost is None:
        raise Infrastructure("ping measured nothing", detail=tail(said))
    picked = {f"p{part}": times[min(len(times) * part // 100, len(times) - 1)]
              for part in (50, 90, 99)}  # fmt: skip
    return {**picked, "max": times[-1], "lost": float(lost[1]) / 100}
