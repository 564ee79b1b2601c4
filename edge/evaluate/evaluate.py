"""Judges a model on pictures: how often it is right, and what it answers beside another one."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from edge.camera.stills import read_still
from edge.errors import InputError
from edge.evaluate.lanes import Lanes
from edge.evaluate.report import EvalReport, Judged
from edge.evaluate.tally import AccuracyTally, ComparisonTally

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.evaluate.dataset import Pictures
    from edge.evaluate.lanes import Contender, Scores

    Mark = tuple[str, int | None]

log = logging.getLogger(__name__)


def evaluate(
    pictures: Pictures,
    model: Contender,
    against: Contender | None,
    progress: Callable[[int], None] = lambda _done: None,
) -> EvalReport:
    """Send every picture through the model as `edge run` does, and count its answers.

    Args:
        pictures: their classes count where they are known.
        model: that is judged.
        against: another one with the same classes, that sees the same pictures.
        progress: called with the count of pictures that were read.

    Raises:
        InputError: the models' classes differ, or no picture can be decoded.
        EngineLostError: a device failed.
        ModelError: a model gives scores that are no numbers.
    """
    _check_classes(model, against)
    run = _Run(pictures, model, against)
    for done, mark in enumerate(pictures, start=1):
        run.start(mark)
        progress(done)
    return run.finish()


class _Run:
    """The state of one evaluation."""

    def __init__(self, pictures: Pictures, model: Contender, against: Contender | None) -> None:
        self._pictures = pictures
        self._contenders = [model] if against is None else [model, against]
        self._lanes: Lanes[Mark] = Lanes(self._contenders)
        self._accuracy = AccuracyTally(model.contract)
        self._comparison = None if against is None else ComparisonTally(model, against)
        self._unreadable: list[str] = []
        self._count = 0

    def start(self, mark: Mark) -> None:
        """Read a picture and start it; a damaged one is noted and counts nowhere else."""
        if self._lanes.is_full:
            self._take()
        name, _ = mark
        try:
            self._lanes.put(mark, read_still(self._pictures.root / name))
        except InputError as error:
            log.info("%s: %s", name, error)
            self._unreadable.append(name)

    def finish(self) -> EvalReport:
        """Wait for what is in flight and give what was counted."""
        while len(self._lanes):
            self._take()
        if not self._count:
            raise InputError(
                f"{self._pictures.source}: none of its {len(self._unreadable)} pictures can be"
                " decoded",
                hint="Check that the files are whole pictures",
            )
        model, *others = map(_describe, self._contenders)
        named_by, compared = self._pictures.named_by, self._comparison
        return EvalReport(
            model=model,
            source=self._pictures.source,
            n=self._count,
            unreadable=tuple(self._unreadable),
            accuracy=None if named_by is None else self._accuracy.accuracy(named_by),
            comparison=None if compared is None else compared.comparison(model, others[0]),
        )

    def _take(self) -> None:
        (name, truth), (scores, *others) = self._lanes.take()
        self._count += 1
        is_right = truth is not None and self._accuracy.add(name, truth, scores)
        if self._comparison is not None:
            self._compare((name, truth), (scores, others[0]), self._comparison, is_right=is_right)

    def _compare(
        self, mark: Mark, both: tuple[Scores, Scores], tally: ComparisonTally, *, is_right: bool
    ) -> None:
        name, truth = mark
        tally.add(*both)
        if truth is not None:
            tally.add_right(model=is_right, other=tally.accuracy.add(name, truth, both[1]))


def _describe(contender: Contender) -> Judged:
    info, contract = contender.engine.info, contender.contract
    return Judged(contract.name, info.name, info.device, info.precision, contract.labels)


def _check_classes(model: Contender, against: Contender | None) -> None:
    if against is None or model.contract.labels == against.contract.labels:
        return
    one, other = model.contract, against.contract
    if len(one.labels) != len(other.labels):
        wrong = f"has {len(other.labels)} classes, {one.name} has {len(one.labels)}"
    else:
        place = next(i for i, pair in enumerate(zip(one.labels, other.labels, strict=True))
                     if pair[0] != pair[1])  # fmt: skip
        wrong = (
            f"calls class {place} {other.labels[place]!r}, {one.name} calls it"
            f" {one.labels[place]!r}"
        )
    raise InputError(f"{other.name}: {wrong}", hint="Compare two models of the same classes")
