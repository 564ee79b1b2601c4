"""What the network says of one frame: scores become probabilities and a top-k."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Guess:
    """One class and how likely the network finds it.

    Attributes:
        label: the class's name.
        index: its place in the model's labels.
        p: probability, 0 to 1.
    """

    label: str
    index: int
    p: float


@dataclass(frozen=True, slots=True)
class Result:
    """The top-k guesses, most likely first."""

    top: tuple[Guess, ...]


def softmax(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Turn scores, float32 (C,), into probabilities that sum to one."""
    shifted: npt.NDArray[np.float32] = np.exp(scores - np.max(scores))
    shifted /= shifted.sum()
    return shifted


def classify(
    scores: npt.NDArray[np.float32], labels: Sequence[str], top_k: int, *, are_logits: bool
) -> Result:
    """Make the result of one frame.

    Args:
        scores: float32, (C,).
        labels: C names.
        top_k: how many guesses; at most C are given.
        are_logits: the scores still want a softmax.
    """
    p = softmax(scores) if are_logits else scores
    best = pick_best(scores, top_k).tolist()
    return Result(tuple(Guess(labels[i], i, float(p[i])) for i in best))


def pick_best(scores: npt.NDArray[np.float32], top_k: int) -> npt.NDArray[np.intp]:
    """Give the places of the highest scores, highest first; of equal ones the first.

    Sorts only what may be among them, since a whole sort costs more than all else of a frame.

    Args:
        scores: (C,).
        top_k: how many; at most C are given.
    """
    count = min(top_k, scores.size)
    least = np.partition(scores, -count)[-count]
    places = np.flatnonzero(~(scores < least))  # not >=, so that NaN stays in
    return places[np.argsort(-scores[places], kind="stable")[:count]]
