"""From hosts' own files to a lab file that says the same networks in Underlay's words.

``carry`` returns the lab's keys with the place that each stems from, what had to be assumed,
and what a lab file can't say. Nothing here reads or writes a file.
"""

from underlay.fleet.carried.make import carry
from underlay.fleet.carried.short import short_text
from underlay.fleet.carried.text import lab_text
from underlay.fleet.carried.values import Assumption, Carried, LeftOut

__all__ = ["Assumption", "Carried", "LeftOut", "carry", "lab_text", "short_text"]
