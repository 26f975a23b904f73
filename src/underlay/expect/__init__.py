"""Expectations: who should reach whom, why, and which source says so."""

from underlay.drivers.rule import Rule, Stop
from underlay.expect.ends import (
    FAMILIES,
    PROTOCOLS,
    Check,
    End,
    Family,
    Pair,
    Protocol,
    asked_as,
    ends,
    machines,
    pairs,
    protocols,
    split_protocol,
)
from underlay.expect.expectation import Expectation, Value
from underlay.expect.predict import Prediction, predict

__all__ = [
    "FAMILIES",
    "PROTOCOLS",
    "Check",
    "End",
    "Expectation",
    "Family",
    "Pair",
    "Prediction",
    "Protocol",
    "Rule",
    "Stop",
    "Value",
    "asked_as",
    "ends",
    "machines",
    "pairs",
    "predict",
    "protocols",
    "split_protocol",
]
