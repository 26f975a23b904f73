"""Runs: what one ``check`` found, kept as one file, read back and compared with another's."""
