"""Foreign files: decoded exactly, and refused in one line when they are not whole."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import make_classifier, run_onnx, told
from onnx import helper, numpy_helper
from samples import LABELS, make_contract
from strategies import QUICK

from edge.errors import InputError, ModelError
from edge.model.importers import (
    CODEBOOK_ENTRIES,
    NCNN_FLOAT16_TAG,
    ContractFlags,
    imagenet_labels,
    import_model,
    parse_deep_compression,
    parse_ncnn_squeezenet11,
    read_labels,
)
from edge.model.onnx_file import load_model, save_model
from edge.model.squeezenet import weight_shapes

BRIDGE = 16
"""A gap has four bits: an entry is never more than this many places behind the last."""


def sparse_weights(seed: int, density: float):
    """Make weights of SqueezeNet 1.0 from one codebook a layer, and the codes behind them."""
    rng = np.random.default_rng(seed)
    weights, layers = {}, []
    for name, shape in weight_shapes("1.0", 1000).items():
        codebook = rng.normal(0, 1, CODEBOOK_ENTRIES).astype(np.float32)
        codebook[0] = 0
        kept = rng.random(np.prod(shape)) < density
        codes = np.where(kept, rng.integers(1, CODEBOOK_ENTRIES, kept.size), 0)
        bias = rng.normal(0, 1, shape[0]).astype(np.float32)
        weights[f"{name}.weight"] = codebook[codes].reshape(shape)
        weights[f"{name}.bias"] = bias
        layers.append((codebook, bias, codes))
    return weights, layers


def encode_deep_compression(layers) -> bytes:
    """Write the layout, runs of more than fifteen zeros bridged by entries with code 0."""
    counts, parts = [], []
    for codebook, bias, codes in layers:
        places = np.flatnonzero(codes)
        gaps = np.diff(places, prepend=-1) - 1
        ends = np.cumsum(gaps // BRIDGE + 1)
        entries = int(ends[-1])
        coded, gap = np.zeros(entries, dtype=np.uint8), np.full(entries, BRIDGE - 1)
        coded[ends - 1], gap[ends - 1] = codes[places], gaps % BRIDGE
        low, high = np.append(gap, 0)[: entries + entries % 2].reshape(-1, 2).T
        packed = (low | high << 4).astype(np.uint8)
        counts.append(entries)
        parts += [codebook.tobytes(), bias.tobytes(), coded.tobytes(), packed.tobytes()]
    return np.array(counts, dtype="<u4").tobytes() + b"".join(parts)


def ncnn_weights(seed: int):
    """Make weights of SqueezeNet 1.1 that float16 can hold."""
    rng = np.random.default_rng(seed)
    weights = {}
    for name, shape in weight_shapes("1.1", 1000).items():
        half = rng.normal(0, 0.1, shape).astype(np.float16)
        weights[f"{name}.weight"] = half.astype(np.float32)
        weights[f"{name}.bias"] = rng.normal(0, 1, shape[0]).astype(np.float32)
    return weights


def encode_ncnn(weights) -> bytes:
    tag = np.array(NCNN_FLOAT16_TAG, dtype="<u4").tobytes()
    return b"".join(
        tag + weights[f"{name}.weight"].astype("<f2").tobytes() + weights[f"{name}.bias"].tobytes()
        for name in weight_shapes("1.1", 1000)
    )


SPARSE, LAYERS = sparse_weights(seed=9, density=0.03)
COMPRESSED = encode_deep_compression(LAYERS)
NCNN = encode_ncnn(ncnn_weights(9))


def assert_same_weights(decoded, wanted):
    assert decoded.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_array_equal(decoded[name], array, err_msg=name)
        assert decoded[name].dtype == np.float32


@pytest.mark.parametrize(("seed", "density"), [(0, 0.3), (1, 0.05), (2, 0.01)])
def test_deep_compression_gives_back_the_weights_that_were_encoded(seed, density):
    """The sparser, the more bridges; with 1 % left most entries are bridges."""
    weights, layers = sparse_weights(seed, density)
    assert_same_weights(parse_deep_compression(encode_deep_compression(layers), "f.net"), weights)


@pytest.mark.parametrize("seed", [0, 1])
def test_ncnn_gives_back_the_weights_that_were_encoded(seed):
    weights = ncnn_weights(seed)
    assert_same_weights(parse_ncnn_squeezenet11(encode_ncnn(weights), "f.bin"), weights)


FORMATS = pytest.mark.parametrize(
    ("parse", "data", "words"),
    [
        (parse_deep_compression, COMPRESSED, "Deep-Compression file of SqueezeNet 1.0"),
        (parse_ncnn_squeezenet11, NCNN, "ncnn float16 file of SqueezeNet 1.1"),
    ],
    ids=["deep compression", "ncnn"],
)


@FORMATS
@QUICK
@given(kept=st.floats(0, 1, exclude_max=True), tail=st.binary(min_size=1, max_size=9))
def test_weights_are_refused_wherever_the_file_is_cut_or_goes_on(parse, data, words, kept, tail):
    for wrong in (data[: int(kept * len(data))], data + tail):
        with pytest.raises(ModelError) as caught:
            parse(wrong, "f")
        assert told(caught).startswith(f"f: not a whole {words}. ")


def test_deep_compression_is_refused_when_a_gap_leaves_the_tensor():
    packed = (int(np.frombuffer(COMPRESSED, "<u4", 26)[-1]) + 1) // 2
    with pytest.raises(ModelError) as caught:
        parse_deep_compression(COMPRESSED[:-packed] + b"\xff" * packed, "f.net")
    assert "not a whole Deep-Compression file" in told(caught)


def test_ncnn_is_refused_when_a_tag_is_another():
    conv10 = 4 + 2 * 512_000 + 4 * 1000
    place = len(NCNN) - conv10
    assert NCNN[place : place + 4] == NCNN[:4]
    with pytest.raises(ModelError):
        parse_ncnn_squeezenet11(NCNN[:place] + b"\0\0\0\0" + NCNN[place + 4 :], "f.bin")


@pytest.mark.parametrize(
    ("file", "data", "parameters", "order", "side"),
    [
        ("squeezenet1.0.net", COMPRESSED, 1_248_424, "BGR", 227),
        ("squeezenet1.1.bin", NCNN, 1_235_496, "RGB", 224),
    ],
)
def test_import_gives_imagenets_contract_when_the_format_is_known(
    tmp_path, file, data, parameters, order, side
):
    path = tmp_path / file
    path.write_bytes(data)
    model = import_model(path, ContractFlags())
    assert model.parameters == parameters
    assert model.contract.name == path.stem
    assert model.contract.channel_order == order
    assert model.contract.input_hw == (side, side)
    assert model.contract.labels == imagenet_labels()
    assert (len(imagenet_labels()), imagenet_labels()[0]) == (1000, "tench")


@pytest.mark.shared_data
def test_import_decodes_the_authors_compressed_file(shared_data):
    """The scores' order and size in full are proven in test_accuracy.py."""
    model = import_model(
        shared_data / "models" / "squeezenet1.0-deepcompression.net", ContractFlags()
    )
    assert model.parameters == 1_248_424
    first = next(i for i in model.proto.graph.initializer if i.name == "conv1.weight")
    assert np.count_nonzero(numpy_helper.to_array(first)) <= 13_902


@pytest.mark.shared_data
def test_import_decodes_the_real_ncnn_file(shared_data):
    model = import_model(shared_data / "models" / "squeezenet1.1.ncnn.bin", ContractFlags())
    assert model.parameters == 1_235_496


def foreign_onnx(path, change=None, **options):
    """Write a classifier as another tool would: without our metadata."""
    proto = onnx.ModelProto()
    proto.CopyFrom(make_classifier(make_contract(), **options).proto)
    del proto.metadata_props[:]
    if change:
        change(proto)
    path.write_bytes(proto.SerializeToString())
    return path


def open_size(proto):
    shape = proto.graph.input[0].type.tensor_type.shape
    for place, letter in ((0, "N"), (2, "H"), (3, "W")):
        shape.dim[place].dim_param = letter


def refusal(path, **flags) -> str:
    with pytest.raises(InputError) as caught:
        import_model(path, ContractFlags(**flags))
    return told(caught)


def test_import_stores_what_was_said_of_an_onnx_and_the_file_runs_alone(tmp_path):
    path = foreign_onnx(tmp_path / "their.model.onnx")
    flags = ContractFlags(labels=LABELS, channel_order="BGR", mean=(1.0, 2.0, 3.0), licence="MIT")
    save_model(import_model(path, flags), tmp_path / "ours.onnx")
    model = load_model(tmp_path / "ours.onnx")
    wanted = {"name": "their.model", "labels": LABELS, "channel_order": "BGR", "licence": "MIT"}
    for field, value in {**wanted, "mean": (1.0, 2.0, 3.0), "output": "logits"}.items():
        assert getattr(model.contract, field) == value
    assert (model.contract.input_hw, model.contract.resize_short_px) == ((64, 64), 73)
    assert run_onnx(model, np.zeros((1, 3, 64, 64), dtype=np.float32)).shape == (1, 5)


def onnx_with_weights_apart(folder):
    """Write a network as PyTorch does: its weights in a second file."""
    path = foreign_onnx(folder / "m.onnx")
    onnx.save_model(
        onnx.load_model(path),
        path,
        save_as_external_data=True,
        location="m.onnx.data",
        size_threshold=0,
    )
    return path


def test_import_takes_in_weights_that_lie_in_a_file_of_their_own(tmp_path):
    """Else the result breaks when it is moved, and two models of other weights have one hash."""
    path = onnx_with_weights_apart(tmp_path)
    model = import_model(path, ContractFlags(labels=LABELS))
    pixels = np.random.default_rng(0).random((1, 3, 64, 64), dtype=np.float32)
    wanted = run_onnx(make_classifier(make_contract()), pixels)
    np.testing.assert_array_equal(run_onnx(model, pixels), wanted)


@pytest.mark.parametrize("kept", [None, 10])
def test_import_names_the_file_of_weights_that_is_missing_or_cut(tmp_path, kept):
    path = onnx_with_weights_apart(tmp_path)
    weights = tmp_path / "m.onnx.data"
    data = weights.read_bytes()
    weights.unlink()
    if kept:
        weights.write_bytes(data[:kept])
    assert refusal(path, labels=LABELS) == (
        f"{path}: its weights cannot be read from m.onnx.data. Copy that file, whole, beside it"
    )


def test_import_wants_labels_for_an_onnx(tmp_path):
    path = foreign_onnx(tmp_path / "m.onnx")
    assert refusal(path) == f"{path}: no labels. Give --labels FILE, one name a line"


def test_import_refuses_labels_of_another_count(tmp_path):
    path = foreign_onnx(tmp_path / "m.onnx")
    for count in (1, 4):
        assert f"m.onnx: gives [5] scores for {count} labels. " in refusal(
            path, labels=LABELS[:count]
        )


def test_import_wants_the_size_when_the_file_leaves_it_open(tmp_path):
    path = foreign_onnx(tmp_path / "m.onnx", open_size)
    line = refusal(path, labels=LABELS)
    assert line == f"{path}: its input size is open. Give --size, for example 224"
    model = import_model(path, ContractFlags(labels=LABELS, size_px=48))
    assert model.contract.input_hw == (48, 48)


def test_import_refuses_another_size_than_the_files_own(tmp_path):
    path = foreign_onnx(tmp_path / "m.onnx")
    assert "input is [1, 3, 64, 64], the contract wants [1, 3, 65, 65]" in refusal(
        path, labels=LABELS, size_px=65
    )


def test_import_refuses_a_deviation_for_pixels_from_0_to_1(tmp_path):
    path = foreign_onnx(tmp_path / "m.onnx")
    assert refusal(path, labels=LABELS, std=(0.229, 0.224, 0.225)) == (
        "--std 0.229 0.224 0.225: is for pixels from 0 to 1, they are 0 to 255 here."
        " Multiply --mean and --std by 255"
    )
    assert import_model(path, ContractFlags(labels=LABELS, std=(1.0, 1.0, 1.0)))


def test_import_says_so_when_the_contract_is_there_already(tmp_path):
    path = tmp_path / "ours.onnx"
    save_model(make_classifier(make_contract()), path)
    assert refusal(path) == f"{path}: carries its contract already. Use it as it is, with --model"
    again = import_model(path, ContractFlags(labels=tuple("abcde")))
    assert again.contract.labels == tuple("abcde")


def test_import_takes_a_softmax_at_the_end_for_probabilities(tmp_path):
    softmax = helper.make_node("Softmax", ["pooled"], ["scores"], axis=1)
    path = foreign_onnx(tmp_path / "m.onnx", tail=[softmax])
    assert import_model(path, ContractFlags(labels=LABELS)).contract.output == "probabilities"


def test_import_takes_a_softmax_before_a_change_of_shape_for_probabilities(tmp_path):
    tail = [
        helper.make_node("Softmax", ["pooled"], ["p"], axis=1),
        helper.make_node("Flatten", ["p"], ["scores"]),
        helper.make_node("Relu", ["pooled"], ["unused"]),
    ]
    path = foreign_onnx(tmp_path / "m.onnx", tail=tail)
    assert import_model(path, ContractFlags(labels=LABELS)).contract.output == "probabilities"


def test_import_counts_the_labels_of_a_file_with_an_open_batch(tmp_path):
    def open_batch(proto):
        for value in (proto.graph.input[0], proto.graph.output[0]):
            value.type.tensor_type.shape.dim[0].dim_param = "N"

    path = foreign_onnx(tmp_path / "m.onnx", open_batch)
    assert "m.onnx: gives [5] scores for 4 labels. " in refusal(path, labels=LABELS[:4])
    assert import_model(path, ContractFlags(labels=LABELS)).contract.labels == LABELS


def weights_in_nodes(proto):
    for item in list(proto.graph.initializer):
        proto.graph.node.insert(0, helper.make_node("Constant", [], [item.name], value=item))
    del proto.graph.initializer[:]


def test_import_opens_no_file_that_a_node_names(tmp_path):
    def look_elsewhere(proto):
        weights_in_nodes(proto)
        tensor = proto.graph.node[0].attribute[0].t
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="/etc/passwd")

    path = foreign_onnx(tmp_path / "m.onnx", look_elsewhere)
    assert "its weights cannot be read from /etc/passwd" in refusal(path, labels=LABELS)


def test_import_counts_weights_that_stand_in_nodes(tmp_path):
    flags = ContractFlags(labels=LABELS)
    stored = import_model(foreign_onnx(tmp_path / "stored.onnx"), flags).parameters
    in_nodes = foreign_onnx(tmp_path / "nodes.onnx", weights_in_nodes)
    assert import_model(in_nodes, flags).parameters == stored


@pytest.mark.parametrize("data", [b"", b"garbage", COMPRESSED[:5000]], ids=["empty", "text", "cut"])
@pytest.mark.parametrize("name", ["m.net", "m.bin", "m.onnx"])
def test_import_refuses_garbage_of_any_name(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data)
    assert refusal(path).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("name", "data", "labels"),
    [
        ("l.txt", b"apple\nbird, small\n\ncup\n", ("apple", "bird, small", "cup")),
        ("l.txt", b"\xef\xbb\xbfapple\r\n  bird \r\n", ("apple", "bird")),
        ("l.csv", b'index,name\n0,"tench, fish"\n1,bird\n', ("tench, fish", "bird")),
        ("l.csv", b"label,index\napple,0\nbird,1\n", ("apple", "bird")),
        ("l.csv", b"apple\nbird\n", ("apple", "bird")),
        ("l.txt", b"name\napple\n", ("name", "apple")),
        ("l.txt", b"x" * 200_000, ("x" * 200_000,)),
    ],
    ids=["lines", "windows", "name", "label", "bare csv", "not a csv", "long"],
)
def test_labels_are_read_as_they_are_usually_written(tmp_path, name, data, labels):
    (tmp_path / name).write_bytes(data)
    assert read_labels(tmp_path / name) == labels


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("l.txt", b"", "holds no label"),
        ("l.txt", b"\n \n", "holds no label"),
        ("l.csv", b"index,name\n", "holds no label"),
        ("l.txt", b"\x89PNG\r\n\x1a\n\xff", "not a text file"),
        ("l.csv", b"name\n" + b"x" * 200_000, "not a text file"),
    ],
    ids=["empty", "blank", "only a header", "binary", "endless field"],
)
def test_labels_are_refused_when_there_are_none_to_read(tmp_path, name, data, words):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(ModelError) as caught:
        read_labels(path)
    assert told(caught).startswith(f"{path}: {words}. ")
