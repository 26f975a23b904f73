"""The program that makes a node what its node.json says. Standard library only.

It travels in three ways and is the same in all of them: as a zip file beside the seed,
which cloud-init runs at first boot; as the Ansible module ``node_files``, for ``underlay
converge``; and over ssh's standard input, for ``underlay switch``. A second run changes
nothing: what is there already is left alone, what differs is made anew, and what the
node no longer needs is removed.
"""
