"""What seats take of a machine: memory, and processor seconds until they are up.

``python -P tests/cluster/seat_figures.py lean|full SEATS`` prints a line of JSON. It is what
docs/workshop-seats.md shows; the trainer's seat is one of the SEATS.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

COURSE = "title: Figures\ndescription: Seats to be measured.\nminutes: 8\nexercises: [one]\n"
EXERCISE = """\
title: One
minutes: 8
setup:
  - {break: parent-down, node: core-02}
stages:
  - title: Back again
    goal: Everybody reaches everybody.
    red: ["web-1a <-> web-2a"]
    hints: [Who is silent?, Look at eth1.]
    solve: [{on: core-02, run: ip link set eth1 up}]
    wrong: [{on: core-01, run: "true"}]
"""
LAB = """\
name: one
nodes: {count: 2, profile: PROFILE}
protocols: [icmp]
segments:
  lan: {subnet: 192.168.70.0/24}
networks:
  web: {driver: macvlan, segment: lan, subnet: 20.1.1.0/24}
containers:
  - {name: web, on: all, count: 2, networks: [web]}
"""


def course_in(folder: Path, profile: str) -> Path:
    """Write the course that is measured: two nodes of ``profile`` with two containers each."""
    one = folder / f"figures-{profile}" / "one"
    one.mkdir(parents=True)
    (one.parent / "course.yml").write_text(COURSE)
    texts = {"exercise.yml": EXERCISE, "lab.yml": LAB.replace("PROFILE", profile)}
    for name, text in {**texts, "story.md": "Silence.\n", "aha.md": "It was down.\n"}.items():
        (one / name).write_text(text)
    return one.parent


def of_sandbox(pid: int) -> tuple[float, float, float]:
    """Return MiB of a sandbox's processes, MiB that its nodes have written, processor seconds.

    A page that several processes share counts for each in part (proc(5), Pss).
    """
    space, pss, seconds = os.readlink(f"/proc/{pid}/ns/pid"), 0, 0
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.readlink(process / "ns/pid_for_children") != space:
                continue
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            # With what has ended: their parents have collected that.
            seconds += sum(map(int, fields[11:15]))
            rows = (process / "smaps_rollup").read_text().splitlines()
            pss += next(int(row.split()[1]) for row in rows if row.startswith("Pss:"))
    written = sum(f.stat().st_blocks for f in Path(f"/proc/{pid}/root/dev/shm").glob("*.cow"))
    return pss / 1024, written / 2048, seconds / os.sysconf("SC_CLK_TCK")


def main(profile: str, count: int) -> None:
    """Bring ``count`` seats up, print what they take, and end them."""
    from underlay.storage import paths
    from underlay.workshop.reading import load_course
    from underlay.workshop.room import down
    from underlay.workshop.seating import up

    with tempfile.TemporaryDirectory() as folder:
        os.environ[paths.HOME] = f"{folder}/home"
        course = load_course(course_in(Path(folder), profile))
        began, before = time.monotonic(), os.getloadavg()[0]
        room, seated = up(course, count - 1, lambda _: None, port=0)
        wall = time.monotonic() - began
        try:
            failed = [each.error.message for each in seated if each.error]
            spent = resource.getrusage(resource.RUSAGE_CHILDREN)
            found = []
            for number in room.numbers:
                identity = room.folder / f"seats/{number:02d}/home/labs/one/sandbox.json"
                found.append(of_sandbox(json.loads(identity.read_text())["pid"]))
            rows = [round(sum(column) / count, 1) for column in zip(*found, strict=True)]
            told = dict(zip(("pss_mib", "written_mib", "seat_seconds"), rows, strict=True))
            own = round((spent.ru_utime + spent.ru_stime) / count, 1)
            print(json.dumps({
                "profile": profile, "seats": count, **told, "command_seconds": own,
                "wall": round(wall, 1), "load": [round(before, 1), round(os.getloadavg()[0], 1)],
                "most_mib": round(max(sum(row[:2]) for row in found), 1), "failed": failed,
            }), flush=True)  # fmt: skip
        finally:
            began = time.monotonic()
            down(room.name, lambda _: None)
            print(json.dumps({"down": round(time.monotonic() - began, 1)}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
