"""Where things are on this machine, and how they are written there: paths, temporary folders."""
