"""What int8 costs, on pictures that it was not made with: answers, probabilities, layers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from edge.engine.probe import TensorProbe
from edge.quant.histogram import ChannelHistograms
from edge.quant.margins import divergence, log_probabilities
from edge.quant.network import Network
from edge.quant.simulate import simulate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from edge.model.onnx_file import Model
    from edge.quant.dataset import CalibrationSet
    from edge.quant.margins import Range

    Pictures = Sequence[npt.NDArray[np.uint8]]
    Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LayerQuality:
    """What int8 does to one convolution.

    Attributes:
        label: of its node.
        sqnr_db: signal to noise of its output while the whole network is int8.
        harm_nats: divergence of the network's output, a picture, while its weight and what it
            reads alone are int8.
    """

    label: str
    sqnr_db: float
    harm_nats: float


@dataclass(frozen=True, slots=True, eq=False)
class ActivationQuality:
    """What the range of one activation does to it, in equalised values.

    Attributes:
        tensor: its name.
        method: that chose the range.
        reach: the largest value that it can hold.
        largest: the largest magnitude of the float network.
        cut_share: share of the values beyond the range, 0 to 1.
        counts: of magnitudes from 0 to `largest`, int64 (BINS,).
    """

    tensor: str
    method: str
    reach: float
    largest: float
    cut_share: float
    counts: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Quality:
    """What int8 costs.

    Attributes:
        pictures: how many were judged.
        agreement: share of them whose best class is the float network's, 0 to 1.
        divergence_nats: mean Kullback-Leibler divergence of int8 from float.
        drop_points: top-1 lost, in points of 100; see `judge`.
        is_labelled: whether the pictures' own classes decided that.
        layers: in graph order.
        activations: in graph order.
        looked_inside: how many of the pictures layers and activations were judged on.
    """

    pictures: int
    agreement: float
    divergence_nats: float
    drop_points: float
    is_labelled: bool
    layers: tuple[LayerQuality, ...] = ()
    activations: tuple[ActivationQuality, ...] = ()
    looked_inside: int = 0

    def figures(self) -> dict[str, float]:
        """Give the figures of the whole network, rounded for a file."""
        return {
            "pictures": self.pictures,
            "agreement": round(self.agreement, 6),
            "divergence_nats": round(self.divergence_nats, 6),
            "drop_points": round(self.drop_points, 4),
            "is_labelled": self.is_labelled,
        }

    def worst(self) -> tuple[LayerQuality, ...]:
        """Give the layers, the most harmful one first."""
        return tuple(sorted(self.layers, key=lambda layer: -layer.harm_nats))


def judge(wanted: Array, given: Array, classes: Sequence[int] | None = None) -> Quality:
    """Compare the outputs of two networks.

    Without the pictures' classes, the drop is the expected one if the float network's
    probabilities are right: the mean of what it gives its own answer less what it gives int8's.

    Args:
        wanted: of the float network, logarithms, float64 (N, C).
        given: of the int8 network, the same.
        classes: of the pictures, (N,); None where nobody knows them.
    """
    best, chosen = wanted.argmax(axis=1), given.argmax(axis=1)
    if classes is None:
        rows = np.arange(len(wanted))
        drop = float(np.mean(np.exp(wanted[rows, best]) - np.exp(wanted[rows, chosen])))
    else:
        truth = np.asarray(classes)
        drop = float(np.mean(best == truth) - np.mean(chosen == truth))
    return Quality(
        pictures=len(wanted),
        agreement=float(np.mean(best == chosen)),
        divergence_nats=divergence(wanted, given),
        drop_points=100 * drop,
        is_labelled=classes is not None,
    )


def judge_models(fp32: Model, int8: Model, pictures: CalibrationSet) -> Quality:
    """Compare two networks on pictures, by their own classes where their folders tell these.

    Args:
        fp32: folded, with pixels as its input.
        int8: with pixels as its input.
        pictures: neither network was made with.
    """
    contract = fp32.contract
    wanted = log_probabilities(fp32, pictures.views(contract))
    given = log_probabilities(int8, pictures.views(contract))
    return judge(wanted, given, pictures.classes(contract))


def judge_layers(
    network: Network, floats: Network, target: Model, pictures: Pictures
) -> tuple[LayerQuality, ...]:
    """Say of each convolution what int8 does to it and what it does to the output.

    Args:
        network: rounded.
        floats: the same with float weights; see `with_float_weights`.
        target: the float model that `network` was made from, with equalised channels.
        pictures: uint8, (H, W, 3), BGR.
    """
    noise = _measure_noise(network, target, pictures)
    harms = _measure_harms(network, floats, target, pictures)
    return tuple(
        LayerQuality(conv.label, noise[name], harms[name]) for name, conv in network.convs.items()
    )


def judge_activations(
    target: Model, ranges: Mapping[str, Range], pictures: Pictures
) -> tuple[ActivationQuality, ...]:
    """Say of each activation how its range lies on its values.

    Args:
        target: the float model with equalised channels.
        ranges: activation to its range.
        pictures: uint8, (H, W, 3), BGR, at least one.
    """
    probe = TensorProbe(target, list(ranges))
    histograms = {tensor: ChannelHistograms() for tensor in ranges}
    cut = dict.fromkeys(ranges, 0.0)
    for picture in pictures:
        for tensor, values in probe.read(picture).items():
            histograms[tensor].add(values)
            cut[tensor] += float(np.mean(np.abs(values) > ranges[tensor].reach)) / len(pictures)
    found = []
    for tensor, chosen in ranges.items():
        own = histograms[tensor].join(np.ones(len(histograms[tensor].largest)))
        measured = own.largest, cut[tensor], own.counts
        found.append(ActivationQuality(tensor, chosen.method, chosen.reach, *measured))
    return tuple(found)


def with_float_weights(network: Network) -> Network:
    """Keep the weights and biases that a network has before they are rounded."""
    convs = {
        name: replace(conv, weight=conv.weight.copy(), bias=conv.bias.copy())
        for name, conv in network.convs.items()
    }
    return Network(network.model, convs, network.sites)


def _measure_noise(network: Network, target: Model, pictures: Pictures) -> dict[str, float]:
    """Give the signal to noise of each convolution's output in decibels."""
    names = list(network.convs)
    rounded = simulate(network, list(network.sites))
    probes = TensorProbe(target, names), TensorProbe(rounded, names)
    signal, noise = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
    for picture in pictures:
        wanted, given = (probe.read(picture) for probe in probes)
        for name in names:
            signal[name] += float(np.square(wanted[name], dtype=np.float64).sum())
            first_copy = given[name][:, : wanted[name].shape[1]]
            noise[name] += float(np.square(first_copy - wanted[name], dtype=np.float64).sum())
    return {name: _decibels(signal[name], noise[name]) for name in names}


def _decibels(signal: float, noise: float) -> float:
    smallest = float(np.finfo(np.float32).tiny)
    return 10 * float(np.log10(max(signal, smallest) / max(noise, smallest)))


def _measure_harms(
    network: Network, floats: Network, target: Model, pictures: Pictures
) -> dict[str, float]:
    """Give the divergence that each convolution causes when it alone is int8, input and weight."""
    wanted = log_probabilities(target, pictures)
    harms = {}
    for name, conv in network.convs.items():
        alone = Network(network.model, {**floats.convs, name: conv}, network.sites)
        active = {conv.source} & network.sites.keys()
        harms[name] = divergence(wanted, log_probabilities(simulate(alone, active), pictures))
    return harms
