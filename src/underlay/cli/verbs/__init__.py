"""The verbs: a module each, called as the verb is. A file here is a verb, and nothing else is.

Each has a function ``command``, whose docstring is the verb's help, and says by ``GROUP`` and
``ORDER`` where ``underlay --help`` lists it (cli/overview.py).
"""
