"""Workshops: courses of exercises, and a seat with a lab of its own for each who takes part."""
