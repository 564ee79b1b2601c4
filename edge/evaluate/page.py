"""An evaluation as one page: figures, confusion, calibration, and the worst mistakes to look at."""

from __future__ import annotations

import base64
import math
from typing import TYPE_CHECKING

import numpy as np

from edge.image import decode, to_thumbnail
from edge.report import Page, escape, shorten
from edge.stats import wilson_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from edge.evaluate.dataset import Pictures
    from edge.evaluate.report import Accuracy, ClassAccuracy, Comparison, EvalReport, Mistake
    from edge.report import Colors
    from edge.stats import Estimate, ReliabilityBin

FEW_CLASSES = 30
"""Up to which each class has its name on the matrix and its row in the table."""

NUMBERED = 12
"""Classes up to which the matrix has its counts written in."""

LETTERS = 28
"""Of a class's name on the matrix."""

CELLS = 100
"""Most squares a side of the matrix; with more classes, neighbours share one."""

SHOWN = 20
"""Rows of a table that would be endless."""

THUMBNAIL_PX = 192

MISTAKES = """<figure class=mistake><img src="data:image/jpeg;base64,{jpeg}" alt="{file}">
<figcaption><b>{said}</b> {p:.0f}&nbsp;%<br>is {truth}, {p_truth:.0f}&nbsp;%<br>
<span class=quiet>{file}</span></figcaption></figure>"""
STYLE = """<style>
.mistakes { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr));
  gap: 1rem; }
.mistake { margin: 0; }
.mistake b { color: var(--ink); }
.mistake img { width: 100%; aspect-ratio: 1; object-fit: cover; }
</style>"""


def make_page(found: EvalReport, pictures: Pictures) -> Page:
    """Draw the page of what was found; the pictures of the worst mistakes are read again.

    Raises:
        InputError: a picture cannot be read any more.
        MissingExtraError: matplotlib is not installed.
    """
    model, accuracy, comparison = found.model, found.accuracy, found.comparison
    page = Page(
        f"{model.name} on {found.n} pictures",
        f"{found.source}; {model.engine} {model.precision} on {model.device}",
    )
    page.add_warnings(_warnings(found))
    if accuracy is not None:
        page.add_figures(_accuracy_figures(accuracy))
    if comparison is not None:
        _add_comparison(page, found.model.name, comparison)
    if accuracy is not None:
        _add_calibration(page, accuracy)
        _add_classes(page, accuracy, model.labels)
        _add_mistakes(page, accuracy.worst, pictures, model.labels)
    return page


def _warnings(found: EvalReport) -> list[str]:
    texts = []
    if found.unreadable:
        names = ", ".join(found.unreadable[:SHOWN])
        more = len(found.unreadable) - SHOWN
        rest = f" and {more} more" if more > 0 else ""
        texts.append(f"Left out, for they cannot be decoded: {names}{rest}.")
    if found.accuracy is not None:
        counted, every = len(found.accuracy.per_class()), len(found.model.labels)
        if counted < every:
            texts.append(f"{every - counted} of the model's {every} classes have no picture here.")
    return texts


def _accuracy_figures(accuracy: Accuracy) -> dict[str, str]:
    figures = {"top-1, 95 % interval": _percent(accuracy.top1)}
    if accuracy.top5 is not None:
        figures["top-5, 95 % interval"] = _percent(accuracy.top5)
    return figures


def _add_comparison(page: Page, name: str, comparison: Comparison) -> None:
    other = comparison.other
    page.add_heading(f"Beside {other.name}")
    kl, (first, second) = comparison.kl, comparison.kl_of
    page.add_text(
        f"{other.engine} {other.precision} on {other.device}, the same pictures. The divergence is"
        f" that of Kullback and Leibler, of {second} from {first}."
    )
    figures = {
        "same answer": _percent(comparison.agreement),
        "divergence, nats a picture": f"{kl.value:.4f}"
        + (f" ({kl.low:.4f} to {kl.high:.4f})" if math.isfinite(kl.high) else ""),
    }
    if comparison.top1 is not None:
        figures["its top-1"] = _percent(comparison.top1)
    if comparison.top5 is not None:
        figures["its top-5"] = _percent(comparison.top5)
    if comparison.gain is not None:
        gain = comparison.gain
        figures[f"top-1 of {name} less that, points"] = (
            f"{100 * gain.value:+.2f} ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})"
        )
    page.add_figures(figures)


def _add_calibration(page: Page, accuracy: Accuracy) -> None:
    bins = accuracy.reliability
    page.add_heading("Are its probabilities right?")
    page.add_text(
        f"Of the answers given with 80 % probability, 80 % should be right. Expected calibration"
        f" error {100 * accuracy.ece:.1f} % in {len(bins)} bins of equal width."
    )
    caption = (
        "Share of right answers by their probability, with 95 % intervals; on the line"
        " probabilities are right, below it the model is too sure. Beneath: how many answers."
    )
    page.add_plot(
        "reliability", caption, lambda figure, colors: _draw_reliability(figure, colors, bins),
        height_in=4.2,
    )  # fmt: skip


def _add_classes(page: Page, accuracy: Accuracy, labels: Sequence[str]) -> None:
    page.add_heading("Classes")
    matrix, width = _in_blocks(accuracy.matrix)
    sharing = "" if width == 1 else f" Each square is {width} by {width} classes in their order."
    page.add_plot(
        "confusion",
        f"Confusion: a row is the class of the picture, a column what the model said, stronger is a"
        f" larger share of the row.{sharing}",
        lambda figure, colors: _draw_confusion(figure, colors, matrix, labels),
        height_in=6.4,
    )
    _add_class_table(page, accuracy.per_class(), labels)
    pairs = [pair for pair in accuracy.confused() if pair.count > 1]
    if pairs:
        page.add_heading("Taken for one another")
        if len(pairs) > SHOWN:
            page.add_text(f"The {SHOWN} most frequent of {len(pairs)} pairs.")
        rows = [
            [f"{labels[one.truth]} as {labels[one.said]}", str(one.count)] for one in pairs[:SHOWN]
        ]
        page.add_table(["class, as what", "pictures"], rows)


def _add_class_table(page: Page, classes: Sequence[ClassAccuracy], labels: Sequence[str]) -> None:
    """Show all classes where they are few, else the least accurate ones."""
    shown = list(classes)
    if len(classes) > FEW_CLASSES:
        several = [one for one in classes if one.count > 1]
        if not several:
            page.add_text("No class has more than one picture, so none has an accuracy of its own.")
            return
        shown = sorted(several, key=lambda one: one.top1.high)[:SHOWN]
        page.add_text(
            f"The {len(shown)} classes whose interval ends lowest, of {len(several)} with more than"
            " one picture."
        )
    rows = [
        [labels[one.index], str(one.count), f"{100 * one.top1.value:.1f} %", _ends(one.top1)]
        for one in shown
    ]
    page.add_table(["class", "pictures", "top-1", "95 % interval"], rows)


def _add_mistakes(
    page: Page, worst: Sequence[Mistake], pictures: Pictures, labels: Sequence[str]
) -> None:
    if not worst:
        return
    page.add_heading("Worst mistakes")
    page.add_text("Wrong answers in the order of their probability; bold is what the model said.")
    parts = [
        MISTAKES.format(
            jpeg=base64.b64encode(
                to_thumbnail(decode(pictures.root / one.file), THUMBNAIL_PX)
            ).decode(),
            file=escape(one.file),
            said=escape(labels[one.said]),
            p=100 * one.p,
            truth=escape(labels[one.truth]),
            p_truth=100 * one.p_truth,
        )
        for one in worst
    ]
    page.add_html(f"{STYLE}<div class=mistakes>{''.join(parts)}</div>")


def _draw_reliability(figure: Figure, colors: Colors, bins: Sequence[ReliabilityBin]) -> None:
    shares: Axes
    counts: Axes
    shares, counts = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    shares.plot([0, 1], [0, 1], color=colors.quiet, linestyle="--", linewidth=1)
    filled = [
        (one.confidence, wilson_interval(round(one.count * one.accuracy), one.count))
        for one in bins
        if one.accuracy is not None and one.confidence is not None
    ]
    shares.errorbar(
        [confidence for confidence, _ in filled],
        [share.value for _, share in filled],
        [
            [share.value - share.low for _, share in filled],
            [share.high - share.value for _, share in filled],
        ],
        fmt="o-",
        capsize=2,
        elinewidth=1,
    )
    shares.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share right")
    middles = [(one.low + one.high) / 2 for one in bins]
    counts.bar(middles, [one.count for one in bins], width=0.9 / len(bins))
    counts.set(xlabel="probability of the answer", ylabel="answers")


def _draw_confusion(
    figure: Figure, colors: Colors, matrix: npt.NDArray[np.int64], labels: Sequence[str]
) -> None:
    axes: Axes = figure.subplots()
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(_tint(shares, colors), interpolation="nearest", extent=_extent(matrix))
    axes.grid(visible=False)
    axes.set(xlabel="said", ylabel="class of the picture")
    if len(matrix) == len(labels) <= FEW_CLASSES:
        places, names = range(len(labels)), [shorten(label, LETTERS) for label in labels]
        axes.set_xticks(places, names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(places, names)
        axes.tick_params(labelsize=9 if len(labels) <= NUMBERED else 7)
    else:
        axes.set_xticks([])
        axes.set_yticks([])
    if len(matrix) > NUMBERED:
        return
    for (row, column), count in np.ndenumerate(matrix):
        ink = colors.paper if shares[row, column] > 0.5 else colors.ink
        if count:
            axes.text(column, row, str(count), ha="center", va="center", color=ink, fontsize=8)


def _extent(matrix: npt.NDArray[np.int64]) -> tuple[float, float, float, float]:
    side = len(matrix)
    return -0.5, side - 0.5, side - 0.5, -0.5


def _tint(shares: npt.NDArray[np.float64], colors: Colors) -> npt.NDArray[np.float64]:
    """Give colours from paper to the first of the cycle, (N, N, 3); small shares are seen too."""
    paper, full = (np.array(_rgb(one)) for one in (colors.paper, colors.cycle[0]))
    strength = np.sqrt(shares)[..., np.newaxis]
    return np.asarray(paper + (full - paper) * strength)


def _rgb(color: str) -> list[float]:
    return [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]


def _in_blocks(matrix: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], int]:
    """Sum neighbouring classes until few enough squares are left; gives the classes a square."""
    width = -(-len(matrix) // CELLS)
    starts = np.arange(0, len(matrix), width)
    summed = np.add.reduceat(np.add.reduceat(matrix, starts, axis=0), starts, axis=1)
    return np.asarray(summed), width


def _percent(share: Estimate) -> str:
    return f"{100 * share.value:.2f} % ({_ends(share)})"


def _ends(share: Estimate) -> str:
    return f"{100 * share.low:.1f} to {100 * share.high:.1f}"
