"""What is well on this machine, what is not, and what mends it."""
