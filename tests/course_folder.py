"""A small course in a folder, whose parts a test replaces."""

from __future__ import annotations

from pathlib import Path

COURSE = """\
title: Two rooms
description: One course for tests.
minutes: 20
exercises: [left]
"""
EXERCISE = """\
title: Left alone
minutes: 8
setup:
  - {break: parent-down, node: core-02}
stages:
  - title: Back again
    goal: Everybody reaches everybody.
    red: ["web-1* <-> web-2*"]
    hints: [Who is silent?, Look at eth1.]
    solve:
      - {on: core-02, run: "ip link set eth1 up"}
    wrong:
      - {on: core-01, run: "true"}
"""
LAB = """\
name: left
nodes: {count: 2, profile: lean}
protocols: [icmp]
segments:
  lan: {subnet: 192.168.70.0/24}
networks:
  web: {driver: macvlan, segment: lan, subnet: 20.1.1.0/24, runtime: iproute2}
containers:
  - {name: web, on: all, count: 2, networks: [web]}
"""

# The same on one node, for tests of a workshop that have no question about its labs.
ON_ONE_NODE = {
    "lab": LAB.replace("{count: 2, profile", "{count: 1, profile"),
    "exercise": EXERCISE.replace("core-02", "core-01").replace(
        "web-1* <-> web-2*", "web-1a <-> web-1b"
    ),
}


def course_in(
    folder: Path,
    *,
    course: str = COURSE,
    exercise: str = EXERCISE,
    lab: str = LAB,
    story: str = "Silence.\n",
) -> Path:
    """Write a course with one exercise, and return its folder."""
    left = folder / "two-rooms" / "left"
    left.mkdir(parents=True)
    (left.parent / "course.yml").write_text(course)
    for name, text in (
        ("exercise.yml", exercise),
        ("lab.yml", lab),
        ("story.md", story),
        ("aha.md", "It was the link.\n"),
    ):
        (left / name).write_text(text)
    return left.parent
