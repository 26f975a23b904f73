"""The picture of a lab: what there is in it, how it hangs together, and its formats."""
