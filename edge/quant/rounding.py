"""Weights rounded for the least squared error of a layer's output, from moments of its input."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from edge.model.weights import LEVELS, SMALLEST_SCALE

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

RIDGE = 0.1
"""Pull of the refitted weight to the given one, as a share of the mean input power."""

DAMPING = 0.01
SWEEPS = 6
SHRINKS = np.linspace(0.6, 1.0, 21)


@dataclass(slots=True, eq=False)
class Moments:
    """Running sums over pairs of what a layer reads and what it should give.

    Both are counted from the mean of the first ones: where they hardly differ, float32 sums of
    their products would lose all that is left once the means are taken out.

    Attributes:
        inputs: D, the length of one window.
        outputs: O.
    """

    inputs: int
    outputs: int
    _count: int = 0
    _first_input: npt.NDArray[np.float32] = field(init=False)
    _first_output: npt.NDArray[np.float32] = field(init=False)
    _products: Array = field(init=False)
    _crossed: Array = field(init=False)

    def __post_init__(self) -> None:
        """Start at nothing; the last row and column are those of the constant 1."""
        self._first_input = np.zeros(self.inputs, dtype=np.float32)
        self._first_output = np.zeros(self.outputs, dtype=np.float32)
        self._products = np.zeros((self.inputs + 1, self.inputs + 1))
        self._crossed = np.zeros((self.inputs + 1, self.outputs))

    def add(self, windows: npt.NDArray[np.float32], wanted: npt.NDArray[np.float32]) -> None:
        """Add rows: windows (N, D), wanted outputs (N, O)."""
        if not self._count:
            self._first_input = windows.mean(axis=0)
            self._first_output = wanted.mean(axis=0)
        ones = np.ones((len(windows), 1), dtype=np.float32)
        rows = np.concatenate([windows - self._first_input, ones], axis=1)
        self._products += rows.T @ rows
        self._crossed += rows.T @ (wanted - self._first_output)
        self._count += len(windows)

    def mean_input(self) -> Array:
        """Give the mean window, (D,)."""
        return np.asarray(self._first_input + self._input_shift())

    def mean_output(self) -> Array:
        """Give the mean of what is wanted, (O,)."""
        return np.asarray(self._first_output + self._output_shift())

    def covariance(self) -> Array:
        """Give the windows' covariance, (D, D)."""
        shift = self._input_shift()
        return np.asarray(self._products[:-1, :-1] / self._count - np.outer(shift, shift))

    def cross_covariance(self) -> Array:
        """Give the covariance of windows and wanted outputs, (D, O)."""
        crossed = self._crossed[:-1] / self._count
        return np.asarray(crossed - np.outer(self._input_shift(), self._output_shift()))

    def _input_shift(self) -> Array:
        return np.asarray(self._products[-1, :-1] / self._count)

    def _output_shift(self) -> Array:
        return np.asarray(self._crossed[-1] / self._count)


@dataclass(frozen=True, slots=True, eq=False)
class Rounded:
    """A weight on its levels.

    Attributes:
        integers: int8, (O, D), -127 to 127.
        steps: float32, (O,), positive.
    """

    integers: npt.NDArray[np.int8]
    steps: npt.NDArray[np.float32]

    def values(self) -> Array:
        """Give the weight that the integers stand for, (O, D)."""
        return self.integers.astype(np.float64) * self.steps.astype(np.float64)[:, None]


def refit(weight: Array, moments: Moments) -> Array:
    """Give the float weight that makes the wanted outputs best of the inputs that there are.

    The inputs carry the errors of all layers before; a ridge keeps the weight (O, D) near the
    given one where the pictures say little.
    """
    covariance = moments.covariance()
    ridge = RIDGE * _mean_power(covariance) * np.eye(len(covariance))
    wanted = moments.cross_covariance() + ridge @ weight.T
    return np.asarray(np.linalg.solve(covariance + ridge, wanted).T)


def round_weight(weight: Array, covariance: Array) -> Rounded:
    """Round a weight (O, D) so that its error weighs least under the inputs' covariance (D, D)."""
    damped = covariance + DAMPING * _mean_power(covariance) * np.eye(len(covariance))
    steps = _steps(weight, np.diag(damped))
    lightly = covariance + DAMPING**2 * _mean_power(covariance) * np.eye(len(covariance))
    starts = (_with_feedback(weight, damped, steps), _nearest(weight, steps))
    ends = _descend(weight, lightly, steps, starts)
    errors = [_harm(end * steps[:, None] - weight, lightly) for end in ends]
    best = np.where((errors[0] <= errors[1])[:, None], *ends)
    return Rounded(best.astype(np.int8), steps.astype(np.float32))


def _nearest(weight: Array, steps: Array) -> Array:
    return np.asarray(np.clip(np.rint(weight / steps[:, None]), -LEVELS, LEVELS))


def _harm(error: Array, covariance: Array) -> Array:
    """Give the mean square that an error of the weight (O, D) makes of each output."""
    return np.asarray((error @ covariance * error).sum(axis=1))


def _mean_power(covariance: Array) -> float:
    """Give the mean of the diagonal; of inputs that never change, 1."""
    power = float(np.diag(covariance).mean())
    return power if power > 0 else 1.0


def _steps(weight: Array, power: Array) -> Array:
    """Choose each row's step among shrunk ranges for the least error of nearest rounding."""
    largest = np.abs(weight).max(axis=1)
    best = np.full(len(weight), np.inf)
    steps = np.full(len(weight), SMALLEST_SCALE)
    for shrink in SHRINKS:
        tried = np.maximum(largest * shrink / LEVELS, SMALLEST_SCALE)
        tried = tried.astype(np.float32).astype(np.float64)
        near = _nearest(weight, tried) * tried[:, None]
        error = ((near - weight) ** 2 * power).sum(axis=1)
        better = error < best
        best[better], steps[better] = error[better], tried[better]
    return np.asarray(steps)


def _with_feedback(weight: Array, covariance: Array, steps: Array) -> Array:
    """Round column by column, each error made good by the columns that are still open.

    Source: Frantar et al., "GPTQ", arXiv:2210.17323, section 3, with the loudest input first.
    """
    order = np.argsort(-np.diag(covariance), kind="stable")
    shuffled = covariance[np.ix_(order, order)]
    factor = np.linalg.cholesky(np.linalg.inv(shuffled)).T
    left = np.ascontiguousarray(weight[:, order].T)
    integers = np.empty_like(left)
    for column, factors in enumerate(factor):
        level = np.clip(np.rint(left[column] / steps), -LEVELS, LEVELS)
        error = (left[column] - level * steps) / factors[column]
        left[column + 1 :] -= factors[column + 1 :, None] * error
        integers[order[column]] = level
    return np.ascontiguousarray(integers.T)


def _descend(
    weight: Array, covariance: Array, steps: Array, starts: tuple[Array, ...]
) -> list[Array]:
    """Move single integers while that lessens the error, from each of the starts.

    Rows never look at each other, so all starts go in one pass; and a row that stays costs nothing,
    as most do.
    """
    power = np.diag(covariance)
    order = np.argsort(-power, kind="stable")
    slope = np.concatenate([(one * steps[:, None] - weight) @ covariance for one in starts])
    integers = np.ascontiguousarray(np.concatenate(starts).T)
    every_step = np.tile(steps, len(starts))
    for _ in range(SWEEPS):
        moved = False
        for column in order:
            now = integers[column]
            wish = now - np.rint(slope[:, column] / (power[column] * every_step))
            wish = np.minimum(np.maximum(wish, -LEVELS), LEVELS)
            rows = np.flatnonzero(wish != now)
            if len(rows):
                moved = True
                move = (wish[rows] - now[rows]) * every_step[rows]
                now[rows] = wish[rows]
                slope[rows] += move[:, None] * covariance[column]
        if not moved:
            break
    return np.split(np.ascontiguousarray(integers.T), len(starts))
