"""Underlay: real nodes, real container networks, and a matrix of who reaches whom."""

__version__ = "0.1.0"
