"""What a quantisation did and what it cost, as JSON and as one page that needs nothing else."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.report import escape, write_page

if TYPE_CHECKING:
    from edge.quant.quality import ActivationQuality, LayerQuality
    from edge.quant.quantize import Quantized

REPORT_VERSION = 1
BARS = 64
"""Of a histogram in the page; the JSON has every bin."""
WIDTH, HEIGHT = 320, 72
"""Of a histogram, in units of the drawing."""
BEST_DB = 60.0
"""Where the bar of a layer's signal to noise ends."""


WORST = 3
"""Layers that stand out."""

ABOUT_LAYERS = """Signal to noise of each convolution's output while the whole network is INT8, and
the divergence of the network's output while that convolution alone is. The three that hurt most
stand out."""
ABOUT_ACTIVATIONS = """Magnitudes on the same pictures, counts by their logarithm. The line is the
end of the range; what lies beyond it is cut. 1 is the largest one of calibration, channel by
channel, wherever channels can be scaled."""
HEAD = """<table><thead><tr><th>layer</th><th>signal to noise</th><th>dB</th>
<th>harm alone, nats</th></tr></thead><tbody>"""


@dataclass(frozen=True, slots=True)
class Origin:
    """What the report is of.

    Attributes:
        model: name of the fp32 model.
        model_sha256: of its file.
        calibrated_on: what holds the pictures, and how many they were.
        judged_on: the same of those held out.
    """

    model: str
    model_sha256: str
    calibrated_on: str
    judged_on: str


def to_json(quantized: Quantized, origin: Origin) -> str:
    """Give the report's figures as JSON.

    Args:
        quantized: judged on pictures held out.
        origin: what it is of.
    """
    quality = quantized.judged
    activations: list[dict[str, Any]] = [
        {**asdict(one), "counts": one.counts.tolist()} for one in quality.activations
    ]
    fields = {
        "version": REPORT_VERSION,
        **asdict(origin),
        **quality.figures(),
        "int8_convolutions": quantized.int8_convs,
        "stays_float": quantized.float_ops,
        "half_of_the_levels": quantized.halved,
        "looked_inside": quality.looked_inside,
        "layers": [asdict(layer) for layer in quality.layers],
        "activations": activations,
    }
    return json.dumps(fields, indent=1, ensure_ascii=False)


def to_html(quantized: Quantized, origin: Origin) -> str:
    """Give the report as a page of its own, for light and dark screens, wide and narrow."""
    quality = quantized.judged
    drop = "top-1 lost" if quality.is_labelled else "expected top-1 loss"
    figures = {
        "same answer as fp32": f"{100 * quality.agreement:.1f} %",
        drop: f"{quality.drop_points:.2f} points",
        "divergence a picture": f"{quality.divergence_nats:.4f} nats",
        "pictures held out": str(quality.pictures),
        "INT8 convolutions": str(quantized.int8_convs),
    }
    worst = quality.worst()[:WORST]
    inside = f"Measured on {quality.looked_inside} of the pictures."
    origins = f"{origin.calibrated_on}; judged on {origin.judged_on}"
    parts = [
        f"<h1>{escape(origin.model)} in INT8</h1>",
        f"<p class=quiet>Calibrated on {escape(origins)}. fp32: {origin.model_sha256[:16]}…</p>",
        "<dl class=figures>",
        *(f"<div><dt>{escape(name)}</dt><dd>{value}</dd></div>" for name, value in figures.items()),
        "</dl>",
        "<h2>Layers</h2>",
        f"<p>{ABOUT_LAYERS} {inside}</p>",
        HEAD,
        *(_layer_row(layer, is_worst=layer in worst) for layer in quality.layers),
        "</tbody></table>",
        "<h2>Activations</h2>",
        f"<p>{ABOUT_ACTIVATIONS}</p>",
        "<div class=plots>",
        *(_plot(one, quantized) for one in quality.activations),
        "</div>",
        *_list("Stays float", quantized.float_ops),
        *_list("Half of the levels", quantized.halved),
    ]
    return write_page(f"{origin.model} in INT8", parts, STYLE)


def _layer_row(layer: LayerQuality, *, is_worst: bool) -> str:
    share = min(max(layer.sqnr_db / BEST_DB, 0.0), 1.0)
    mark = ' class="worst"' if is_worst else ""
    return (
        f"<tr{mark}><td>{escape(layer.label)}</td>"
        f'<td><svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect width="{100 * share:.1f}" height="8"/></svg></td>'
        f"<td>{layer.sqnr_db:.1f}</td>"
        f"<td>{layer.harm_nats:.5f}</td></tr>"
    )


def _plot(one: ActivationQuality, quantized: Quantized) -> str:
    counts = one.counts.reshape(BARS, -1).sum(axis=1)
    heights = np.log1p(counts) / max(1.0, float(np.log1p(counts.max())))
    span = max(one.largest, one.reach) * 1.02
    step = WIDTH * one.largest / span / BARS
    bars = "".join(
        f'<rect{_beyond(one, place)} x="{place * step:.2f}" y="{HEIGHT * (1 - height):.2f}"'
        f' width="{0.85 * step:.2f}" height="{HEIGHT * height:.2f}"/>'
        for place, height in enumerate(heights)
        if height
    )
    end = WIDTH * one.reach / span
    doubled = ", 511 levels" if one.tensor in quantized.doubled else ""
    said = (
        f"{one.method}{doubled}: up to {one.reach:.3f}, seen {one.largest:.3f},"
        f" {format_percent(one.cut_share)} cut"
    )
    return (
        f"<figure><figcaption><b>{escape(one.tensor)}</b>{escape(said)}</figcaption>"
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        f' aria-label="{escape(f"{one.tensor}, {said}")}">{bars}'
        f'<line x1="{end:.2f}" x2="{end:.2f}" y1="0" y2="{HEIGHT}"/></svg></figure>'
    )


def _beyond(one: ActivationQuality, bar: int) -> str:
    is_beyond = (bar + 0.5) * one.largest / BARS > one.reach
    return ' class="beyond"' if is_beyond else ""


def format_percent(share: float) -> str:
    """Give a share of 0 to 1 as per cent, with the digits that a small one needs."""
    digits = 2 if share == 0 or share >= 1e-4 else 1 - math.floor(math.log10(100 * share))
    return f"{100 * share:.{min(digits, 6)}f}\N{NO-BREAK SPACE}%"


def _list(title: str, reasons: dict[str, str]) -> list[str]:
    if not reasons:
        return []
    rows = (f"<li><b>{escape(name)}</b>: {escape(why)}</li>" for name, why in reasons.items())
    return [f"<h2>{title}</h2>", "<ul>", *rows, "</ul>"]


STYLE = """
th:nth-child(2) { width: 40%; text-align: left; }
th:nth-child(2), td:nth-child(2) { padding: .3rem .75rem .3rem 0; }
th:last-child { white-space: normal; }
.bar { display: block; width: 100%; height: .6rem; }
@media (max-width: 40rem) { th:nth-child(2) { width: 20%; } th:last-child { width: 4.5rem; } }
.bar rect, .plot rect { fill: var(--bar); }
.worst .bar rect, .plot .beyond { fill: var(--warning); }
.worst td:first-child { font-weight: 600; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(18rem, 1fr)); gap: 1.5rem; }
.plots figure { margin: 0; }
.plots figcaption { margin: 0 0 .25rem; }
figcaption b { display: block; color: var(--ink); }
.plot { display: block; width: 100%; border-bottom: 1px solid var(--line); }
.plot line { stroke: var(--warning); stroke-width: 2; }
"""
