"""The page of a lab that is up, which is measured again and again while it is looked at."""
