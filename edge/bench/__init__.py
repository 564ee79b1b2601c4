"""Measures until the figure is stable, or says that it is not."""
