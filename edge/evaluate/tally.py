"""Counts right and wrong answers one by one, so that memory does not grow with the pictures."""

from __future__ import annotations

import heapq
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from edge.errors import InputError
from edge.evaluate.report import Accuracy, Comparison, Mistake
from edge.result import pick_best
from edge.stats import (
    Reliability,
    RunningMean,
    divergence_nats,
    log_softmax,
    paired_difference,
    wilson_interval,
)

if TYPE_CHECKING:
    from edge.evaluate.lanes import Contender, Scores
    from edge.evaluate.report import Judged
    from edge.model.class_names import NamedBy
    from edge.model.contract import Contract
    from edge.stats import Array, Estimate

RELIABILITY_BINS = 15
"""As the papers on calibration have it."""

WORST_KEPT = 24
TOP = 5

INCOMPLETE = 0.02
"""How far the probabilities of all classes may be from one before some of them are missing."""


class AccuracyTally:
    """Counts how often one model is right."""

    def __init__(self, contract: Contract) -> None:
        classes = len(contract.labels)
        self._are_logits = contract.output == "logits"
        self._matrix = np.zeros((classes, classes), dtype=np.int64)
        self._in_top5 = 0
        self._reliability = Reliability(RELIABILITY_BINS)
        self._worst: list[tuple[float, int, Mistake]] = []
        self.count = 0

    def add(self, file: str, truth: int, scores: Scores) -> bool:
        """Count a picture of a known class; tells whether the model is right."""
        best = pick_best(scores, TOP)
        said = int(best[0])
        p = np.exp(log_softmax(scores)) if self._are_logits else scores
        self.count += 1
        self._matrix[truth, said] += 1
        self._in_top5 += truth in best
        self._reliability.add(float(p[said]), is_right=said == truth)
        if said != truth:
            mistake = Mistake(file, truth, said, float(p[said]), float(p[truth]))
            self._keep(mistake)
        return said == truth

    def top1(self) -> Estimate:
        """Give the share of right answers."""
        return wilson_interval(int(self._matrix.trace()), self.count)

    def top5(self) -> Estimate | None:
        """Give the share of pictures whose class is among five; None where that means nothing."""
        return wilson_interval(self._in_top5, self.count) if len(self._matrix) > TOP else None

    def accuracy(self, named_by: NamedBy) -> Accuracy:
        """Give all that was counted, of at least one picture."""
        return Accuracy(
            named_by=named_by,
            top1=self.top1(),
            top5=self.top5(),
            matrix=self._matrix,
            ece=self._reliability.error(),
            reliability=self._reliability.bins(),
            worst=tuple(mistake for _, _, mistake in sorted(self._worst, reverse=True)),
        )

    def _keep(self, mistake: Mistake) -> None:
        """Keep the mistakes of the highest probability; of equal ones the first."""
        entry = (mistake.p, -self.count, mistake)
        if len(self._worst) < WORST_KEPT:
            heapq.heappush(self._worst, entry)
        else:
            heapq.heappushpop(self._worst, entry)


class ComparisonTally:
    """Counts how one model answers beside another.

    Args:
        model: that is judged.
        other: the one beside it, with the same classes.
    """

    def __init__(self, model: Contender, other: Contender) -> None:
        self._contracts = model.contract, other.contract
        is_other_first = (
            model.engine.info.precision == "int8" or other.engine.info.precision != "int8"
        )
        self._order = (1, 0) if is_other_first else (0, 1)
        self._alike = self._count = 0
        self._divergence = RunningMean()
        self._model_alone = self._other_alone = 0
        self.accuracy = AccuracyTally(other.contract)

    def add(self, scores: Scores, others: Scores) -> None:
        """Count a picture.

        Raises:
            InputError: one of the models gives only its best classes.
        """
        self._count += 1
        self._alike += int(pick_best(scores, 1)[0]) == int(pick_best(others, 1)[0])
        logs = [
            _log_probabilities(values, contract)
            for values, contract in zip((scores, others), self._contracts, strict=True)
        ]
        first, second = self._order
        self._divergence.add(float(divergence_nats(logs[first], logs[second])))

    def add_right(self, *, model: bool, other: bool) -> None:
        """Count which of the two is right on a picture of a known class."""
        self._model_alone += model and not other
        self._other_alone += other and not model

    def comparison(self, model: Judged, other: Judged) -> Comparison:
        """Give all that was counted, of at least one picture."""
        names = model.name, other.name
        kl = self._divergence.estimate()
        if kl is None:
            msg = "no picture was counted"
            raise ValueError(msg)
        if math.isfinite(kl.low):  # a normal distribution goes on below 0, a divergence does not
            kl = replace(kl, low=max(kl.low, 0.0))
        labelled = self.accuracy.count
        gain = None
        if labelled:
            gain = paired_difference(self._model_alone, self._other_alone, labelled)
        return Comparison(
            other=other,
            agreement=wilson_interval(self._alike, self._count),
            kl=kl,
            kl_of=(names[self._order[0]], names[self._order[1]]),
            top1=self.accuracy.top1() if labelled else None,
            top5=self.accuracy.top5() if labelled else None,
            gain=gain,
        )


def _log_probabilities(scores: Scores, contract: Contract) -> Array:
    """Give the natural logarithms of all classes' probabilities, float64 (C,).

    Raises:
        InputError: some classes are missing.
    """
    if contract.output == "logits":
        return log_softmax(scores)
    total = float(scores.sum())
    if abs(total - 1) > INCOMPLETE:
        raise InputError(
            f"{contract.name}: its probabilities sum up to {total:.2f}, so some classes are"
            " missing",
            hint="Compare a plan that was built without --top",
        )
    tiny = np.finfo(np.float32).tiny
    return np.asarray(np.log(np.maximum(scores.astype(np.float64), tiny)))
