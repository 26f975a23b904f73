"""The catalogue: a module a subject, each with its faults in ``FAULTS``."""
