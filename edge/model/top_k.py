"""The best classes picked inside the network, so that a plan gives a few numbers, not thousands."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, checker, helper, numpy_helper

from edge.errors import InputError, ModelError
from edge.model.onnx_file import Model, copy_proto, first_line, inputs_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from edge.model.contract import Contract

TOP = "top"

HALF_EXACT = 2048
"""Whole numbers up to here are exact in float16."""


def add_top_k(model: Model, k: int) -> Model:
    """Give the network with one output `top` in the place of its scores.

    `top` is float32 (N, 2k): k probabilities in falling order, then their k class numbers; of equal
    classes the lower number comes first. The model is one to build a plan from: its contract says
    probabilities, which is what `spread` makes of `top`, and no engine for ONNX files takes it.

    Args:
        model: with float32 scores.
        k: at most as many as there are labels.

    Raises:
        InputError: there are fewer classes.
        ModelError: the network is too old, or has tensors of the same names.
    """
    contract = model.contract
    check_top_k(k, contract)
    proto = copy_proto(model)
    graph = proto.graph
    scores = graph.output[0]
    batch = inputs_of(graph)[0].type.tensor_type.shape.dim[0]
    sides = helper.make_tensor_value_info(TOP, TensorProto.FLOAT, [1, 2 * k])
    if batch.dim_param:
        sides.type.tensor_type.shape.dim[0].dim_param = batch.dim_param
    nodes = _make_nodes(scores.name, are_logits=contract.output == "logits")
    graph.node.extend(nodes)
    graph.initializer.extend([
        numpy_helper.from_array(np.array([-1, len(contract.labels)]), f"{TOP}/shape"),
        numpy_helper.from_array(np.array([k]), f"{TOP}/k"),
    ])  # fmt: skip
    del graph.output[:], graph.value_info[:]
    graph.output.append(sides)
    try:
        checker.check_model(proto)
    except checker.ValidationError as error:
        raise ModelError(
            f"{contract.name}: its best classes cannot be picked inside ({first_line(error)})",
            hint="Export it with opset 13 or newer, or leave --top away",
        ) from error
    return Model(proto, replace(contract, output="probabilities"))


def check_top_k(k: int, contract: Contract) -> None:
    """Refuse to pick more classes than there are.

    Raises:
        InputError: names how many there are.
    """
    classes = len(contract.labels)
    if not 1 <= k <= classes:
        raise InputError(
            f"--top {k}: {contract.name} has {classes} classes", hint=f"Give 1 to {classes}"
        )


def _make_nodes(scores: str, *, are_logits: bool) -> list[onnx.NodeProto]:
    rows, p, best, index, number = (
        f"{TOP}/{part}" for part in ("rows", "p", "best", "index", "number")
    )
    nodes = [helper.make_node("Reshape", [scores, f"{TOP}/shape"], [rows], rows)]
    if are_logits:
        nodes.append(helper.make_node("Softmax", [rows], [p], p, axis=1))
    return [
        *nodes,
        helper.make_node("TopK", [p if are_logits else rows, f"{TOP}/k"], [best, index], best,
                         axis=1),
        helper.make_node("Cast", [index], [number], number, to=TensorProto.FLOAT),
        helper.make_node("Concat", [best, number], [TOP], TOP, axis=1),
    ]  # fmt: skip


def spread(top: npt.NDArray[np.float32], classes: int) -> npt.NDArray[np.float32]:
    """Give the probabilities of all classes, zero for those that are not among the best.

    Args:
        top: float32, (2k,): one row of what `add_top_k` gives.
        classes: how many there are.

    Returns:
        float32, (classes,).
    """
    k = len(top) // 2
    scores = np.zeros(classes, dtype=np.float32)
    scores[top[k:].astype(np.int64)] = top[:k]
    return scores
