"""The documents that ``--json`` prints: the models that their published schemas are made from."""
