"""A course for tests: one exercise of two stages on one lean node with three containers."""

from __future__ import annotations

from pathlib import Path

COURSE = """\
title: One room
description: One of three is silent.
minutes: 60
exercises: [{names}]
"""
LAB = """\
name: {name}
nodes: {{count: 1, profile: lean}}
protocols: [icmp]
segments:
  lan: {{subnet: 192.168.70.0/24}}
networks:
  web: {{driver: macvlan, segment: lan, subnet: 20.1.1.0/24, runtime: iproute2}}
containers:
  - {{name: web, on: all, count: 3, networks: [web]}}
"""
EXERCISE = """\
title: One of three
minutes: 5
stages:
  - title: Heard again
    goal: All three hear each other.
    setup:
      - {on: web-1b, run: "iptables -A INPUT -j DROP"}
    red: ["web-1b <-> web-1a, web-1c"]
    hints: [Who is silent?, Look at what it lets in.]
    solve:
      - {on: web-1b, run: "iptables -D INPUT -j DROP"}
    wrong:
      - {on: core-01, run: "ip link set eth1 down; ip link set eth1 up"}
  - title: Whose card?
    goal: Look at the card below.
    answer:
      question: Which MAC address has eth1 of core-01?
      on: core-01
      run: cat /sys/class/net/eth1/address
    wrong_answer: "02:00:00:00:00:01"
    hints: [It is the parent., ip link show eth1]
guards:
  - not: web-1b with another address
    on: web-1b
    run: ip -4 -br address show dev eth0 | grep -q '20[.]1[.]1[.]'
    says: web-1b keeps its address.
    breach:
      - {on: web-1b, run: "ip address flush dev eth0; ip address add 20.1.2.9/24 dev eth0"}
"""


def write_course(folder: Path, exercises: dict[str, str]) -> Path:
    """Write a course with the ``exercises``, by name; return its folder."""
    course = folder / "one-room"
    for name, text in exercises.items():
        inside = course / name
        inside.mkdir(parents=True)
        (inside / "exercise.yml").write_text(text)
        (inside / "lab.yml").write_text(LAB.format(name=name))
        (inside / "story.md").write_text("Who is silent?\n")
        (inside / "aha.md").write_text("Its own filter dropped all.\n")
    (course / "course.yml").write_text(COURSE.format(names=", ".join(exercises)))
    return course
