"""What a run cost: milliseconds and milliwatts."""
