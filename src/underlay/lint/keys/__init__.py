"""What no single key of a lab file can tell: keys that need or contradict each other."""
