"""From a model to a TensorRT plan."""
