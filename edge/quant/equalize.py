"""Channels of one activation brought to one range, without a change of the float function.

A positive factor a channel goes through Relu, max pool and concat: it is taken out of the
convolution that makes the channel and put into those that read it. The whole split goes to the
activations, because learned rounding of the weights copes with what is left to them.
Source: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction",
arXiv:1906.04721, section 4.1; the use of measured ranges in the place of weights is ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from edge.quant.network import Network, Site

    Array = npt.NDArray[np.float64]

QUIETEST = 1 / 128
"""Smallest range of a channel that is told apart, as a share of the loudest one's."""


def equalize(network: Network, maxima: Mapping[str, Array]) -> dict[str, Array]:
    """Scale the convolutions in place and give what each activation's channels are divided by.

    Args:
        network: float weights.
        maxima: site to the largest magnitude of each channel, float64 (C,).

    Returns:
        Site to positive factors, float64 (C,); all 1 where nothing can be scaled.
    """
    factors = {}
    for group in network.groups():
        if group[0].pieces:
            own = _factors(network, group, maxima)
            _scale(network, group, own)
            for site in group:
                factors[site.tensor] = np.concatenate([own[name] for name in site.pieces])
        else:
            factors.update({site.tensor: np.ones_like(maxima[site.tensor]) for site in group})
    return factors


def _factors(network: Network, group: list[Site], maxima: Mapping[str, Array]) -> dict[str, Array]:
    """Give each convolution's range a channel, the largest of all places where it is read."""
    ranges: dict[str, Array] = {}
    for site in group:
        for name, part in split_channels(network, site, maxima[site.tensor]).items():
            ranges[name] = np.maximum(ranges.get(name, 0.0), part)
    loudest = max(float(part.max(initial=0.0)) for part in ranges.values()) or 1.0
    return {name: np.maximum(part, loudest * QUIETEST) for name, part in ranges.items()}


def _scale(network: Network, group: list[Site], factors: Mapping[str, Array]) -> None:
    for name, factor in factors.items():
        conv = network.convs[name]
        conv.weight /= factor.reshape(-1, *[1] * (conv.weight.ndim - 1))
        conv.bias /= factor
    for site in group:
        whole = np.concatenate([factors[name] for name in site.pieces])
        for reader in site.readers:
            network.convs[reader].weight *= whole[None, :, None, None]


def split_channels(network: Network, site: Site, values: Array) -> dict[str, Array]:
    """Cut an array over a site's channels into one for each convolution that makes them."""
    parts: dict[str, Array] = {}
    first = 0
    for name in site.pieces:
        channels = len(network.convs[name].bias)
        part = values[first : first + channels]
        parts[name] = np.maximum(parts.get(name, 0.0), part)
        first += channels
    return parts
