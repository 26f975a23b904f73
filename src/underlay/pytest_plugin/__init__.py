"""Labs in pytest: ``pytest --underlay LAB`` brings a lab up for the tests of somebody's project.

``plugin`` is what pytest loads, in every run of an environment that Underlay is installed in. It
imports the rest where a test asks for it, and not before.
"""
