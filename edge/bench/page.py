"""The page of a measurement: figures, plots and what speaks against them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge.bench.case import CaseResult, Refused, Start
from edge.bench.figures import (
    NS_A_MS,
    cost,
    engine_spread,
    half_width_share,
    network_spread,
    round_medians,
)
from edge.bench.plots import (
    CaseOverTime,
    bars_in,
    draw_energy,
    draw_layers,
    draw_over_time,
    draw_spread,
    draw_throughput,
    has_power,
    legend_in,
)
from edge.bench.rounds import ABOUT_WARM_UP
from edge.record import Unavailable
from edge.report import HEIGHT_IN, Page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge.bench.conditions import Conditions
    from edge.bench.document import Report
    from edge.bench.figures import Cost
    from edge.bench.roofline import Bound

    Row = dict[str, Any]

LAYERS_SHOWN = 24


def make_page(report: Report) -> Page:
    """Give the page, not written yet.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    results = report.measured.results
    fixed = report.conditions.fixed
    board = fixed["board"]["module"] if fixed["board"] else fixed["cpu"]
    page = Page("edge bench", f"{board}, {fixed['system']}, {fixed['started_at']}")
    page.add_warnings([str(doubt) for doubt in report.doubts])
    page.add_figures(_main_figures(results))
    _add_latency(page, report)
    _add_cost(page, results, report.conditions)
    _add_layers(page, results)
    _add_bounds(page, report)
    _add_loop(page, report)
    _add_conditions(page, report)
    return page


def _main_figures(results: Sequence[CaseResult]) -> dict[str, str]:
    figures = {}
    for result in results:
        share = half_width_share(round_medians(result.rounds))
        known = "" if share is None else f" ± {share:.1%}"
        figures[result.case.name] = f"{engine_spread(result).p50_ms:.3f} ms{known}"
    return figures


def _add_latency(page: Page, report: Report) -> None:
    results = report.measured.results
    page.add_heading("Latency")
    page.add_text(
        "The engine alone, from submission to scores, its input being there already. Every value"
        " counts, outliers too. The figure after ± is half the 95 % interval of the median, from"
        " the order of the rounds' medians; a warm-up is stable when"
        f" {ABOUT_WARM_UP}."
    )
    heads = ("case", "count", "min", "p50", "95 % of p50", "p90", "p99", "p99.9", "max", "mean",
             "std", "network p50")  # fmt: skip
    page.add_table(heads, [_latency_row(case) for case in report.measured.cases])
    spreads = [
        (one.case.name, np.concatenate([r.latencies_ns for r in one.rounds]) / NS_A_MS)
        for one in results
    ]
    page.add_plot(
        "latency",
        "Histogram of all latencies, and the share that is not above each; both over a"
        " logarithmic axis, so that the longest are seen.",
        draw_spread(spreads),
        height_in=HEIGHT_IN + legend_in([name for name, _ in spreads]),
    )
    _add_over_time(page, report)


def _add_over_time(page: Page, report: Report) -> None:
    cases = [_over_time(one) for one in report.measured.results]
    heat = [(at_s, max(board.temperatures_c.values())) for at_s, board in report.measured.board
            if board.temperatures_c]  # fmt: skip
    rows = 1 + bool(heat) + has_power(cases)
    page.add_plot(
        "over-time",
        "Median of each round (dots) up to its 90th percentile (lines), over the measurement"
        + (", with its power" if has_power(cases) else "")
        + (", with the hottest zone" if heat else "")
        + ".",
        draw_over_time(cases, heat),
        height_in=2.0 + 1.2 * rows + legend_in([one.name for one in cases]),
    )


def _over_time(result: CaseResult) -> CaseOverTime:
    rounds = result.rounds
    return CaseOverTime(
        name=result.case.name,
        seconds=np.array([one.started_s for one in rounds]),
        medians_ms=round_medians(rounds),
        p90s_ms=np.array([float(np.quantile(one.latencies_ns, 0.9)) for one in rounds]) / NS_A_MS,
        watts=np.array([one.power_mw for one in rounds], np.float64) / 1000,
    )


def _latency_row(case: CaseResult | Refused) -> list[str]:
    if isinstance(case, Refused):
        return [f"{case.case.name}: {case.reason}", *[""] * 11]
    spread = engine_spread(case)
    interval = (
        "too few rounds"
        if spread.p50_low_ms is None
        else f"{spread.p50_low_ms:.3f} to {spread.p50_high_ms:.3f}"
    )
    return [
        case.case.name,
        str(spread.count),
        f"{spread.min_ms:.3f}",
        f"{spread.p50_ms:.3f}",
        interval,
        *(
            f"{ms:.3f}"
            for ms in (
                spread.p90_ms, spread.p99_ms, spread.p999_ms, spread.max_ms,
                spread.mean_ms, spread.std_ms, network_spread(case).p50_ms,
            )
        ),
    ]  # fmt: skip


def _add_cost(page: Page, results: Sequence[CaseResult], conditions: Conditions) -> None:
    idle_mw = conditions.idle_mw
    page.add_heading("Throughput and cost")
    heads = ("case", "fps", "CPU ms a frame", "mJ a frame", "mJ above idle", "first label, s",
             "peak memory, MiB")  # fmt: skip
    costs = [(result, cost(result, idle_mw)) for result in results]
    page.add_table(heads, [_cost_row(result, spent) for result, spent in costs])
    if len(results) > 1:
        points = [
            (one.case.name, engine_spread(one).p50_ms, spent.fps, one.case.batch)
            for one, spent in costs
        ]
        page.add_plot(
            "throughput",
            "Throughput against the median latency; the number beside a point is its batch.",
            draw_throughput(points),
            height_in=HEIGHT_IN + legend_in([name for name, *_ in points]),
        )
    energy = [
        (one.case.name, spent.energy_mj_per_frame, spent.net_energy_mj_per_frame)
        for one, spent in costs
        if spent.energy_mj_per_frame is not None
    ]
    if energy:
        at_rest = "" if idle_mw is None else f" At rest it took {idle_mw / 1000:.2f} W."
        page.add_plot(
            "energy",
            f"Energy for a picture, of {conditions.power_of}.{at_rest}",
            draw_energy(energy),
            height_in=bars_in(len(energy)),
        )


def _cost_row(result: CaseResult, spent: Cost) -> list[str]:
    start = result.start
    energy, above = spent.energy_mj_per_frame, spent.net_energy_mj_per_frame
    starts, peak = "not measured", "not measured"
    if isinstance(start, Start):
        starts = ", ".join(f"{seconds:.2f}" for seconds in start.first_label_s)
        peak = f"{start.peak_mib:.0f}"
    return [
        result.case.name,
        f"{spent.fps:.0f}",
        f"{spent.cpu_ms_per_frame:.3f}",
        "no meter" if energy is None else f"{energy:.3f}",
        "not known" if above is None else f"{above:.3f}",
        starts,
        peak,
    ]


def _add_layers(page: Page, results: Sequence[CaseResult]) -> None:
    timed = [
        (one.case.name, one.layers)
        for one in results
        if not isinstance(one.layers, Unavailable) and one.layers
    ]
    if not timed:
        return
    page.add_heading("Layers")
    page.add_text("Measured apart, for to look inside costs time. The longest, in their order.")
    for number, (name, layers) in enumerate(timed):
        least_ns = sorted(layer.took_ns for layer in layers)[-LAYERS_SHOWN:][0]
        bars = [(one.name, one.took_ns / 1e3) for one in layers if one.took_ns >= least_ns]
        page.add_plot(
            "layers" if len(timed) == 1 else f"layers-{number + 1}",
            f"{name}: time of its longest layers.",
            draw_layers(bars),
            height_in=bars_in(len(bars)),
        )


def _add_bounds(page: Page, report: Report) -> None:
    if not report.bounds:
        return
    page.add_heading("Lower bound")
    page.add_text(
        "How soon this board could be done at all, by its published limits; no prediction. Nothing"
        " beats the arithmetic; the bound with the memory holds where no cache keeps a tensor."
    )
    rows = [
        _bound_row(one, report.bounds[one.case.name])
        for one in report.measured.results
        if one.case.name in report.bounds
    ]
    page.add_table(
        ("case", "arithmetic, ms", "with memory, ms", "measured p50, ms", "limits"), rows
    )


def _bound_row(result: CaseResult, bound: Bound) -> list[str]:
    return [
        result.case.name,
        f"{bound.arithmetic_ms:.4f}",
        f"{bound.total_ms:.4f}",
        f"{engine_spread(result).p50_ms:.3f}",
        bound.limits.source,
    ]


def _add_loop(page: Page, report: Report) -> None:
    for name, row in report.loop.items():
        page.add_heading(f"Whole loop: {name}")
        if "unavailable" in row:
            page.add_text(row["unavailable"])
            continue
        page.add_text(
            f"{row['sources'][0]['name']}: {row['frames']} frames, {row['fps']:.1f} fps,"
            f" {row['dropped']} dropped."
        )
        rows = [
            [stage, *(f"{ms:.3f}" for ms in times.values())]
            for stage, times in row["stages"].items()
        ]
        page.add_table(("stage, ms", "p50", "p90", "p99", "p99.9", "max"), rows)


def _add_conditions(page: Page, report: Report) -> None:
    page.add_heading("Conditions")
    page.add_table(("what", "is"), _flat("", report.conditions.to_row()))


def _flat(prefix: str, value: object) -> list[list[str]]:
    """Give a row for each leaf of nested tables, without what is not there."""
    if isinstance(value, dict):
        return [row for key, one in value.items() for row in _flat(f"{prefix}.{key}", one)]
    if isinstance(value, list) and all(isinstance(one, dict) for one in value):  # clocks
        return _flat(
            prefix,
            {one["name"]: {key: one[key] for key in one if key != "name"} for one in value},
        )
    if isinstance(value, list):
        value = ", ".join(map(str, value)) or None
    return [] if value is None else [[prefix.strip("."), str(value)]]
