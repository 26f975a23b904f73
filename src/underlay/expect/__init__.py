"""Expectations: who should reach whom, why, and which source says so."""

from underlay.expect.ends import PROTOCOLS, End, Pair, Protocol, ends, pairs
from underlay.expect.predict import Expectation, predict
from underlay.expect.rules import Rule, Stop

__all__ = [
    "PROTOCOLS",
    "End",
    "Expectation",
    "Pair",
    "Protocol",
    "Rule",
    "Stop",
    "ends",
    "pairs",
    "predict",
]
