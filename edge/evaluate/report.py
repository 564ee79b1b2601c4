"""What an evaluation found, and the object that other programs read of it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from edge.stats import wilson_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from edge.model.class_names import NamedBy
    from edge.stats import Estimate, ReliabilityBin

EVAL_VERSION = 1
"""Goes up when a field is renamed, removed or means something else; new fields do not count."""

Row: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Judged:
    """A model, and what ran it.

    Attributes:
        name: of the model.
        engine: that ran it.
        device: that the engine ran on.
        precision: "int8" or "fp32".
        labels: of the model.
    """

    name: str
    engine: str
    device: str
    precision: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mistake:
    """A picture that got another class than its own.

    Attributes:
        file: name of the picture, from the root of the pictures.
        truth: its class.
        said: the class that the model gave.
        p: how likely the model found that, 0 to 1.
        p_truth: how likely it found the right one.
    """

    file: str
    truth: int
    said: int
    p: float
    p_truth: float


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often one class was taken for another."""

    truth: int
    said: int
    count: int


@dataclass(frozen=True, slots=True)
class ClassAccuracy:
    """How often the pictures of one class got it: `top1` is a share of `count`."""

    index: int
    count: int
    top1: Estimate


@dataclass(frozen=True, slots=True, eq=False)
class Accuracy:
    """How often a model is right.

    Attributes:
        named_by: what told the pictures' classes.
        top1: share of the pictures whose class is the first guess.
        top5: likewise among the first five; None for a model of no more than five classes.
        matrix: pictures by their class and the one that was said, int64 (C, C).
        ece: expected calibration error over `reliability`, 0 to 1.
        reliability: right answers by their probability.
        worst: wrong answers with the highest probability, falling.
    """

    named_by: NamedBy
    top1: Estimate
    top5: Estimate | None
    matrix: npt.NDArray[np.int64]
    ece: float
    reliability: tuple[ReliabilityBin, ...]
    worst: tuple[Mistake, ...]

    def per_class(self) -> list[ClassAccuracy]:
        """Give each class that has a picture, in their order."""
        counts = self.matrix.sum(axis=1)
        return [
            ClassAccuracy(
                index, int(count), wilson_interval(int(self.matrix[index, index]), int(count))
            )
            for index, count in enumerate(counts)
            if count
        ]

    def confused(self) -> list[Confusion]:
        """Give the pairs of classes that were taken for one another, most pictures first."""
        pairs = [
            Confusion(int(truth), int(said), int(self.matrix[truth, said]))
            for truth, said in zip(*self.matrix.nonzero(), strict=True)
            if truth != said
        ]
        return sorted(pairs, key=lambda pair: (-pair.count, pair.truth, pair.said))


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the model says beside another one on the same pictures.

    Attributes:
        other: the other one.
        agreement: share of the pictures with the same first guess.
        kl: mean Kullback-Leibler divergence in nats of `kl_of`: the second one from the first.
        kl_of: names of both; the first is the float one where only one is that.
        top1: of the other one; None without classes.
        top5: likewise.
        gain: top-1 of the model less that of the other one; None without classes.
    """

    other: Judged
    agreement: Estimate
    kl: Estimate
    kl_of: tuple[str, str]
    top1: Estimate | None
    top5: Estimate | None
    gain: Estimate | None


@dataclass(frozen=True, slots=True, eq=False)
class EvalReport:
    """What was found.

    Attributes:
        model: that was judged.
        source: of the pictures.
        n: how many pictures were judged.
        unreadable: names of those that could not be decoded and count nowhere else.
        accuracy: None where nobody knows the pictures' classes.
        comparison: None where there is no other model.
    """

    model: Judged
    source: str
    n: int
    unreadable: tuple[str, ...]
    accuracy: Accuracy | None
    comparison: Comparison | None

    def to_row(self) -> Row:
        """Give the object that is written as JSON; `docs/schema/eval.json` describes it."""
        return {
            "version": EVAL_VERSION,
            "kind": "eval",
            "model": _judged_row(self.model),
            "source": self.source,
            "n": self.n,
            "unreadable": list(self.unreadable),
            **_accuracy_row(self.accuracy, self.model.labels),
            **_comparison_row(self.comparison),
        }


def _judged_row(judged: Judged) -> Row:
    row = asdict(judged)
    row["classes"] = len(row.pop("labels"))
    return row


def _accuracy_row(accuracy: Accuracy | None, labels: Sequence[str]) -> Row:
    if accuracy is None:
        return _share("top1", None) | _share("top5", None)
    return {
        "classes_named_by": accuracy.named_by,
        **_share("top1", accuracy.top1),
        **_share("top5", accuracy.top5),
        "ece": round(accuracy.ece, 6),
        "ece_bins": len(accuracy.reliability),
        "reliability": [
            {name: _rounded(value) for name, value in asdict(one).items()}
            for one in accuracy.reliability
        ],
        "per_class": [
            {"index": one.index, "label": labels[one.index], "n": one.count}
            | _share("top1", one.top1)
            for one in accuracy.per_class()
        ],
        "confused": [
            {"truth": labels[pair.truth], "truth_index": pair.truth,
             "said": labels[pair.said], "said_index": pair.said, "n": pair.count}
            for pair in accuracy.confused()
        ],
        "worst": [
            {"file": one.file, "truth": labels[one.truth], "truth_index": one.truth,
             "said": labels[one.said], "said_index": one.said,
             "p": round(one.p, 6), "p_truth": round(one.p_truth, 6)}
            for one in accuracy.worst
        ],
    }  # fmt: skip


def _comparison_row(comparison: Comparison | None) -> Row:
    if comparison is None:
        return _share("agreement", None) | _share("kl", None)
    return {
        "against": _judged_row(comparison.other),
        **_share("agreement", comparison.agreement),
        **_share("kl", comparison.kl),
        "kl_of": list(comparison.kl_of),
        **_share("against_top1", comparison.top1),
        **_share("against_top5", comparison.top5),
        **_share("top1_gain", comparison.gain),
    }


def _share(name: str, estimate: Estimate | None) -> Row:
    """Give a figure and its ends; null where it is not known, or is endless."""
    ends = (None,) * 3 if estimate is None else (estimate.value, estimate.low, estimate.high)
    names = (name, f"{name}_low", f"{name}_high")
    return {name: _rounded(end) for name, end in zip(names, ends, strict=True)}


def _rounded(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, 6)
