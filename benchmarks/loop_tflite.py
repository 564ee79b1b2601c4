"""Write an INT8 network of QuantizeLinear nodes as the TFLite file with the same integers.

    python benchmarks/loop_tflite.py NETWORK.onnx VIEWS.npy OUT.tflite

NETWORK.onnx is in the form `unsigned`, see `loop_networks.py`; what it holds as uint8 with zero
point 0 becomes int8 with zero point -128, the same integers as LiteRT wants them. TFLite also
quantises what the last convolution gives, which the ONNX leaves in float: its range is measured on
VIEWS.npy, uint8 (N, H, W, 3) BGR. Run by `loop.py` in LiteRT's environment; imports nothing of
edge.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import flatbuffers
import numpy as np
import onnx
import onnxruntime
from ai_edge_litert import schema_py_generated as tfl
from onnx import numpy_helper

if TYPE_CHECKING:
    import numpy.typing as npt

    Scale = npt.NDArray[np.float32]

LEVELS, LOWEST = 255, -128
TYPES = {
    np.dtype(np.int8): tfl.TensorType.INT8,
    np.dtype(np.uint8): tfl.TensorType.UINT8,
    np.dtype(np.int32): tfl.TensorType.INT32,
    np.dtype(np.float32): tfl.TensorType.FLOAT32,
}
OPERATORS = {  # with the version that takes int8
    "CONV_2D": 3, "MAX_POOL_2D": 2, "CONCATENATION": 2, "PAD": 2, "QUANTIZE": 1, "DEQUANTIZE": 2,
    "MEAN": 1,
}  # fmt: skip
SAME, VALID = tfl.Padding.SAME, tfl.Padding.VALID


class TFLiteWriter:
    """A TFLite graph that grows tensor by tensor and operator by operator."""

    def __init__(self) -> None:
        self._graph = tfl.SubGraphT()
        self._graph.tensors, self._graph.operators = [], []
        self._buffers = [tfl.BufferT()]  # the first one is empty by the format

    def tensor(
        self,
        shape: tuple[int, ...],
        kind: type[np.generic],
        scale: Scale | None = None,
        zero: int = 0,
    ) -> int:
        """Add a tensor that an operator writes; an array of scales is one a first dimension."""
        tensor = tfl.TensorT()
        tensor.name = f"t{len(self._graph.tensors)}"
        tensor.shape, tensor.type = list(shape), TYPES[np.dtype(kind)]
        if scale is not None:
            tensor.quantization = tfl.QuantizationParametersT()
            tensor.quantization.scale = np.atleast_1d(scale).astype(np.float32)
            tensor.quantization.zeroPoint = np.full(np.size(scale), zero, np.int64)
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def constant(self, values: npt.NDArray[Any], scale: Scale | None = None) -> int:
        """Add a tensor with its values."""
        index = self.tensor(values.shape, values.dtype.type, scale)
        buffer = tfl.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self._graph.tensors[index].buffer = len(self._buffers)
        self._buffers.append(buffer)
        return index

    def operator(
        self, name: str, inputs: list[int], output: int, options: str = "", **fields: int
    ) -> int:
        """Add an operator that writes `output`, which is given back."""
        operator = tfl.OperatorT()
        operator.opcodeIndex = list(OPERATORS).index(name)
        operator.inputs, operator.outputs = inputs, [output]
        if options:
            operator.builtinOptionsType = getattr(tfl.BuiltinOptions, options)
            operator.builtinOptions = getattr(tfl, f"{options}T")()
            for field, value in fields.items():
                setattr(operator.builtinOptions, field, value)
        self._graph.operators.append(operator)
        return output

    def pack(self, inputs: list[int], outputs: list[int]) -> bytes:
        """Give the file."""
        self._graph.inputs, self._graph.outputs = inputs, outputs
        model = tfl.ModelT()
        model.version, model.subgraphs, model.buffers = 3, [self._graph], self._buffers
        model.operatorCodes = []
        for name, version in OPERATORS.items():
            code = tfl.OperatorCodeT()
            code.builtinCode = code.deprecatedBuiltinCode = getattr(tfl.BuiltinOperator, name)
            code.version = version
            model.operatorCodes.append(code)
        builder = flatbuffers.Builder()
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())


class Translation:
    """One network on its way from ONNX to TFLite.

    Args:
        graph: of the ONNX.
        last_scale: of what the last convolution gives.
    """

    def __init__(self, graph: onnx.GraphProto, last_scale: float) -> None:
        self._stored = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
        self._maker = {name: node for node in graph.node for name in node.output}
        self._reader = {name: node for node in graph.node for name in node.input}
        self._last_scale = np.float32(last_scale)
        self._out = TFLiteWriter()
        self._made: dict[str, tuple[int, tuple[int, ...], Scale]] = {}
        """ONNX tensor to its place in TFLite, its shape (N, H, W, C) and its scale."""

    def translate(self, graph: onnx.GraphProto) -> bytes:
        """Give the file."""
        shape = tuple(d.dim_value or 1 for d in graph.input[0].type.tensor_type.shape.dim)
        pixels = self._out.tensor(shape, np.uint8, np.float32(1), 128)
        place = self._out.tensor(shape, np.int8, np.float32(1))
        self._out.operator("QUANTIZE", [pixels], place, "QuantizeOptions")
        first = next(node for node in graph.node if node.op_type == "Conv")
        self._made[first.input[0]] = place, shape, np.float32(1)
        last = ""
        for node in graph.node:
            if node.op_type == "Conv":
                self._convolve(node)
                last = node.output[0]
            elif node.op_type == "MaxPool":
                self._pool(node)
            elif node.op_type == "Concat":
                self._concat(node)
            elif "quantize" in node.op_type.lower() and node.input[0] in self._made:
                self._made[node.output[0]] = self._made[node.input[0]]  # has this scale already
        place, shape, _ = self._made[last]
        plain = self._out.tensor(shape, np.float32)
        self._out.operator("DEQUANTIZE", [place], plain, "DequantizeOptions")
        axes = self._out.constant(np.array([1, 2], np.int32))
        scores = self._out.tensor((1, shape[3]), np.float32)
        self._out.operator("MEAN", [plain, axes], scores, "ReducerOptions")
        return self._out.pack([pixels], [scores])

    def _scale_of(self, name: str) -> Scale:
        """Give the scale that a tensor gets where it is next quantised."""
        node = self._reader.get(name)
        if node is None or node.op_type == "GlobalAveragePool":
            return self._last_scale
        if node.op_type == "QuantizeLinear":
            return np.float32(self._stored[node.input[1]])
        return self._scale_of(node.output[0])

    def _convolve(self, node: onnx.NodeProto) -> None:
        place, shape, scale = self._made[node.input[0]]
        weights = self._maker[node.input[1]]
        values, steps = (self._stored[name] for name in weights.input[:2])
        bias = np.round(self._stored[node.input[2]] / (scale * steps)).astype(np.int32)
        kernel = self._out.constant(np.ascontiguousarray(values.transpose(0, 2, 3, 1)), steps)
        shift = self._out.constant(bias, scale * steps)
        stride, pad, side = _number(node, "strides"), _number(node, "pads"), values.shape[2]
        padding = SAME if pad and stride == 1 and 2 * pad == side - 1 else VALID
        if pad and padding == VALID:
            place, shape = self._pad(place, shape, scale, pad)
        rest = 0 if padding == SAME else side - 1
        height, width = ((length - rest - 1) // stride + 1 for length in shape[1:3])
        out_shape, out_scale = (1, height, width, len(values)), self._scale_of(node.output[0])
        out = self._out.tensor(out_shape, np.int8, out_scale, LOWEST)
        fields = {"padding": padding, "strideH": stride, "strideW": stride}
        self._out.operator(
            "CONV_2D", [place, kernel, shift], out, "Conv2DOptions", **fields,
            dilationHFactor=1, dilationWFactor=1,
            fusedActivationFunction=tfl.ActivationFunctionType.RELU,
        )  # fmt: skip
        self._made[node.output[0]] = out, out_shape, out_scale

    def _pad(
        self, place: int, shape: tuple[int, ...], scale: Scale, pad: int
    ) -> tuple[int, tuple[int, ...]]:
        wider = (1, shape[1] + 2 * pad, shape[2] + 2 * pad, shape[3])
        edges = self._out.constant(np.array([[0, 0], [pad, pad], [pad, pad], [0, 0]], np.int32))
        out = self._out.tensor(wider, np.int8, scale, LOWEST)
        return self._out.operator("PAD", [place, edges], out, "PadOptions"), wider

    def _pool(self, node: onnx.NodeProto) -> None:
        place, shape, scale = self._made[node.input[0]]
        side, stride = _number(node, "kernel_shape"), _number(node, "strides")
        if any((length - side) % stride for length in shape[1:3]):
            raise SystemExit(f"{node.name}: TFLite has no pooling that goes over the edge")
        height, width = ((length - side) // stride + 1 for length in shape[1:3])
        out_shape = (1, height, width, shape[3])
        out = self._out.tensor(out_shape, np.int8, scale, LOWEST)
        self._out.operator(
            "MAX_POOL_2D", [place], out, "Pool2DOptions", padding=VALID,
            strideH=stride, strideW=stride, filterHeight=side, filterWidth=side,
        )  # fmt: skip
        self._made[node.output[0]] = out, out_shape, scale

    def _concat(self, node: onnx.NodeProto) -> None:
        parts = [self._made[name] for name in node.input]
        _, shape, scale = parts[0]
        out_shape = (*shape[:3], sum(part[1][3] for part in parts))
        out = self._out.tensor(out_shape, np.int8, scale, LOWEST)
        places = [part[0] for part in parts]
        self._out.operator("CONCATENATION", places, out, "ConcatenationOptions", axis=3)
        self._made[node.output[0]] = out, out_shape, scale


def _number(node: onnx.NodeProto, name: str) -> int:
    """Give an attribute whose values are all the same."""
    values = {value for a in node.attribute if a.name == name for value in a.ints}
    if len(values) > 1:
        raise SystemExit(f"{node.name}: {name} differs from side to side")
    return values.pop() if values else {"pads": 0}.get(name, 1)


def measure_last(model: onnx.ModelProto, views: npt.NDArray[np.uint8]) -> float:
    """Give the scale of what the last convolution gives: its largest value over all levels."""
    last = [node for node in model.graph.node if node.op_type == "Conv"][-1].output[0]
    model.graph.output.append(onnx.ValueInfoProto(name=last))
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    return max(float(session.run([last], {name: view[None]})[0].max()) for view in views) / LEVELS


def main() -> None:
    """Read the command line, translate and write."""
    network, views, out = sys.argv[1:]
    scale = measure_last(onnx.load(network), np.load(views))
    graph = onnx.load(network).graph
    Path(out).write_bytes(Translation(graph, scale).translate(graph))


if __name__ == "__main__":
    main()
