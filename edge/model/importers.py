"""Other people's files turned into ONNX of ours: Deep Compression, ncnn, any classifier's ONNX."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import checker, external_data_helper

from edge.assets import bundled
from edge.errors import InputError, ModelError
from edge.files import read_bytes
from edge.model.contract import ChannelOrder, Contract, Output, Resize
from edge.model.onnx_file import (
    CONTRACT_KEY,
    Model,
    inputs_of,
    parse_proto,
    shape_of,
    weight_files,
    with_contract,
)
from edge.model.squeezenet import build_squeezenet, weight_shapes

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt
    import onnx

    Weights = dict[str, npt.NDArray[np.float32]]

NCNN_FLOAT16_TAG = 0x01306B47
CODEBOOK_ENTRIES = 256
SHAPING = frozenset({"Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})


@dataclass(frozen=True, slots=True)
class ContractFlags:
    """What a person says of a model; None leaves it to the file or the format.

    Attributes:
        labels: one name a class.
        size_px: side of the square input.
        resize_short_px: short side after the resize.
        resize: the resize rule.
        channel_order: of the network's input.
        mean: per channel, 0 to 255.
        std: per channel, 0 to 255.
        output: what the scores are.
        licence: of the weights.
        source: where they come from.
    """

    labels: tuple[str, ...] | None = None
    size_px: int | None = None
    resize_short_px: int | None = None
    resize: Resize | None = None
    channel_order: ChannelOrder | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    output: Output | None = None
    licence: str | None = None
    source: str | None = None

    def given(self) -> dict[str, Any]:
        """Give the fields of `Contract` that were said."""
        fields = {
            name: getattr(self, name)
            for name in ("labels", "resize_short_px", "resize", "channel_order", "mean", "std",
                         "output", "licence", "source")
            if getattr(self, name) is not None
        }  # fmt: skip
        if self.size_px is not None:
            fields["input_hw"] = (self.size_px, self.size_px)
        return fields


def import_model(path: Path, flags: ContractFlags) -> Model:
    """Read a foreign model file and give it as a model with a contract.

    The author's Deep-Compression file of SqueezeNet 1.0 is told by its suffix `.net`, as it has no
    mark of its own; ncnn's float16 file of SqueezeNet 1.1 by its tag; all else is read as ONNX.

    Raises:
        InputError: the file cannot be read, or the deviations are of pictures from 0 to 1.
        ModelError: it is none of the three, is broken, or lacks what the flags did not give.
    """
    _refuse_unit_range(flags)
    data = read_bytes(path)
    if not data:
        raise ModelError(f"{path}: the file is empty", hint="Get it again")
    name = path.stem
    if path.suffix == ".net":
        contract = _override(DEEP_COMPRESSION_1_0.renamed(name), flags)
        weights = parse_deep_compression(data, str(path))
        return build_squeezenet("1.0", contract, weights, final_pad=1)
    if int.from_bytes(data[:4], "little") == NCNN_FLOAT16_TAG:
        contract = _override(TORCHVISION_1_1.renamed(name), flags)
        return build_squeezenet("1.1", contract, parse_ncnn_squeezenet11(data, str(path)))
    return _import_onnx(data, path, name, flags)


def _refuse_unit_range(flags: ContractFlags) -> None:
    """Refuse PyTorch's usual figures, which would give wrong labels without a word."""
    if flags.std is not None and 0 < max(flags.std) < 1:
        said = " ".join(f"{value:g}" for value in flags.std)
        raise InputError(
            f"--std {said}: is for pixels from 0 to 1, they are 0 to 255 here",
            hint="Multiply --mean and --std by 255",
        )


def _override(contract: Contract, flags: ContractFlags) -> Contract:
    labels = flags.labels or imagenet_labels()
    return replace(contract, **{**flags.given(), "labels": labels})


def parse_deep_compression(data: bytes, origin: str) -> Weights:
    """Decode the author's compressed SqueezeNet 1.0.

    26 counts (uint32), then for each layer a codebook (256 float32), a bias (float32), one code
    (uint8) an entry, and one 4-bit gap an entry, low nibble first; all little-endian.
    Source: S. Han et al., "Deep Compression", arXiv:1510.00149, and the decoder beside the file.

    Args:
        data: the file's bytes.
        origin: the file, for the error's line.

    Raises:
        ModelError: the bytes do not fit the layout.
    """
    shapes = weight_shapes("1.0", 1000)
    cursor = _Cursor(data, f"{origin}: not a whole Deep-Compression file of SqueezeNet 1.0")
    counts = cursor.take("<u4", len(shapes))
    weights: Weights = {}
    for (name, shape), count in zip(shapes.items(), counts, strict=True):
        entries = int(count)
        codebook = cursor.take("<f4", CODEBOOK_ENTRIES)
        bias = cursor.take("<f4", shape[0])
        codes = cursor.take("u1", entries)
        packed = cursor.take("u1", (entries + 1) // 2)
        gaps = np.stack([packed & 15, packed >> 4], axis=1).reshape(-1)[:entries]
        positions = np.cumsum(gaps.astype(np.int64) + 1) - 1
        flat = np.full(np.prod(shape), codebook[0], dtype=np.float32)
        if entries and positions[-1] >= flat.size:
            raise cursor.broken()
        flat[positions] = codebook[codes]
        weights[f"{name}.weight"] = flat.reshape(shape)
        weights[f"{name}.bias"] = bias.astype(np.float32)
    cursor.end()
    return weights


def parse_ncnn_squeezenet11(data: bytes, origin: str) -> Weights:
    """Decode ncnn's float16 weights of torchvision's SqueezeNet 1.1.

    For each convolution a tag (uint32), the weight (float16, padded to four bytes) and the bias
    (float32); all little-endian. Source: ncnn, `src/modelbin.cpp`.

    Args:
        data: the file's bytes.
        origin: the file, for the error's line.

    Raises:
        ModelError: the bytes do not fit the layout.
    """
    cursor = _Cursor(data, f"{origin}: not a whole ncnn float16 file of SqueezeNet 1.1")
    weights: Weights = {}
    for name, shape in weight_shapes("1.1", 1000).items():
        if int(cursor.take("<u4", 1)[0]) != NCNN_FLOAT16_TAG:
            raise cursor.broken()
        count = int(np.prod(shape))
        half = cursor.take("<f2", count + count % 2)[:count]
        weights[f"{name}.weight"] = half.astype(np.float32).reshape(shape)
        weights[f"{name}.bias"] = cursor.take("<f4", shape[0]).astype(np.float32)
    cursor.end()
    return weights


class _Cursor:
    """Takes arrays from the front of some bytes and refuses to run over the end."""

    def __init__(self, data: bytes, complaint: str) -> None:
        self._data = data
        self._offset = 0
        self._complaint = complaint

    def broken(self) -> ModelError:
        return ModelError(self._complaint, hint="Get the file again and check its size")

    def take(self, dtype: str, count: int) -> npt.NDArray[Any]:
        size = np.dtype(dtype).itemsize * count
        if self._offset + size > len(self._data):
            raise self.broken()
        array = np.frombuffer(self._data, dtype, count, self._offset)
        self._offset += size
        return array

    def end(self) -> None:
        if self._offset != len(self._data):
            raise self.broken()


def _import_onnx(data: bytes, path: Path, name: str, flags: ContractFlags) -> Model:
    proto = parse_proto(data, str(path))
    _take_weights_in(proto, path)
    stored = any(item.key == CONTRACT_KEY for item in proto.metadata_props)
    if stored and not flags.given():
        raise ModelError(
            f"{path}: carries its contract already", hint="Use it as it is, with --model"
        )
    inputs = inputs_of(proto.graph)
    shape = shape_of(inputs[0]) if inputs else []
    sides = shape[2:] if len(shape) == 4 else []
    if flags.labels is None:
        raise ModelError(f"{path}: no labels", hint="Give --labels FILE, one name a line")
    if flags.size_px is None and (len(sides) != 2 or None in sides):
        raise ModelError(f"{path}: its input size is open", hint="Give --size, for example 224")
    height, width = (flags.size_px,) * 2 if flags.size_px else (sides[0] or 0, sides[1] or 0)
    contract = Contract(
        name=name,
        input_hw=(height, width),
        resize_short_px=flags.resize_short_px or round(max(height, width) * 256 / 224),
        channel_order=flags.channel_order or "RGB",
        mean=flags.mean or IMAGENET_MEAN_RGB,
        std=flags.std or IMAGENET_STD_RGB,
        labels=flags.labels,
        licence=flags.licence or "not stated",
        source=flags.source or path.name,
        resize=flags.resize or "short",
        output=flags.output or _output_of(proto.graph),
    )
    return with_contract(proto, contract, str(path))


def _output_of(graph: onnx.GraphProto) -> Output:
    """Tell probabilities by the Softmax that makes them, whatever changes their shape behind it."""
    maker = {name: node for node in graph.node for name in node.output}
    node = maker.get(graph.output[0].name) if graph.output else None
    while node is not None and node.op_type in SHAPING and node.input:
        node = maker.get(node.input[0])
    return "probabilities" if node is not None and node.op_type == "Softmax" else "logits"


def _take_weights_in(proto: onnx.ModelProto, path: Path) -> None:
    """Read weights that lie in files beside `path`, as PyTorch exports them, into the network."""
    if not (apart := weight_files(proto)):
        return
    try:
        external_data_helper.load_external_data_for_model(proto, str(path.parent))
    except (OSError, ValueError, checker.ValidationError) as error:
        raise ModelError(
            f"{path}: its weights cannot be read from {', '.join(apart)}",
            hint="Copy that file, whole, beside it",
        ) from error


def read_labels(path: Path) -> tuple[str, ...]:
    """Read class names: one a line, or the column `name` (or `label`) of a CSV.

    Raises:
        InputError: the file cannot be read.
        ModelError: it is not text, or holds no name.
    """
    try:
        text = read_bytes(path).decode("utf-8-sig")
        column = _csv_column(text) if path.suffix == ".csv" else None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ModelError(f"{path}: not a text file", hint="Give one label a line") from error
    names = text.splitlines() if column is None else column
    labels = tuple(name.strip() for name in names if name.strip())
    if not labels:
        raise ModelError(f"{path}: holds no label", hint="Give one label a line")
    return labels


def _csv_column(text: str) -> list[str] | None:
    """Give the column `name` or `label`, or None where the first line names neither."""
    rows = csv.DictReader(io.StringIO(text))
    column = next((name for name in ("name", "label") if name in (rows.fieldnames or ())), None)
    return [row[column] or "" for row in rows] if column else None


def imagenet_labels() -> tuple[str, ...]:
    """Give the thousand class names of ImageNet 2012, in the usual order."""
    return read_labels(bundled("engines/imagenet-labels.txt"))


IMAGENET_MEAN_RGB = (123.675, 116.28, 103.53)
IMAGENET_STD_RGB = (58.395, 57.12, 57.375)
_PENDING_LABELS = ("replaced at the import",)

DEEP_COMPRESSION_1_0 = Contract(
    name="squeezenet1.0",
    input_hw=(227, 227),
    resize_short_px=256,
    channel_order="BGR",
    mean=(104.0, 117.0, 123.0),
    std=(1.0, 1.0, 1.0),
    labels=_PENDING_LABELS,
    licence="BSD",
    source="github.com/songhan/SqueezeNet-Deep-Compression",
)
TORCHVISION_1_1 = Contract(
    name="squeezenet1.1",
    input_hw=(224, 224),
    resize_short_px=256,
    channel_order="RGB",
    mean=IMAGENET_MEAN_RGB,
    std=IMAGENET_STD_RGB,
    labels=_PENDING_LABELS,
    licence="not stated",
    source="github.com/zchrissirhcz/squeezenet-ncnn-pnnx-opencv-cpp",
)
