"""The comparison's own rules: what counts as INT8, and what TensorRT would not take as it is."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location

import numpy as np
import onnx
import pytest
from networks import make_int8, make_vgg
from onnx import numpy_helper
from samples import ROOT, make_contract


@pytest.fixture(scope="module")
def quantizers():
    spec = spec_from_file_location("quantizers", ROOT / "benchmarks" / "quantizers.py")
    module = module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        patch.setitem(sys.modules, spec.name, module)  # where dataclasses look for it
        spec.loader.exec_module(module)
        yield module


@pytest.fixture
def int8():
    return onnx.ModelProto.FromString(make_int8(make_vgg(make_contract())).to_bytes())


def test_our_own_network_breaks_no_rule_and_is_all_int8(quantizers, int8):
    assert quantizers.broken_rule(int8.graph) == ""
    assert quantizers.int8_convolutions(int8.SerializeToString()) == "4 of 4"


@pytest.mark.parametrize(
    ("zero", "told"),
    [
        (np.int8(3), " has a zero point that is not 0"),
        (np.uint8(0), " is uint8, not int8"),
        (np.int32(0), " is int32, not int8"),
    ],
)
def test_another_zero_point_is_named(quantizers, int8, zero, told):
    node = next(node for node in int8.graph.node if node.op_type == "QuantizeLinear")
    stored = next(item for item in int8.graph.initializer if item.name == node.input[2])
    stored.CopyFrom(numpy_helper.from_array(np.array(zero), stored.name))
    assert quantizers.broken_rule(int8.graph) == node.name + told


def test_convolution_that_reads_floats_is_not_counted(quantizers, int8):
    first = next(node for node in int8.graph.node if node.op_type == "Conv")
    first.input[0] = "pixels/planes"
    assert quantizers.int8_convolutions(int8.SerializeToString()) == "3 of 4"
