"""What changes between two lab files: their predictions compared, and the keys that differ.

No node is needed. ``read_pairs`` finds the labs, in files, folders or git's revisions, and
``compare`` says of two of them what becomes of each cell. What proves a change on nodes is imported
from ``proving``: without nodes nobody needs to wait for what drives them.
"""

from underlay.proof.difference.blocks import Block, Group, grouped
from underlay.proof.difference.cells import Change, Difference, Side, compare
from underlay.proof.difference.keys import KeyChange, differing_keys
from underlay.proof.difference.labs import LabPair, Pairs, read_pairs
from underlay.proof.difference.results import LabDifference, lab_difference
from underlay.proof.difference.statements import StatementChange, changed_statements

__all__ = [
    "Block",
    "Change",
    "Difference",
    "Group",
    "KeyChange",
    "LabDifference",
    "LabPair",
    "Pairs",
    "Side",
    "StatementChange",
    "changed_statements",
    "compare",
    "differing_keys",
    "grouped",
    "lab_difference",
    "read_pairs",
]
