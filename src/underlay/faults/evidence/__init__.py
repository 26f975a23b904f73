"""Evidence read: what discards packets, what routes say, what a port's VLANs are."""
