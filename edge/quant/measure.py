"""What the pictures decide before any weight is rounded, apart from what is done with it.

Whether it was measured now or read from a table, the network is changed by `settle` alone: the same
decisions give the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge.quant.equalize import equalize
from edge.quant.margins import set_step, set_steps
from edge.quant.ranges import measure_ranges
from edge.quant.simulate import simulate
from edge.quant.twice import can_be_doubled, double

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from edge.model.contract import Contract
    from edge.model.onnx_file import Model
    from edge.quant.dataset import CalibrationSet
    from edge.quant.margins import Range
    from edge.quant.network import Network

    Progress = Callable[[float], None]

FEWEST_TO_JUDGE = 16
"""Pictures below which a part of them says nothing about ranges."""

JUDGES = 32
"""Most pictures that ranges are judged by."""

WORTH_DOUBLING = 0.0002
"""Divergence in nats a picture from which an activation is worth a second copy."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Every decision, activation by activation.

    Attributes:
        maxima: activation to the largest magnitude of each channel.
        ranges: activation to its range, in equalised values.
        doubled: activations whose channels are computed twice.
    """

    maxima: dict[str, tuple[float, ...]]
    ranges: dict[str, Range]
    doubled: tuple[str, ...]


def measure(
    network: Network, calibration: CalibrationSet, progress: Progress, *, judged: bool
) -> Measured:
    """Decide ranges and what is doubled.

    One pass measures ranges in memory that does not grow with the pictures; up to `JUDGES` of them
    are then kept as bytes.

    Args:
        network: float weights; it is equalised in place and of no further use.
        calibration: the pictures.
        progress: called with the share done, 0 to 1.
        judged: choose ranges by what they do to the output, where there are pictures enough.

    Raises:
        ModelError: a value is not finite.
    """
    contract, total = network.model.contract, len(calibration.pictures)
    apart: set[int] = set()
    if judged and total >= FEWEST_TO_JUDGE:
        apart = evenly(total, min(JUDGES, total // 4))
    ends = 0.4 if apart else 1.0
    histograms = measure_ranges(
        network.model,
        list(network.sites),
        zip(calibration.files, calibration.views(contract), strict=True),
        apart,
        lambda done: progress(ends * done / total),
    )
    maxima = {name: one.largest for name, one in histograms.items()}
    factors = equalize(network, maxima)
    joined = {name: one.join(factors[name]) for name, one in histograms.items()}
    judges = keep_views(calibration, contract, apart) if apart else []
    ranges = set_steps(network, joined, judges, lambda share: progress(ends + (1 - ends) * share))
    doubled = tuple(
        site.tensor
        for site in network.sites.values()
        if (ranges[site.tensor].harm_nats or 0.0) > WORTH_DOUBLING and can_be_doubled(network, site)
    )
    return Measured(
        maxima={name: tuple(values.tolist()) for name, values in maxima.items()},
        ranges=ranges,
        doubled=doubled,
    )


def settle(network: Network, measured: Measured) -> Model:
    """Equalise, set the steps and double in place.

    Args:
        network: float weights, as it was read.
        measured: of this network.

    Returns:
        The float model that the int8 one is to follow: equalised and nothing more.
    """
    equalize(network, {name: np.array(values) for name, values in measured.maxima.items()})
    target = simulate(network)
    for site in network.sites.values():
        set_step(site, measured.ranges[site.tensor])
    for name in measured.doubled:
        double(network, network.sites[name])
    return target


def evenly(total: int, most: int) -> set[int]:
    """Choose up to `most` numbers below `total`, evenly spread."""
    return {round(place) for place in np.linspace(0, total - 1, min(most, total))}


def keep_views(
    calibration: CalibrationSet, contract: Contract, numbers: set[int]
) -> list[npt.NDArray[np.uint8]]:
    """Give some of the pictures as the network sees them, in order, uint8 (H, W, 3) BGR."""
    return [view.copy() for view in calibration.views(contract, sorted(numbers))]
