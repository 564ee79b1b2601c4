"""Layer after layer is rounded on what the int8 layers before it really give."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from edge.engine.probe import TensorProbe
from edge.model.weights import quantize_weight
from edge.quant.cut import cut_behind
from edge.quant.rounding import Moments, refit, round_weight
from edge.quant.simulate import simulate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    from edge.model.onnx_file import Model
    from edge.quant.network import Conv, Network

    Floats = npt.NDArray[np.float32]

WINDOWS = 256
"""Places of one picture that a layer is fitted on."""

MOST_BYTES = 2**28
"""Memory that inner tensors of all pictures may take; beyond it they are computed again."""


def reconstruct(
    network: Network,
    target: Model,
    pictures: Sequence[npt.NDArray[np.uint8]],
    progress: Callable[[float], None],
) -> None:
    """Round every weight of the network in place, and set the biases that go with it.

    Args:
        network: each site has its step.
        target: the float model whose convolutions' outputs are wanted; a convolution of the
            network with twice the channels wants them twice.
        pictures: uint8, (H, W, 3), BGR, of the network's input size.
        progress: called with the share done, 0 to 1.
    """
    stages = list(dict.fromkeys(conv.source for conv in network.convs.values()))
    feed = _Feed(list(pictures))
    for number, tensor in enumerate(stages):
        readers = network.readers_of(tensor)
        active = [name for name in stages[: number + 1] if name in network.sites]
        if any(conv.dense for conv in readers):
            feed = _fit_stage(network, target, tensor, active, feed)
        for conv in readers:
            if not conv.dense:
                round_to_nearest(conv)
        progress((number + 1) / len(stages))


@dataclass(slots=True, eq=False)
class _Feed:
    """What goes into the two networks: the pictures, or an inner tensor of each.

    Attributes:
        pictures: uint8, (H, W, 3), BGR.
        start: the inner tensor; empty where there is none.
        given: its levels in the int8 network, int16 (C, H, W) a picture.
        wanted: its values in the float network as a share of `reaches`, float16 (C, H, W).
        reaches: the largest magnitude in the float network, one a picture.
        step: of the levels.
    """

    pictures: list[npt.NDArray[np.uint8]]
    start: str = ""
    given: list[npt.NDArray[np.int16]] = field(default_factory=list)
    wanted: list[npt.NDArray[np.float16]] = field(default_factory=list)
    reaches: list[float] = field(default_factory=list)
    step: float = 1.0

    @property
    def complete(self) -> bool:
        """True when every picture's tensors are kept."""
        return len(self.given) == len(self.pictures)

    def keep(self, entering: Floats, leaving: Floats) -> None:
        """Add the tensors of the next picture, unless all of them would take too much memory."""
        if (entering.size * 2 + leaving.size * 2) * len(self.pictures) > MOST_BYTES:
            return
        self.given.append(np.rint(entering / np.float32(self.step)).astype(np.int16))
        self.reaches.append(float(np.abs(leaving).max()) or 1.0)
        self.wanted.append((leaving / np.float32(self.reaches[-1])).astype(np.float16))

    def probes(
        self, given: Model, wanted: Model, read: str, names: list[str]
    ) -> Iterator[tuple[Floats, dict[str, Floats]]]:
        """Yield of each picture the tensor `read` of `given` and those of `wanted`."""
        if self.start:
            shape = (1, *self.given[0].shape)
            parts = (
                cut_behind(given, f"{self.start}/dq", shape, [read]),
                cut_behind(wanted, self.start, (1, *self.wanted[0].shape), names),
            )
            if parts[0] is not None and parts[1] is not None:
                first, second = TensorProbe(parts[0], [read]), TensorProbe(parts[1], names)
                for levels, values, reach in zip(
                    self.given, self.wanted, self.reaches, strict=True
                ):
                    entering = levels.astype(np.float32) * np.float32(self.step)
                    leaving = values.astype(np.float32) * np.float32(reach)
                    yield first.read(entering)[read][0], second.read(leaving)
                return
        first, second = TensorProbe(given, [read]), TensorProbe(wanted, names)
        for picture in self.pictures:
            yield first.read(picture)[read][0], second.read(picture)


def round_to_nearest(conv: Conv) -> None:
    """Round a convolution in place without a look at any picture."""
    conv.integers, conv.steps = quantize_weight(conv.weight.astype(np.float32))
    sides = [-1, *[1] * (conv.weight.ndim - 1)]
    conv.weight = conv.integers.astype(np.float64) * conv.steps.reshape(sides).astype(np.float64)


def _fit_stage(
    network: Network, target: Model, tensor: str, active: list[str], feed: _Feed
) -> _Feed:
    """Round all plain convolutions that read one activation, and give what feeds the next ones."""
    convs = [conv for conv in network.readers_of(tensor) if conv.dense]
    site = network.sites.get(tensor)
    moments = {c.name: Moments(int(np.prod(c.weight.shape[1:])), len(c.bias)) for c in convs}
    behind = _Feed(feed.pictures, tensor, step=site.step if site else 1)
    names = [*(conv.name for conv in convs), tensor]
    read = f"{tensor}/dq" if site else tensor
    pairs = feed.probes(simulate(network, active), target, read, names)
    for number, (entering, leaving) in enumerate(pairs):
        for conv in convs:
            places = np.random.default_rng([number, conv.weight.size])
            windows, chosen = sample_windows(entering, conv, places)
            outputs = leaving[conv.name][0].reshape(leaving[conv.name].shape[1], -1)[:, chosen].T
            copies = len(conv.bias) // outputs.shape[1]
            moments[conv.name].add(windows, np.tile(outputs, copies))
        behind.keep(entering, leaving[tensor][0])
    for conv in convs:
        _round_fitted(conv, moments[conv.name])
    return behind if site and behind.complete else feed


def _round_fitted(conv: Conv, moments: Moments) -> None:
    flat = conv.weight.reshape(len(conv.bias), -1)
    rounded = round_weight(refit(flat, moments), moments.covariance())
    values = rounded.values()
    conv.integers = rounded.integers.reshape(conv.weight.shape)
    conv.steps = rounded.steps
    conv.weight = values.reshape(conv.weight.shape)
    conv.bias = moments.mean_output() - conv.offset - values @ moments.mean_input()


def sample_windows(
    tensor: Floats, conv: Conv, places: np.random.Generator
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Cut what a convolution sees at up to `WINDOWS` places of its output.

    Args:
        tensor: float32, (C, H, W).
        conv: plain, of two dimensions.
        places: chooses where.

    Returns:
        float32 (N, C * kernel height * kernel width), and the N places, counted row by row.
    """
    top, left, bottom, right = conv.pads
    padded = np.pad(tensor, ((0, 0), (top, bottom), (left, right)))
    kernel = conv.weight.shape[2:]
    every = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(1, 2))
    strided = every[:, :: conv.strides[0], :: conv.strides[1]]
    rows, columns = strided.shape[1:3]
    chosen = np.arange(rows * columns)
    if len(chosen) > WINDOWS:
        chosen = np.sort(places.choice(chosen, WINDOWS, replace=False))
    windows = strided[:, chosen // columns, chosen % columns].transpose(1, 0, 2, 3)
    return np.ascontiguousarray(windows.reshape(len(chosen), -1)), chosen
