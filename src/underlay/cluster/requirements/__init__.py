"""What a machine, or an image of the user's own, must have to run labs."""
