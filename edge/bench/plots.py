"""Draws what a measurement looks like; see `edge.report.Page.add_plot`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from edge.report import Colors, Draw

    Values = npt.NDArray[np.float64]
    OverTime = Sequence[tuple[str, Values, Values, Values]]

BINS = 80
HEAT, POWER = "°C", "W"
LINES, MARKS = ("-", "--", ":"), ("o", "s", "^")


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
                counts / len(values), edges, label=name, edgecolor=color, linestyle=line
            )
            ordered = np.sort(values)
            upto = np.arange(1, len(ordered) + 1) / len(ordered)
            shares.step(ordered, upto, where="post", color=color, linestyle=line)
        histogram.set(xscale="log", xlabel="ms", ylabel="share")
        shares.set(xlabel="ms", ylabel="share not above", ylim=(0, 1.02))
        for axes in (histogram, shares):
            _name_milliseconds(axes, low, high)
        figure.legend(loc="outside upper left", ncols=2)

    return draw


def draw_over_time(
    cases: OverTime, heat: Sequence[tuple[float, float]], power: Sequence[tuple[float, float]]
) -> Draw:
    """Give the plot of rounds over time: name, seconds, median and 90th percentile in ms.

    Args:
        cases: what is plotted above.
        heat: seconds and °C of the hottest zone; below it, where there are any.
        power: seconds and W, likewise.
    """
    beside = [(pairs, label) for pairs, label in ((heat, HEAT), (power, POWER)) if pairs]

    def draw(figure: Figure, colors: Colors) -> None:
        ratios = [3, *[1] * len(beside)]
        rows = figure.subplots(
            len(ratios), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": ratios}
        )[:, 0]
        for number, (name, seconds, medians, p90s) in enumerate(cases):
            color, _, mark = _look_of(number, colors)
            rows[0].vlines(seconds, medians, p90s, color=color, alpha=0.4, linewidth=1)
            rows[0].plot(seconds, medians, mark, markersize=3, color=color, label=name)
        rows[0].set(yscale="log", ylabel="ms")
        for axes, (pairs, label) in zip(rows[1:], beside, strict=True):
            at_s, values = zip(*sorted(pairs), strict=True)
            axes.plot(at_s, values, color=colors.quiet)
            axes.ticklabel_format(axis="y", useOffset=False)
            axes.set_ylabel(label)
            if label == POWER:
                axes.set_ylim(0, 1.1 * max(values))
        rows[-1].set_xlabel("s since the start")
        every = np.concatenate([np.concatenate([one[2], one[3]]) for one in cases])
        _name_milliseconds(rows[0], float(every.min()), float(every.max()), along="y")
        figure.legend(loc="outside upper left", ncols=2)

    return draw


def draw_throughput(points: Sequence[tuple[str, float, float, int]]) -> Draw:
    """Give the plot of pictures a second over ms: name, ms, fps and batch."""

    def draw(figure: Figure, colors: Colors) -> None:
        axes = figure.subplots()
        for number, (name, latency_ms, fps, batch) in enumerate(points):
            color, _, mark = _look_of(number, colors)
            axes.plot([latency_ms], [fps], mark, color=color, label=name)
            axes.annotate(str(batch), (latency_ms, fps), xytext=(5, 5), textcoords="offset points")
        axes.set(xlabel="median latency, ms", ylabel="pictures a second")
        axes.set_xlim(0, 1.1 * max(latency_ms for _, latency_ms, _, _ in points))
        axes.set_ylim(0, 1.15 * max(fps for _, _, fps, _ in points))
        figure.legend(loc="outside upper left", ncols=2)

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
            color=colors.line if above_mj else colors.cycle[0],
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
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", labelsize=7)
    axes.invert_yaxis()
    axes.set_xlabel(label)
    axes.grid(visible=False, axis="y")
    return axes


def _look_of(number: int, colors: Colors) -> tuple[str, str, str]:
    """Give colour, line and mark of a case; the other two differ where the colours come again."""
    again, place = divmod(number, len(colors.cycle))
    return colors.cycle[place], LINES[again % len(LINES)], MARKS[again % len(MARKS)]


def _name_milliseconds(axes: object, low: float, high: float, along: str = "x") -> None:
    """Mark a logarithmic axis with plain numbers: matplotlib names powers of ten alone."""
    wanted = [base * 10.0**power for power in range(-4, 6) for base in (1, 2, 5)]
    marks = [mark for mark in wanted if low * 0.95 <= mark <= high * 1.05]
    if len(marks) < 3:  # all lies close together
        marks = [float(f"{mark:.2g}") for mark in np.linspace(low, high, 4)]
    names = [f"{mark:g}" for mark in marks]
    getattr(axes, f"set_{along}ticks")(marks, names)
    getattr(axes, f"set_{along}ticks")([], minor=True)
