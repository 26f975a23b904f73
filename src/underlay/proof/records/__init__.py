"""The records in docs/proof/: what was measured, by which commit, when, on which machine.

They are written here alone, by whatever measured, and nobody edits them: see ``keeping``.
"""
