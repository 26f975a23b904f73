"""A fleet: hosts' own configuration files, that Underlay didn't write, read into one model.

``read_hosts`` reads a folder per host. Nothing here starts a node or looks at the
machine it runs on.
"""

from underlay.fleet.folder import read_hosts

__all__ = ["read_hosts"]
