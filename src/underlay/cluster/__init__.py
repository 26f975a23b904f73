"""Running nodes: the image they boot, the providers that start them, the way in."""
