"""A bundle: one file that carries Underlay, and all that it needs, into a room without network."""
