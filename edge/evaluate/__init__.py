"""Accuracy with intervals, and what one model answers beside another."""
