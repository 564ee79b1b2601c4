"""The command line: words in, text and exit codes out; the only place that prints."""

from edge.cli.app import main

__all__ = ["main"]
