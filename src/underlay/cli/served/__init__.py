"""A lab's page, served on the loopback to whoever knows its address."""
