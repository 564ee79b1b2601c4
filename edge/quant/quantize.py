"""An fp32 model and a calibration set become an int8 model that TensorRT takes as it is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from edge.errors import InputError, ModelError
from edge.model.fold import fold
from edge.quant.equalize import equalize
from edge.quant.margins import set_steps
from edge.quant.network import read_network
from edge.quant.qdq import write_qdq
from edge.quant.quality import judge_layers, judge_models, with_float_weights
from edge.quant.ranges import measure_ranges
from edge.quant.reconstruct import reconstruct
from edge.quant.simulate import simulate
from edge.quant.twice import can_be_doubled, double

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from edge.model.onnx_file import Model
    from edge.quant.dataset import CalibrationSet
    from edge.quant.margins import Range
    from edge.quant.network import Network
    from edge.quant.quality import Quality

    Pictures = list[npt.NDArray[np.uint8]]

FIRST_OPSET = 13
"""The first one whose DequantizeLinear takes a scale a channel."""

FEWEST_TO_JUDGE = 16
"""Pictures below which a part of them says nothing about ranges."""

WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})

HALF = "half of the levels was asked for"

JUDGES = 32
"""Most pictures that ranges are judged by."""

WORTH_DOUBLING = 0.0002
"""Divergence in nats a picture from which an activation is worth a second copy."""


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
        ranges: of each activation, in equalised values.
        int8_convs: how many convolutions run in INT8.
        float_ops: operator with weights that stays float, "Gemm fc", to the reason why; empty
            for SqueezeNet.
        halved: activation to the reason why it has half of the levels only.
        doubled: activations whose channels are computed twice.
        quality: what it costs on the pictures held out; None where none were.
    """

    model: Model
    ranges: dict[str, Range]
    int8_convs: int
    float_ops: dict[str, str]
    halved: dict[str, str] = field(default_factory=dict)
    doubled: tuple[str, ...] = ()
    quality: Quality | None = None


def quantize(
    model: Model,
    calibration: CalibrationSet,
    *,
    progress: Callable[[int], None],
    options: QuantOptions = QuantOptions(),
    held_out: CalibrationSet | None = None,
) -> Quantized:
    """Quantise the convolutions of a model.

    One pass measures ranges in memory that does not grow with the pictures; up to 200 of them are
    then kept as bytes to choose steps and to round the weights.

    Args:
        model: fp32.
        calibration: the pictures.
        progress: called with the count of pictures done; all of them at the end.
        options: what a person may choose.
        held_out: other pictures, to judge the result by.

    Raises:
        InputError: a convolution that is to stay float is not there.
        ModelError: the model is int8 already, has no convolution, or gives values that are
            not finite.
    """
    check_model(model)
    folded = fold(model)
    network = read_network(folded, options.keep_float)
    _check_convs(folded, network, options)
    if not options.all_levels:
        for site in network.sites.values():
            site.barrier = site.barrier or HALF
    total = len(calibration.files)
    counter = _Counter(total, progress)
    passed = counter.part(0.0, 0.2)
    judged = not options.fast and total >= FEWEST_TO_JUDGE
    apart = _evenly(total, min(JUDGES, total // 4)) if judged else set()
    measured = measure_ranges(
        folded,
        list(network.sites),
        zip(calibration.files, calibration.views(model.contract), strict=True),
        apart,
        lambda done: passed(done / total),
    )
    factors = equalize(network, {name: one.largest for name, one in measured.items()})
    target = simulate(network)
    joined = {name: one.join(factors[name]) for name, one in measured.items()}
    judges = _keep(calibration, model, apart)
    ranges = set_steps(network, joined, judges, counter.part(0.2, 0.5))
    doubled = _double_the_worst(network, ranges)
    floats = with_float_weights(network)
    kept = _keep(calibration, model, _evenly(total, options.rounding_pictures))
    reconstruct(network, target, kept, counter.part(0.5, 1.0))
    int8 = write_qdq(network)
    quality = None
    if held_out is not None:
        shown = _keep(held_out, model, _evenly(len(held_out.files), JUDGES))
        layers = judge_layers(network, floats, target, doubled, shown)
        quality = replace(judge_models(folded, int8, held_out), layers=layers)
    return Quantized(
        model=int8,
        ranges=ranges,
        int8_convs=len(network.convs),
        float_ops=_float_ops(folded, network, options),
        halved={site.tensor: site.barrier for site in network.sites.values() if site.barrier},
        doubled=doubled,
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


def _evenly(total: int, most: int) -> set[int]:
    """Choose up to `most` numbers below `total`, evenly spread."""
    return {round(place) for place in np.linspace(0, total - 1, min(most, total))}


def _keep(calibration: CalibrationSet, model: Model, numbers: set[int]) -> Pictures:
    """Give some of the pictures as the network sees them."""
    views = enumerate(calibration.views(model.contract))
    return [view.copy() for number, view in views if number in numbers]


def _double_the_worst(network: Network, ranges: Mapping[str, Range]) -> tuple[str, ...]:
    """Give those activations more levels whose rounding harms the output most."""
    worst = [
        site
        for site in network.sites.values()
        if (ranges[site.tensor].harm_nats or 0.0) > WORTH_DOUBLING and can_be_doubled(network, site)
    ]
    for site in worst:
        double(network, site)
    return tuple(site.tensor for site in worst)


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
                reason = "its weight is not stored as float32"
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
