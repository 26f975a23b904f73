"""What runs on the machines that are surveyed: standard library only, Python 3.9 or newer."""
