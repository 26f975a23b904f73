"""What the verb ``workshop`` does: a module for each of its actions, with a function ``run``."""
