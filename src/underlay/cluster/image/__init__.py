"""The nodes' image: built from Debian packages, cached by content, carried as one file."""
