"""The batch of a network left open, so that one plan takes one picture or several at once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper, numpy_helper, shape_inference

from edge.errors import InputError, ModelError
from edge.model.onnx_file import Model, copy_proto, inputs_of, shape_of, with_contract

if TYPE_CHECKING:
    import numpy.typing as npt

OPEN = "batch"
_PROBE = 2  # any size but 1 shows whether the network really follows its input


@dataclass(frozen=True, slots=True)
class Batch:
    """How many pictures at once.

    Attributes:
        least: the fewest.
        usual: what kernels are chosen for.
        most: the most; memory is taken for so many.
    """

    least: int
    usual: int
    most: int

    def __str__(self) -> str:
        """Give the text that `parse_batch` reads."""
        return f"{self.least}:{self.usual}:{self.most}"


def parse_batch(text: str) -> Batch:
    """Read "MIN:OPT:MAX".

    Raises:
        InputError: it is anything but three whole numbers from 1 on that do not fall.
    """
    if re.fullmatch(r"[0-9]{1,6}(:[0-9]{1,6}){2}", text):
        batch = Batch(*(int(part) for part in text.split(":")))
        if 1 <= batch.least <= batch.usual <= batch.most:
            return batch
    raise InputError(
        f"--batch {text}: is not MIN:OPT:MAX with 1 <= MIN <= OPT <= MAX", hint="Give, say, 1:1:8"
    )


def open_batch(model: Model) -> Model:
    """Give the same network for any number of pictures: (N, H, W, 3) or (N, 3, H, W) in.

    Raises:
        ModelError: something inside the network works on one picture only.
    """
    proto = copy_proto(model)
    graph = proto.graph
    _follow_input_in_reshapes(graph)
    del graph.value_info[:]
    for value in (inputs_of(graph)[0], *graph.output):
        _set_batch(value, _PROBE)
    _check_follows(proto, model.contract.name)
    for value in (inputs_of(graph)[0], *graph.output):
        _set_batch(value, OPEN)
    return with_contract(proto, model.contract)


def _set_batch(value: onnx.ValueInfoProto, batch: int | str) -> None:
    sides = value.type.tensor_type.shape.dim
    if not sides:
        return
    sides[0].Clear()
    if isinstance(batch, int):
        sides[0].dim_value = batch
    else:
        sides[0].dim_param = batch


def _follow_input_in_reshapes(graph: onnx.GraphProto) -> None:
    """Let each reshape of a picture to (1, ...) keep its input's first side in place of the 1."""
    constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            constants[node.output[0]] = _value_of(node)
    from_pixels = {inputs_of(graph)[0].name}
    for node in graph.node:
        if from_pixels.isdisjoint(node.input):
            continue
        from_pixels |= set(node.output)
        if node.op_type != "Reshape" or _keeps_zeros(node):
            continue
        sides = constants.get(node.input[1], np.zeros(0, np.int64))
        if sides.size < 2 or sides[0] != 1:
            continue
        name = f"{node.output[0]}/{OPEN}"
        graph.initializer.append(numpy_helper.from_array(np.array([0, *sides[1:]]), name))
        node.input[1] = name


def _value_of(constant: onnx.NodeProto) -> npt.NDArray[Any]:
    """Give the value of a node, which stands in it as a tensor, a number or a list of these."""
    value = helper.get_attribute_value(constant.attribute[0])
    is_tensor = isinstance(value, onnx.TensorProto)
    return np.asarray(numpy_helper.to_array(value) if is_tensor else value)


def _keeps_zeros(reshape: onnx.NodeProto) -> bool:
    """Tell a reshape in which a 0 means no values, not "as in the input"."""
    attributes = {item.name: helper.get_attribute_value(item) for item in reshape.attribute}
    return bool(attributes.get("allowzero", 0))


def _check_follows(proto: onnx.ModelProto, name: str) -> None:
    stripped = onnx.ModelProto()
    stripped.CopyFrom(proto)
    stripped.graph.output[0].type.tensor_type.ClearField("shape")
    try:
        inferred = shape_inference.infer_shapes(stripped, strict_mode=True, data_prop=True)
    except (shape_inference.InferenceError, ValueError):
        follows = False
    else:
        follows = shape_of(inferred.graph.output[0])[:1] == [_PROBE]
    if not follows:
        raise ModelError(
            f"{name}: something inside works on one picture only, its batch cannot be open",
            hint="Leave --batch away",
        )
