"""A fleet: hosts' own configuration files, that Underlay didn't write, read into one model.

``read_hosts`` reads a folder per host, and ``host_pairs`` finds these in a folder that holds all
of them. Nothing here starts a node or looks at the machine it runs on.
"""

from underlay.fleet.folder import host_pairs, hosts_inside, read_hosts

__all__ = ["host_pairs", "hosts_inside", "read_hosts"]
