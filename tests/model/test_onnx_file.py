"""ONNX files: written and read back whole, and refused in one line when they are not ours."""

from __future__ import annotations

from contextlib import suppress

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import make_classifier, make_int8, told
from onnx import TensorProto, external_data_helper, helper
from samples import make_contract
from strategies import QUICK

from edge.errors import InputError, ModelError
from edge.model.fold import fold
from edge.model.onnx_file import (
    CONTRACT_KEY,
    Model,
    load_model,
    parse_proto,
    save_model,
    with_contract,
)
from edge.model.squeezenet import build_squeezenet, random_weights
from edge.model.weights import store_weights_int8

GOOD = make_classifier(make_contract()).to_bytes()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("onnx") / "model.onnx"


def refusal(file, data) -> str:
    """Give the line that refuses these bytes."""
    file.write_bytes(data)
    with pytest.raises(ModelError) as caught:
        load_model(file)
    return told(caught)


def spoiled(change) -> bytes:
    """Give the bytes of the good network after `change` was done to it."""
    proto = onnx.ModelProto.FromString(GOOD)
    change(proto)
    return proto.SerializeToString()


@QUICK
@given(data=st.binary())
def test_load_refuses_random_bytes(file, data):
    refusal(file, data)


@QUICK
@given(kept=st.integers(0, len(GOOD) - 1))
def test_load_refuses_a_good_file_wherever_it_is_cut(file, kept):
    refusal(file, GOOD[:kept])


@QUICK
@given(place=st.integers(0, len(GOOD) - 1), value=st.integers(0, 255))
def test_load_gives_a_model_or_one_line_whichever_byte_is_damaged(file, place, value):
    file.write_bytes(GOOD[:place] + bytes([value]) + GOOD[place + 1 :])
    with suppress(ModelError):
        assert load_model(file).contract.labels


@pytest.mark.parametrize("data_type", [TensorProto.UNDEFINED, 99])
def test_load_refuses_a_weight_whose_type_is_none(file, data_type):
    proto = onnx.ModelProto.FromString(GOOD)
    proto.graph.initializer[0].data_type = data_type
    assert "the network is inconsistent" in refusal(file, proto.SerializeToString())


def test_load_refuses_a_name_that_is_not_utf8(file):
    """Protobuf gives such a name as bytes, which onnx itself does not take."""
    line = refusal(file, GOOD.replace(b"Flatten", b"Flat\xffen"))
    assert "unknown operator" in line or "not an ONNX model" in line


@pytest.mark.parametrize("data", [b"", b"# a text\n" * 50], ids=["empty", "text"])
def test_load_says_that_it_is_no_onnx(file, data):
    assert refusal(file, data) == (
        f"{file}: not an ONNX model, or a truncated one. Give a whole .onnx file"
    )


def input_type(proto):
    return proto.graph.input[0].type.tensor_type


def rank_three(proto):
    input_type(proto).shape.dim.pop()


def another_size(proto):
    input_type(proto).shape.dim[3].dim_value = 65


def float64_input(proto):
    input_type(proto).elem_type = TensorProto.DOUBLE


def two_inputs(proto):
    proto.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1]))


def no_input(proto):
    proto.graph.input.pop()


def unknown_operator(proto):
    proto.graph.node[1].op_type = "Swoosh"


def unknown_domain(proto):
    proto.graph.node[1].domain = "my.ops"


def loose_end(proto):
    proto.graph.node[1].input[0] = "nowhere"


def wrong_axis(proto):
    proto.graph.node[-1].attribute.append(helper.make_attribute("axis", 9))


def weights_apart(proto):
    external_data_helper.convert_model_to_external_data(proto, location="w", size_threshold=0)


def six_classes(proto):
    wider = make_classifier(make_contract(labels=tuple("abcdef")))
    proto.graph.CopyFrom(wider.proto.graph)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (rank_three, "input has rank 3, rank 4 is wanted."),
        (another_size, "input is [1, 3, 64, 65], the contract wants [1, 3, 64, 64]."),
        (float64_input, "input is neither float32 nor uint8."),
        (two_inputs, "has 2 inputs, one is wanted."),
        (no_input, "has 0 inputs, one is wanted."),
        (unknown_operator, "unknown operator Swoosh."),
        (unknown_domain, "unknown operator Relu."),
        (loose_end, "the network is inconsistent ("),
        (wrong_axis, "the network is inconsistent ("),
        (weights_apart, "keeps its weights in w."),
        (six_classes, "gives [6] scores for 5 labels."),
    ],
)
def test_load_names_what_does_not_fit(file, change, words):
    assert refusal(file, spoiled(change)).startswith(f"{file}: {words}")


def test_load_takes_sides_that_the_file_leaves_open(file):
    def open_sides(proto):
        for dim in input_type(proto).shape.dim:
            dim.Clear()

    file.write_bytes(spoiled(open_sides))
    assert load_model(file).contract == make_contract()


def test_load_tells_the_import_command_when_there_is_no_contract(file):
    line = refusal(file, spoiled(lambda proto: proto.ClearField("metadata_props")))
    assert line == (
        f"{file}: has no labels and no preprocessing in its metadata. "
        f"Store them with: edge models import {file} --labels FILE --size 224 -o model.onnx"
    )


def test_load_names_the_path_when_it_is_missing_or_a_folder(tmp_path):
    with pytest.raises(InputError) as caught:
        load_model(tmp_path / "none.onnx")
    assert told(caught).startswith(f"{tmp_path}/none.onnx: no such file or folder. ")
    with pytest.raises(InputError) as caught:
        load_model(tmp_path)
    assert told(caught).startswith(f"{tmp_path}: is a folder, a file is wanted. ")


def test_model_comes_back_equal_when_saved_and_loaded(file, small_model):
    save_model(small_model, file)
    again = load_model(file)
    assert again.contract == small_model.contract
    assert again.proto == small_model.proto
    assert file.read_bytes() == small_model.to_bytes() == again.to_bytes()
    assert again.sha256() == small_model.sha256()


def test_to_bytes_gives_the_same_bytes_for_the_same_network(small_model):
    again = build_squeezenet("1.1", make_contract(), random_weights("1.1", 5, seed=3))
    assert again.to_bytes() == small_model.to_bytes()
    other = build_squeezenet("1.1", make_contract(), random_weights("1.1", 5, seed=4))
    assert other.sha256() != small_model.sha256()


def test_with_contract_replaces_the_old_one_and_keeps_other_metadata():
    proto = onnx.ModelProto.FromString(GOOD)
    proto.metadata_props.add(key="author", value="somebody")
    before = proto.SerializeToString()
    model = with_contract(proto, make_contract(name="new"))
    stored = [(item.key, item.value) for item in model.proto.metadata_props]
    assert sorted(stored) == [
        ("author", "somebody"),
        (CONTRACT_KEY, make_contract(name="new").to_json()),
    ]
    assert proto.SerializeToString() == before


def test_model_knows_its_input_and_arithmetic():
    plain = Model(parse_proto(GOOD, "good"), make_contract())
    pixels = fold(plain)
    int8 = make_int8(plain)
    kinds = {
        "plain": (plain, "input", False, False),
        "stored": (store_weights_int8(plain), "input", False, False),
        "pixels": (pixels, "pixels", True, False),
        "int8": (int8, "pixels", True, True),
    }
    for name, (model, input_name, takes_pixels, is_int8) in kinds.items():
        assert model.input_name == input_name, name
        assert model.takes_pixels is takes_pixels, name
        assert model.is_int8 is is_int8, name
        assert model.parameters == 6 * 27 + 6 + 5 * 6 + 5, name
