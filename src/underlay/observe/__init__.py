"""Observations: who really reaches whom, measured by one process on each node."""

from underlay.observe.measure import Probes, measure
from underlay.observe.observation import Observation, Observed, Seen, merge, observation_from_json

__all__ = [
    "Observation",
    "Observed",
    "Probes",
    "Seen",
    "measure",
    "merge",
    "observation_from_json",
]
