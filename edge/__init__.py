"""edge: classify what a camera sees, in INT8, and know what every frame cost."""

__version__ = "0.1.0"
