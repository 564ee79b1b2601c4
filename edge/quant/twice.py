"""Few channels that carry much get 511 levels: each is computed twice, for its two halves.

With a step of range / 510 the first copy saturates in the middle of the range and the second one,
lowered by 255 steps, starts there; both are read with the same weights, so that they sum up to the
value. TensorRT pads channels of int8 to 32, where 16 cost as much as 32.
Source: Zhao et al., "Improving Neural Network Quantization without Retraining using Outlier
Channel Splitting", arXiv:1901.09504, is the nearest relative; splitting by range is ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from edge.quant.network import Network, Site

MOST_CHANNELS = 16
LEVELS_A_COPY = 255


def can_be_doubled(network: Network, site: Site) -> bool:
    """Tell whether an activation is made by one small convolution and read whole."""
    if site.barrier or len(site.pieces) != 1:
        return False
    channels = len(network.convs[site.pieces[0]].bias)
    alone = [group for group in network.groups() if site in group] == [[site]]
    return alone and channels <= MOST_CHANNELS


def double(network: Network, site: Site) -> None:
    """Give an activation a second copy of its channels and half the step, in place."""
    conv = network.convs[site.pieces[0]]
    site.step /= 2
    site.copies = 2
    lowered = np.full(len(conv.bias), LEVELS_A_COPY * site.step)
    conv.offset = np.concatenate([np.zeros_like(lowered), lowered])
    conv.weight = np.concatenate([conv.weight, conv.weight])
    conv.bias = np.concatenate([conv.bias, conv.bias - lowered])
    for name in site.readers:
        reader = network.convs[name]
        reader.weight = np.concatenate([reader.weight, reader.weight], axis=1)
