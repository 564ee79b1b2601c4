"""The live view in a browser: a small server in a thread of its own, and its one page."""
