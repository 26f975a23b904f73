"""What is kept of a lab on this machine: its record, its lock, and what a failed run left."""
