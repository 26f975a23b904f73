"""The page of all seats of a workshop, from its templates beside it."""
