"""Which range each activation gets: several methods, judged by what they do to the output."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.engine.probe import TensorProbe
from edge.quant.cut import cut_behind
from edge.quant.methods import METHODS
from edge.quant.simulate import simulate
from edge.stats import divergence_nats, log_softmax

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy.typing as npt

    from edge.model.onnx_file import Model
    from edge.quant.histogram import Histogram
    from edge.quant.network import Network, Site

    Pictures = Sequence[npt.NDArray[np.uint8]]
    Feeds = Iterable[npt.NDArray[Any]]  # pixels, or an inner tensor
    Array = npt.NDArray[np.float64]

ROOM = {"min-max + 15 %": 1.15, "min-max + 35 %": 1.35}
"""Other pictures go beyond the largest magnitude of these."""

USUAL = "min-max"
"""The method where none is tried.

With room it was worse by itself (`--fast`, SqueezeNet 1.0 and 1.1: divergence 0.0112 and 0.0026
with 15 %, 0.0082 and 0.0024 without).
"""

LEAST_OF_EQUAL = 0.95
"""Of the largest magnitude: what a range holds at least where channels are equalised.

There the loudest value of every channel lies at the end, so that a shorter range cuts all of them.
By itself that can look better; with the whole network in int8 it was worse (SqueezeNet 1.0:
divergence 0.0051 in the place of 0.0036).
"""

SHORTEST = "min-max - 5 %"
"""The range at that limit, in the place of the methods that ask for less."""

ALIKE = 0.02
"""Ranges that differ by a smaller share are tried once."""


@dataclass(frozen=True, slots=True)
class Range:
    """How far an activation's levels reach.

    Attributes:
        method: that chose it.
        reach: the largest value that it can hold.
        harm_nats: divergence that its rounding alone causes, a picture; None where not tried.
    """

    method: str
    reach: float
    harm_nats: float | None = None


def propose(histograms: Sequence[Histogram], levels: int, *, equalised: bool) -> list[Range]:
    """Give the ranges of all methods, the usual one first, without those that are alike.

    Args:
        histograms: of the activations that are to have one range.
        levels: above zero.
        equalised: whether all channels reach as far; see `LEAST_OF_EQUAL`.
    """
    loudest = max(histogram.largest for histogram in histograms)
    least = LEAST_OF_EQUAL if equalised else 0.0
    asked = {
        name: max(method(histogram, levels) for histogram in histograms)
        for name, method in METHODS.items()
    }
    found = {name: reach for name, reach in asked.items() if reach >= loudest * least}
    if len(found) < len(asked):
        found[SHORTEST] = loudest * least
    found |= {name: found["min-max"] * share for name, share in ROOM.items()}
    kept: list[Range] = []
    for name in sorted(found, key=lambda name: name != USUAL):
        if all(abs(found[name] / other.reach - 1) > ALIKE for other in kept):
            kept.append(Range(name, found[name]))
    return kept


def log_probabilities(model: Model, pictures: Feeds) -> Array:
    """Run a model or a part of one; float64, (pictures, classes), natural logarithm."""
    name = model.proto.graph.output[0].name
    probe = TensorProbe(model, [name])
    rows = [probe.read(picture)[name].astype(np.float64).ravel() for picture in pictures]
    scores = np.stack(rows)
    if model.contract.output == "probabilities":
        scores = np.log(np.maximum(scores, np.finfo(np.float32).tiny))
    return log_softmax(scores)


def divergence(wanted: Array, given: Array) -> float:
    """Give the mean Kullback-Leibler divergence a picture in nats, of logarithms (N, classes)."""
    return float(divergence_nats(wanted, given).mean())


def set_steps(
    network: Network,
    histograms: Mapping[str, Histogram],
    pictures: Pictures,
    progress: Callable[[float], None],
) -> dict[str, Range]:
    """Give every site the step of the range whose error harms the output least, a group at a time.

    Args:
        network: float weights, equalised.
        histograms: of each site, of other pictures than these.
        pictures: to judge by, uint8, (H, W, 3), BGR; none takes the usual method everywhere.
        progress: called with the share done, 0 to 1.

    Returns:
        Site to its range.
    """
    float_model = simulate(network)
    wanted = log_probabilities(float_model, pictures) if pictures else None
    chosen: dict[str, Range] = {}
    groups = network.groups()
    for number, group in enumerate(groups):
        counted = [histograms[site.tensor] for site in group]
        own = propose(counted, group[0].bounds[1], equalised=bool(group[0].pieces))
        if wanted is None:
            best = own[0]
        else:
            inner = _inner(float_model, group[0].tensor, pictures)
            best = min(
                (_try(network, group, one, inner, pictures, wanted) for one in own),
                key=lambda one: one.harm_nats or 0.0,
            )
        _set(group, best)
        chosen.update({site.tensor: best for site in group})
        progress((number + 1) / len(groups))
    return chosen


def _try(
    network: Network,
    group: list[Site],
    one: Range,
    inner: Sequence[npt.NDArray[np.float32]],
    pictures: Pictures,
    wanted: Array,
) -> Range:
    """Measure what the rounding of a group of sites to a range does to the output."""
    _set(group, one)
    rounded = simulate(network, [site.tensor for site in group])
    output = rounded.proto.graph.output[0].name
    part = cut_behind(rounded, group[0].tensor, (1, *inner[0].shape), [output])
    given = log_probabilities(part, inner) if part else log_probabilities(rounded, pictures)
    return replace(one, harm_nats=divergence(wanted, given))


def set_step(site: Site, one: Range) -> None:
    """Give a site the step for a range."""
    least = np.finfo(np.float32).tiny * 1e6
    site.step = float(np.float32(max(one.reach, least) / site.bounds[1]))


def _set(group: list[Site], one: Range) -> None:
    for site in group:
        set_step(site, one)


def _inner(model: Model, tensor: str, pictures: Pictures) -> list[npt.NDArray[np.float32]]:
    probe = TensorProbe(model, [tensor])
    return [probe.read(picture)[tensor][0].copy() for picture in pictures]
