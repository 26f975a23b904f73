"""VirtualBox: machines of a box of the user's own, written for Vagrant's own provider."""
