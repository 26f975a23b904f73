"""The ``uml`` provider: nodes are User Mode Linux kernels inside a namespace sandbox."""
