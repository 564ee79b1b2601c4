"""The tables and lines of `edge bench`."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge.bench.case import CaseResult, Start
from edge.bench.figures import cost, engine_spread, half_width_share, network_spread, round_medians
from edge.bench.ratio import BETWEEN_RUNS, ratio_in_turns
from edge.bench.rounds import ABOUT_WARM_UP
from edge.record import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TextIO

    from edge.bench.diff import Diff
    from edge.bench.document import Kept, Report
    from edge.bench.measure import Measured
    from edge.bench.ratio import Ratio
    from edge.bench.roofline import Bound

    Row = dict[str, Any]

LAYERS_SHOWN = 10
BESIDE_NAME = 80
"""Letters of a line of a diff beside the name of its case."""


def print_report(report: Report, text: TextIO) -> None:
    """Print what was measured, and what speaks against it."""
    console = _console(text)
    console.print(_latency_table(report))
    console.print()
    for case in report.measured.cases:
        lines = _case_lines(case, report) if isinstance(case, CaseResult) else [case.reason]
        _say(console, case.case.name)
        for line in lines:
            _say(console, line, indent="  ")
    for name, row in report.loop.items():
        _say(console, f"{name}: whole loop")
        _say(console, row.get("unavailable") or _loop_line(row), indent="  ")
    conditions = report.conditions
    _say(console, f"stable warm-up: {ABOUT_WARM_UP}.")
    if conditions.power_of is not None:
        _say(console, f"mJ: of {conditions.power_of}, for a picture")
    _say(console, _machine_line(conditions.fixed))
    if report.doubts:
        _say(console, "What speaks against these figures:")
        for doubt in report.doubts:
            _say(console, f"- {doubt}", indent="  ")


def print_ratios(measured: Measured, text: TextIO) -> None:
    """Print how the others stand to the first, round by round."""
    first, *others = measured.results
    console = _console(text)
    console.print()
    if not others:
        _say(console, f"nothing is compared: {first.case.name} alone was measured")
    for other in others:
        ratio = ratio_in_turns(first.rounds, other.rounds)
        _say(console, f"{other.case.name} takes {_ratio_words(ratio)} as long as {first.case.name}")


def print_bound(name: str, bound: Bound, text: TextIO) -> None:
    """Print how soon a board could be done with a network, layer by layer."""
    console = _console(text)
    limits = bound.limits
    tops = limits.int8_tops if bound.precision == "int8" else limits.fp16_tflops
    _say(
        console,
        f"{name} on {limits.board} in {bound.precision.upper()}: a lower bound of its time, no"
        f" prediction of it. {tops:g} TOPS dense and {limits.bandwidth_gb_s:g} GB/s"
        f" ({limits.source}).",
    )
    if bound.precision == "fp16" and limits.int8_tops is None:
        _say(console, f"{limits.board} has no fast INT8: counted in FP16.")
    table = _table("Layer", ("MMAC", "kB", "arithmetic µs", "memory µs"))
    width = {"int8": 1, "fp16": 2}[bound.precision]
    for layer in bound.layers:
        work = layer.work
        table.add_row(
            work.name,
            f"{work.macs / 1e6:.1f}",
            f"{(work.weights + work.inputs + work.outputs) * width / 1e3:.0f}",
            f"{layer.arithmetic_ms * 1e3:.2f}",
            f"{layer.memory_ms * 1e3:.2f}",
        )
    console.print(table)
    macs = sum(layer.work.macs for layer in bound.layers)
    _say(
        console,
        f"{macs / 1e6:.0f} MMAC. Not sooner than {bound.arithmetic_ms * 1e3:.1f} µs by arithmetic;"
        f" {bound.total_ms * 1e3:.1f} µs where every tensor also goes through the memory once.",
    )


def print_diff(found: Diff, kept: tuple[Kept, Kept], fail_over: float | None, text: TextIO) -> None:
    """Print the verdict on each case, and what else is not the same."""
    console = _console(text)
    _print_verdicts(console, found, kept)
    _say(
        console,
        "change: without what the machine's own speed explains. seen from: a change of that size"
        " would be seen four times in five. at: p50 is of the rounds' medians; a lower percentile"
        " stands in where other programs made them too noisy. Runs may differ by"
        f" {BETWEEN_RUNS:.0%} by chance of their start alone, which the interval holds.",
    )
    blind = found.blind(fail_over) if fail_over is not None else ()
    if blind:
        _say(console, f"A change of {fail_over:.0%} could go unseen in: {', '.join(blind)}. Give"
             " more --seconds, or a quieter machine.")  # fmt: skip
    for side, names in (("first", found.only_before), ("second", found.only_after)):
        if names:
            _say(console, f"Only in the {side}: {', '.join(names)}")
    if found.differences:
        _say(console, "What is not the same:")
        for one in found.differences:
            _say(console, f"- {one.what}: {one.before} -> {one.after}", indent="  ")
    for side, one_kept in zip(("first", "second"), kept, strict=True):
        if one_kept.doubts:
            _say(console, f"What speaks against the {side}:")
            for doubt in one_kept.doubts:
                _say(console, f"- {doubt}", indent="  ")


def _print_verdicts(console: Console, found: Diff, kept: tuple[Kept, Kept]) -> None:
    """Print a line a case, with numbers for names that are too long for it."""
    table = _table("Case", ("before ms", "after ms", "change", "95 % interval", "seen from", "at"))
    table.add_column("verdict", no_wrap=True)
    fits = max(map(len, found.ratios)) <= console.width - BESIDE_NAME
    for number, (name, ratio) in enumerate(found.ratios.items(), start=1):
        shown = name if fits else f"({number})"
        table.add_row(shown, *_diff_figures(name, ratio, kept), ratio.verdict)
    console.print(table)
    if not fits:
        for number, name in enumerate(found.ratios, start=1):
            _say(console, f"({number}) {name}")


def _latency_table(report: Report) -> Table:
    table = _table("Engine alone, ms", ("p50", "±%", "p90", "p99", "p99.9", "max", "fps", "CPU"))
    costs = [(one, cost(one, report.conditions.idle_mw)) for one in report.measured.results]
    energy = any(spent.energy_mj_per_frame is not None for _, spent in costs)
    if energy:
        table.add_column("mJ", justify="right")
        table.add_column("net mJ", justify="right")
    for result, spent in costs:
        spread = engine_spread(result)
        share = half_width_share(round_medians(result.rounds))
        row = [
            result.case.name,
            f"{spread.p50_ms:.3f}",
            "?" if share is None else f"{100 * share:.1f}",
            *(f"{ms:.2f}" for ms in (spread.p90_ms, spread.p99_ms, spread.p999_ms, spread.max_ms)),
            f"{spent.fps:.0f}",
            f"{spent.cpu_ms_per_frame:.2f}",
        ]
        if energy:
            each = (spent.energy_mj_per_frame, spent.net_energy_mj_per_frame)
            row += ["?" if mj is None else f"{mj:.2f}" for mj in each]
        table.add_row(*row)
    return table


def _case_lines(result: CaseResult, report: Report) -> Iterator[str]:
    spread, network, info = engine_spread(result), network_spread(result), result.info
    yield f"{info.name} on {info.device}, {info.precision}, for {info.aim}"
    if info.aim == "throughput":
        yield "several pictures are in flight: each waits for those before it, which counts too"
    goal = report.options.precision_goal
    ended = (
        f"the goal of ±{goal:.1%} was reached" if result.goal_reached
        else f"the time was over before the goal of ±{goal:.1%}"
    )  # fmt: skip
    yield (
        f"{spread.count} submissions in {len(result.rounds)} rounds of {len(result.warm_ups)}"
        f" openings: {ended}; min {spread.min_ms:.3f}, mean {spread.mean_ms:.3f},"
        f" std {spread.std_ms:.3f} ms"
    )
    where = (
        "the rest is the copying"
        if info.name == "tensorrt"
        else "nothing is copied on a CPU, so both are the same but for the call itself"
    )
    yield f"network alone, by the engine's own clock: p50 {network.p50_ms:.3f} ms; {where}"
    if result.case.name in report.bounds:
        bound = report.bounds[result.case.name]
        yield (
            f"lower bound here: {bound.arithmetic_ms:.3f} ms by arithmetic,"
            f" {bound.total_ms:.3f} ms with the memory ({bound.limits.source})"
        )
    yield _start_line(result.start)
    yield from _layer_lines(result)


def _start_line(start: Start | Unavailable) -> str:
    if isinstance(start, Unavailable):
        return f"start to the first label: not measured ({start.reason})"
    first, *others = (f"{seconds:.2f}" for seconds in start.first_label_s)
    return (
        f"start to the first label: {first} s, then {', '.join(others)} s, in fresh processes;"
        f" peak memory of one {start.peak_mib:.0f} MiB"
    )


def _layer_lines(result: CaseResult) -> Iterator[str]:
    layers = result.layers
    if isinstance(layers, Unavailable):
        if layers.reason != "not asked for":
            yield f"layers: {layers.reason}"
        return
    total_ns = sum(layer.took_ns for layer in layers)
    yield f"layers: {len(layers)}, {total_ns / 1e6:.3f} ms together; the longest:"
    for layer in sorted(layers, key=lambda one: -one.took_ns)[:LAYERS_SHOWN]:
        share = layer.took_ns / total_ns if total_ns else 0.0
        yield f"  {layer.took_ns / 1e6:8.3f} ms {share:5.1%}  {layer.name} ({layer.kind})"


def _loop_line(row: Row) -> str:
    stages = row["stages"]
    times = ", ".join(
        f"{name} {stages[name]['p50_ms']:.2f}/{stages[name]['p99_ms']:.2f}" for name in stages
    )
    counts = f"{row['frames']} frames, {row['fps']:.1f} fps, {row['dropped']} dropped"
    return f"{counts}; p50/p99 ms: {times}"


def _machine_line(fixed: Row) -> str:
    name = fixed["board"]["module"] if fixed["board"] else fixed["cpu"]
    return f"on {name}, {fixed['cores']} cores, {fixed['system']}, edge {fixed['edge']}" + (
        f" ({fixed['git_commit']})" if fixed["git_commit"] else ""
    )


def _ratio_words(ratio: Ratio) -> str:
    if not math.isfinite(ratio.high):
        return f"{ratio.ratio:.3f} times (too few rounds for an interval)"
    return f"{ratio.ratio:.3f} times (95 %: {ratio.low:.3f} to {ratio.high:.3f})"


def _diff_figures(name: str, ratio: Ratio, kept: tuple[Kept, Kept]) -> Sequence[str]:
    before, after = (float(np.median(round_medians(one.rounds[name]))) for one in kept)
    known = math.isfinite(ratio.high)
    return (
        f"{before:.3f}",
        f"{after:.3f}",
        f"{ratio.ratio - 1:+.1%}",
        f"{ratio.low - 1:+.1%} to {ratio.high - 1:+.1%}" if known else "?",
        f"{ratio.detectable:.1%}" if known else "?",
        f"p{100 * ratio.quantile:.0f}",
    )


def _table(first: str, others: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(first, overflow="fold")
    for title in others:
        table.add_column(title, justify="right", no_wrap=True)
    return table


def _console(text: TextIO) -> Console:
    return Console(file=text, highlight=False, soft_wrap=False)


def _say(console: Console, words: str, indent: str = "") -> None:
    """Print a paragraph; what hangs below its first line is indented further."""
    lines = textwrap.wrap(
        words, console.width, initial_indent=indent, subsequent_indent=f"{indent}  ",
        drop_whitespace=True,
    )  # fmt: skip
    console.print(Text("\n".join(lines) or words))
