"""What ``check`` does, by what it is asked of: a lab that is up, lab files, machines that exist.

``verbs/check.py`` has the command line, ``how.py`` what all of these are told and what they print
of one lab, and a module each is about one of them. What happens to a lab with --after is in
``cli/after.py``.
"""
