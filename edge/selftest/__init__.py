"""The proof on a new machine: every model, precision, camera and rail."""
