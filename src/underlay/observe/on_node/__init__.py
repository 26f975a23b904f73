"""What runs on the nodes: the probe and what looks around there; standard library only."""
