"""How fast Underlay is here: command lines, timed from outside as their users would."""
