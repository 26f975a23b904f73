"""The ``libvirt`` provider: nodes are virtual machines that vagrant-libvirt starts."""
