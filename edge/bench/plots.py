"""Draws what a measurement looks like; see `edge.report.Page.add_plot`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge.report import shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from edge.report import Colors, Draw

    Values = npt.NDArray[np.float64]

BINS = 80
LINES, MARKS = ("-", "--", ":"), ("o", "s", "^")
LEGEND_ROW_IN, BAR_IN, AROUND_BARS_IN = 0.19, 0.17, 1.0
HALF_LETTERS, WHOLE_LETTERS, BESIDE_LETTERS = 42, 88, 56
"""How much of a name fits into half the width of a plot, all of it, and beside its bars."""


@dataclass(frozen=True, slots=True, eq=False)
class CaseOverTime:
    """The rounds of a case, one value each.

    Attributes:
        name: of the case.
        seconds: since the start of the measurement.
        medians_ms: latency.
        p90s_ms: its 90th percentile.
        watts: mean power; NaN where it was not metered.
    """

    name: str
    seconds: Values
    medians_ms: Values
    p90s_ms: Values
    watts: Values


def legend_in(names: Sequence[str]) -> float:
    """Give the height in inches that the names of cases take above a plot."""
    return LEGEND_ROW_IN * -(-len(names) // _legend_columns(names))


def bars_in(count: int) -> float:
    """Give the height in inches of a plot of so many bars."""
    return AROUND_BARS_IN + BAR_IN * count


def draw_spread(spreads: Sequence[tuple[str, Values]]) -> Draw:
    """Give the plot of all latencies in milliseconds, by the name of their case."""
    low = min(float(values.min()) for _, values in spreads)
    high = max(float(values.max()) for _, values in spreads)
    edges = np.geomspace(low * 0.99, max(high, low * 1.1) * 1.01, BINS + 1)

    def draw(figure: Figure, colors: Colors) -> None:
        histogram, shares = figure.subplots(1, 2, sharex=True)
        for number, (name, values) in enumerate(spreads):
            color, line, _ = _look_of(number, colors)
            counts, _ = np.histogram(values, edges)
            histogram.stairs(
                counts / len(values),
                edges,
                label=shorten(name, WHOLE_LETTERS),
                edgecolor=color,
                linestyle=line,
            )
            ordered = np.sort(values)
            upto = np.arange(1, len(ordered) + 1) / len(ordered)
            shares.step(ordered, upto, where="post", color=color, linestyle=line)
        histogram.set(xscale="log", xlabel="ms", ylabel="share")
        shares.set(xlabel="ms", ylabel="share not above", ylim=(0, 1.02))
        for axes in (histogram, shares):
            _name_milliseconds(axes, low, high)
        _add_legend(figure, [name for name, _ in spreads])

    return draw


def draw_over_time(cases: Sequence[CaseOverTime], heat: Sequence[tuple[float, float]]) -> Draw:
    """Give the plot of rounds over time, with the power below them where there is a meter.

    Args:
        cases: what is plotted.
        heat: seconds and °C of the hottest zone; below all, where there are any.
    """
    metered = has_power(cases)
    ratios = [3, *[1] * (metered + bool(heat))]

    def draw(figure: Figure, colors: Colors) -> None:
        rows = figure.subplots(
            len(ratios), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": ratios}
        )[:, 0]
        for number, one in enumerate(cases):
            color, _, mark = _look_of(number, colors)
            look = {"marker": mark, "markersize": 3, "color": color, "linestyle": ""}
            label = shorten(one.name, WHOLE_LETTERS)
            rows[0].vlines(
                one.seconds, one.medians_ms, one.p90s_ms, color=color, alpha=0.4, linewidth=1
            )
            rows[0].plot(one.seconds, one.medians_ms, label=label, **look)
            if metered:
                rows[1].plot(one.seconds, one.watts, **look)
        rows[0].set(yscale="log", ylabel="ms")
        if metered:
            rows[1].set_ylabel("W")
            most_w = np.nanmax(np.concatenate([one.watts for one in cases]))
            rows[1].set_ylim(0, max(1.1 * most_w, 0.1))
        if heat:
            rows[-1].plot(*zip(*heat, strict=True), color=colors.quiet)
            rows[-1].ticklabel_format(axis="y", useOffset=False)
            rows[-1].set_ylabel("°C")
        rows[-1].set_xlabel("s since the start")
        every = np.concatenate([[*one.medians_ms, *one.p90s_ms] for one in cases])
        _name_milliseconds(rows[0], float(every.min()), float(every.max()), along="y")
        _add_legend(figure, [one.name for one in cases])

    return draw


def has_power(cases: Sequence[CaseOverTime]) -> bool:
    """Tell whether the power is known in some round."""
    return any(np.isfinite(one.watts).any() for one in cases)


def draw_throughput(points: Sequence[tuple[str, float, float, int]]) -> Draw:
    """Give the plot of pictures a second over ms: name, ms, fps and batch."""

    def draw(figure: Figure, colors: Colors) -> None:
        axes = figure.subplots()
        for number, (name, latency_ms, fps, batch) in enumerate(points):
            color, _, mark = _look_of(number, colors)
            axes.plot([latency_ms], [fps], mark, color=color, label=shorten(name, WHOLE_LETTERS))
            axes.annotate(str(batch), (latency_ms, fps), xytext=(5, 5), textcoords="offset points")
        axes.set(xlabel="median latency, ms", ylabel="pictures a second")
        axes.set_xlim(0, 1.1 * max(latency_ms for _, latency_ms, _, _ in points))
        axes.set_ylim(0, 1.15 * max(fps for _, _, fps, _ in points))
        _add_legend(figure, [name for name, *_ in points])

    return draw


def draw_energy(bars: Sequence[tuple[str, float, float | None]]) -> Draw:
    """Give the plot of mJ a picture: name of the case, all of it, and what is above idle."""
    names = [name for name, _, _ in bars]
    above_mj = [above for _, _, above in bars if above is not None]
    places = range(len(bars))

    def draw(figure: Figure, colors: Colors) -> None:
        axes = _axes_of_bars(figure, names, "mJ a picture")
        axes.barh(
            places,
            [mj for _, mj, _ in bars],
            color=colors.quiet if above_mj else colors.cycle[0],
            alpha=0.5 if above_mj else 1.0,
            label="idle",
        )
        if above_mj:
            axes.barh(places, above_mj, color=colors.cycle[0], label="above idle")
            figure.legend(loc="outside upper left", ncols=2)

    return draw


def draw_layers(bars: Sequence[tuple[str, float]]) -> Draw:
    """Give the plot of microseconds by the name of the layer."""

    def draw(figure: Figure, colors: Colors) -> None:
        axes = _axes_of_bars(figure, [name for name, _ in bars], "µs")
        axes.barh(range(len(bars)), [value for _, value in bars], color=colors.cycle[0])

    return draw


def _axes_of_bars(figure: Figure, names: Sequence[str], label: str) -> Axes:
    """Give axes with a name at each place from 0 on, the first one on top."""
    axes = figure.subplots()
    axes.set_yticks(range(len(names)), [shorten(name, BESIDE_LETTERS) for name in names])
    axes.tick_params(axis="y", labelsize=7)
    axes.invert_yaxis()
    axes.set_xlabel(label)
    axes.grid(visible=False, axis="y")
    return axes


def _add_legend(figure: Figure, names: Sequence[str]) -> None:
    figure.legend(loc="outside upper left", ncols=_legend_columns(names))


def _legend_columns(names: Sequence[str]) -> int:
    return 1 if max(map(len, names)) > HALF_LETTERS else 2


def _look_of(number: int, colors: Colors) -> tuple[str, str, str]:
    """Give colour, line and mark of a case; the other two differ where the colours come again."""
    again, place = divmod(number, len(colors.cycle))
    return colors.cycle[place], LINES[again % len(LINES)], MARKS[again % len(MARKS)]


def _name_milliseconds(axes: Axes, low: float, high: float, along: str = "x") -> None:
    """Mark a logarithmic axis with plain numbers: matplotlib names powers of ten alone."""
    marks = mark_milliseconds(low, high)
    getattr(axes, f"set_{along}ticks")(marks, [f"{mark:g}" for mark in marks])
    getattr(axes, f"set_{along}ticks")([], minor=True)


def mark_milliseconds(low: float, high: float) -> list[float]:
    """Give the round numbers between two that mark a logarithmic axis."""
    wanted = [base * 10.0**power for power in range(-4, 6) for base in (1, 2, 5)]
    marks = [mark for mark in wanted if low * 0.95 <= mark <= high * 1.05]
    if len(marks) >= 3:
        return marks
    third = max(high - low, low * 0.001) / 3 * (1 + 1e-9)  # which rounding must not make smaller
    power = 10.0 ** math.floor(math.log10(third))
    step = max(base * power for base in (1, 2, 5) if base * power <= third)
    return [number * step for number in range(math.ceil(low / step), int(high / step) + 2)]
