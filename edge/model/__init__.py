"""ONNX files that carry their contract: what goes in, what comes out, who may use them."""
