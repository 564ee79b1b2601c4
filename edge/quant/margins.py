"""How far above the largest value seen a range reaches, judged by what it does to the output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge.engine.probe import TensorProbe
from edge.quant.cut import cut_behind
from edge.quant.simulate import simulate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy.typing as npt

    from edge.model.onnx_file import Model
    from edge.quant.network import Network

    Pictures = Sequence[npt.NDArray[np.uint8]]
    Feeds = Iterable[npt.NDArray[Any]]  # pixels, or an inner tensor
    Array = npt.NDArray[np.float64]

CANDIDATES = (0.85, 1.0, 1.15, 1.35)
USUAL = 1.1


def log_probabilities(model: Model, pictures: Feeds) -> Array:
    """Run a model or a part of one; float64, (pictures, classes), natural logarithm."""
    name = model.proto.graph.output[0].name
    probe = TensorProbe(model, [name])
    rows = [probe.read(picture)[name].astype(np.float64).ravel() for picture in pictures]
    scores = np.stack(rows)
    if model.contract.output == "probabilities":
        scores = np.log(np.maximum(scores, np.finfo(np.float32).tiny))
    scores -= scores.max(axis=1, keepdims=True)
    return np.asarray(scores - np.log(np.exp(scores).sum(axis=1, keepdims=True)))


def divergence(wanted: Array, given: Array) -> float:
    """Give the mean Kullback-Leibler divergence a picture in nats, of logarithms (N, classes)."""
    return float((np.exp(wanted) * (wanted - given)).sum(axis=1).mean())


def set_steps(network: Network, reaches: Mapping[str, float], margin: float) -> None:
    """Give every site the step for a range of `margin` times its reach."""
    for site in network.sites.values():
        site.step = _step(reaches[site.tensor] * margin, site.bounds[1])


def choose_steps(
    network: Network,
    reaches: Mapping[str, float],
    pictures: Pictures,
    progress: Callable[[float], None],
) -> dict[str, float]:
    """Give every site the step whose error harms the output least, one group at a time.

    Args:
        network: float weights, equalised.
        reaches: site to the largest magnitude of other pictures than these.
        pictures: to judge by, none of which made the reaches; uint8, (H, W, 3), BGR.
        progress: called with the share done, 0 to 1.

    Returns:
        Site to the divergence that its rounding alone causes, nats a picture.
    """
    float_model = simulate(network)
    wanted = log_probabilities(float_model, pictures)
    harms: dict[str, float] = {}
    groups = network.groups()
    for number, group in enumerate(groups):
        start = group[0].tensor
        inner = _inner(float_model, start, pictures)
        trials: list[tuple[float, float]] = []
        for margin in CANDIDATES:
            for site in group:
                site.step = _step(reaches[site.tensor] * margin, site.bounds[1])
            rounded = simulate(network, [site.tensor for site in group])
            output = rounded.proto.graph.output[0].name
            part = cut_behind(rounded, start, (1, *inner[0].shape), [output])
            given = log_probabilities(part, inner) if part else log_probabilities(rounded, pictures)
            trials.append((divergence(wanted, given), margin))
        harm, margin = min(trials)
        for site in group:
            site.step = _step(reaches[site.tensor] * margin, site.bounds[1])
            harms[site.tensor] = harm
        progress((number + 1) / len(groups))
    return harms


def _inner(model: Model, tensor: str, pictures: Pictures) -> list[npt.NDArray[np.float32]]:
    probe = TensorProbe(model, [tensor])
    return [probe.read(picture)[tensor][0].copy() for picture in pictures]


def _step(reach: float, levels: int) -> float:
    return float(np.float32(max(reach, np.finfo(np.float32).tiny * 1e6) / levels))
