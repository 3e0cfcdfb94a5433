"""What scenarios of a box in trouble have in common: a wrong clock, a full disk of its own, another machine."""
