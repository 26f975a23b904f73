"""The verbs: a module each, called as the verb is, with a function ``command``."""
