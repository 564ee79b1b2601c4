"""An fp32 model and a calibration set become an int8 model that TensorRT takes as it is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from edge.errors import InputError, ModelError
from edge.model.fold import fold
from edge.quant.measure import JUDGES, evenly, keep_views, measure, settle
from edge.quant.network import read_network
from edge.quant.qdq import write_qdq
from edge.quant.quality import judge_activations, judge_layers, judge_models, with_float_weights
from edge.quant.reconstruct import reconstruct

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.model.onnx_file import Model
    from edge.quant.dataset import CalibrationSet
    from edge.quant.margins import Range
    from edge.quant.measure import Measured
    from edge.quant.network import Network
    from edge.quant.quality import Quality

FIRST_OPSET = 13
"""The first one whose DequantizeLinear takes a scale a channel."""

WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})

HALF = "half of the levels was asked for"


@dataclass(frozen=True, slots=True)
class QuantOptions:
    """What a person may choose.

    Attributes:
        fast: a quarter of the pictures for the weights, and no search for the ranges.
        all_levels: activations behind a Relu use all 256 levels, not the upper 128 alone, and
            the worst ones 511; see `edge.quant.qdq`.
        keep_float: names of convolutions that stay float.
    """

    fast: bool = False
    all_levels: bool = True
    keep_float: tuple[str, ...] = ()

    @property
    def rounding_pictures(self) -> int:
        """Most pictures that weights are fitted on."""
        return 48 if self.fast else 200


@dataclass(frozen=True, slots=True, eq=False)
class Quantized:
    """The result and what decided it.

    Attributes:
        model: int8, with pixels as its input.
        int8_convs: how many convolutions run in INT8.
        float_ops: operator with weights that stays float, "Gemm fc", to the reason why; empty
            for SqueezeNet.
        measured: what the pictures decided before the weights were rounded.
        halved: activation to the reason why it has half of the levels only.
        quality: what it costs on the pictures held out; None where none were.
    """

    model: Model
    int8_convs: int
    float_ops: dict[str, str]
    measured: Measured
    halved: dict[str, str] = field(default_factory=dict)
    quality: Quality | None = None

    @property
    def ranges(self) -> dict[str, Range]:
        """Range of each activation, in equalised values."""
        return self.measured.ranges

    @property
    def judged(self) -> Quality:
        """What it costs, where pictures were held out."""
        if self.quality is None:
            msg = "was not judged"
            raise ValueError(msg)
        return self.quality

    @property
    def doubled(self) -> tuple[str, ...]:
        """Activations whose channels are computed twice."""
        return self.measured.doubled


def quantize(
    model: Model,
    calibration: CalibrationSet,
    *,
    progress: Callable[[int], None],
    options: QuantOptions = QuantOptions(),
    held_out: CalibrationSet | None = None,
    measured: Measured | None = None,
) -> Quantized:
    """Quantise the convolutions of a model.

    After `edge.quant.measure` up to 200 pictures are kept as bytes to round the weights.

    Args:
        model: fp32.
        calibration: the pictures.
        progress: called with the count of pictures done; all of them at the end.
        options: what a person may choose.
        held_out: other pictures, to judge the result by.
        measured: of the same model, pictures and options, which spares the measuring.

    Raises:
        InputError: a convolution that is to stay float is not there.
        ModelError: the model is int8 already, has no convolution, or gives values that are
            not finite.
    """
    check_model(model)
    folded = fold(model)
    network = _read(folded, options)
    total = len(calibration.pictures)
    counter = _Counter(total, progress)
    share = 0.0 if measured else 0.2 if options.fast else 0.5
    if measured is None:
        part, judged = counter.part(0.0, share), not options.fast
        measured = measure(_read(folded, options), calibration, part, judged=judged)
    target = settle(network, measured)
    floats = with_float_weights(network)
    kept = keep_views(calibration, model.contract, evenly(total, options.rounding_pictures))
    reconstruct(network, target, kept, counter.part(share, 1.0))
    int8 = write_qdq(network)
    quality = None
    if held_out is not None:
        shown = keep_views(held_out, model.contract, evenly(len(held_out.files), JUDGES))
        layers = judge_layers(network, floats, target, shown)
        activations = judge_activations(target, measured.ranges, shown)
        cost = judge_models(folded, int8, held_out)
        quality = replace(cost, layers=layers, activations=activations, looked_inside=len(shown))
    return Quantized(
        model=int8,
        int8_convs=len(network.convs),
        float_ops=_float_ops(folded, network, options),
        measured=measured,
        halved={site.tensor: site.barrier for site in network.sites.values() if site.barrier},
        quality=quality,
    )


def check_model(model: Model) -> None:
    """Refuse what cannot be quantised, as far as that is seen at once.

    Raises:
        ModelError: the model is int8 already or too old.
    """
    name = model.contract.name
    if model.is_int8:
        raise ModelError(f"{name}: is quantised already", hint="Give the fp32 model")
    opset = max(item.version for item in model.proto.opset_import if item.domain in {"", "ai.onnx"})
    if opset < FIRST_OPSET:
        raise ModelError(
            f"{name}: has opset {opset}, quantising wants {FIRST_OPSET} or newer",
            hint="Export it again with a newer opset",
        )


def _read(folded: Model, options: QuantOptions) -> Network:
    """Give the network that is to be quantised, once more each time."""
    network = read_network(folded, options.keep_float)
    _check_convs(folded, network, options)
    if not options.all_levels:
        for site in network.sites.values():
            site.barrier = site.barrier or HALF
    return network


def _check_convs(folded: Model, network: Network, options: QuantOptions) -> None:
    name = folded.contract.name
    known = {str(n.name or n.output[0]) for n in folded.proto.graph.node if n.op_type == "Conv"}
    strange = [label for label in options.keep_float if label not in known]
    if strange:
        raise InputError(
            f"{name}: has no convolution {strange[0]}",
            hint=f"Give one of {', '.join(sorted(known)[:8])}",
        )
    if not network.convs:
        raise ModelError(
            f"{name}: has no convolution to quantise", hint="Give a convolutional classifier"
        )


def _float_ops(folded: Model, network: Network, options: QuantOptions) -> dict[str, str]:
    reasons = {}
    for node in folded.proto.graph.node:
        if node.op_type in WEIGHTED and node.output[0] not in network.convs:
            label = str(node.name or node.output[0])
            if node.op_type != "Conv":
                reason = "only convolutions are quantised"
            elif label in options.keep_float:
                reason = "it was asked for"
            else:
                reason = "its weight or bias is not stored as float32"
            reasons[f"{node.op_type} {label}"] = reason
    return reasons


class _Counter:
    """Tells how far the whole is, in pictures."""

    def __init__(self, total: int, progress: Callable[[int], None]) -> None:
        self._total = total
        self._told = 0
        self._progress = progress

    def part(self, first: float, last: float) -> Callable[[float], None]:
        """Give the function to call with the share done of a part of the whole."""
        return lambda share: self._show(first + (last - first) * share)

    def _show(self, share: float) -> None:
        while self._told < int(share * self._total + 1e-9):
            self._told += 1
            self._progress(self._told)
