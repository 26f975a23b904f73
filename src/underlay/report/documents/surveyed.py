"""The document about machines that were surveyed."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict

from underlay.observe.survey.model import Answer, Group, Machine, Port, Sender
from underlay.observe.survey.sentences import Sentence


class Verdicts(TypedDict):
    """How many sentences there are of each verdict."""

    works: int
    fails: int
    unknown: int


class Surveyed(TypedDict):
    """What was seen of machines and their segments, and what it comes to in sentences."""

    machines: list[Machine]
    sent: bool
    listened: float | None
    asked: bool
    ports: list[Port]
    groups: list[Group]
    answers: list[Answer]
    senders: list[Sender]
    amiss: list[str]
    frames: int
    seconds: float
    sentences: list[Sentence]
    summary: Verdicts
    drift: NotRequired[list[str]]
    compared: NotRequired[list[str]]
    not_compared: NotRequired[list[str]]
