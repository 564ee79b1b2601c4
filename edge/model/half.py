"""A folded float32 network rewritten in float16, for TensorRTs that take their types from it."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge.errors import ModelError
from edge.model.fold import fold
from edge.model.onnx_file import Model, copy_proto, with_contract


def to_half(model: Model) -> Model:
    """Give the network with float16 weights and tensors; pixels in and float32 scores out stay.

    Raises:
        ModelError: the model is int8, or a weight does not fit into float16.
    """
    if model.is_int8:
        raise ModelError(f"{model.contract.name}: is int8", hint="Give the fp32 model for fp16")
    proto = copy_proto(fold(model))
    graph = proto.graph
    for item in graph.initializer:
        _narrow(item, model.contract.name)
    for node in graph.node:
        _narrow_node(node, model.contract.name)
    scores = graph.output[0].name
    for node in graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name == scores:
                    names[place] = f"{scores}/half"
    graph.node.append(
        helper.make_node(
            "Cast", [f"{scores}/half"], [scores], f"{scores}/cast", to=TensorProto.FLOAT
        )
    )
    del graph.value_info[:]
    return with_contract(proto, model.contract)


def _narrow_node(node: onnx.NodeProto, name: str) -> None:
    for attribute in node.attribute:
        if node.op_type == "Constant" and attribute.name in {"value_float", "value_floats"}:
            bare = np.array(helper.get_attribute_value(attribute), dtype=np.float32)
            value = helper.make_attribute("value", numpy_helper.from_array(bare))
            attribute.CopyFrom(value)
        if node.op_type in {"Constant", "ConstantOfShape"} and attribute.name == "value":
            _narrow(attribute.t, name)
        if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
            attribute.i = TensorProto.FLOAT16


def _narrow(tensor: TensorProto, name: str) -> None:
    if tensor.data_type != TensorProto.FLOAT:
        return
    values = numpy_helper.to_array(tensor)
    if values.size and np.abs(values).max() > np.finfo(np.float16).max:
        raise ModelError(
            f"{name}: tensor {tensor.name} does not fit into float16", hint="Build it as fp32"
        )
    tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), tensor.name))
