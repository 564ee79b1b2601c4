"""The report: one page that needs nothing else, with the figures of its JSON."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import numpy as np
import pytest

from edge.quant.histogram import BINS
from edge.quant.quality import ActivationQuality, LayerQuality, Quality
from edge.quant.quantize import Quantized
from edge.quant.report import Origin, format_percent, to_html, to_json

HOSTILE = '<script>alert("1")</script>&amp;'
VOID = frozenset({"meta", "rect", "line"})


class Page(HTMLParser):
    """Collects what a page holds, and refuses tags that do not close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.words.append(data)


@pytest.fixture
def quantized(small_model):
    counts = np.random.default_rng(0).integers(0, 50, BINS)
    layers = tuple(
        LayerQuality(name, 30.0 + n, 0.001 * n) for n, name in enumerate(("a", "b", HOSTILE, "d"))
    )
    activations = (
        ActivationQuality("a/relu", "entropy", 0.95, 1.0, 0.0123, counts),
        ActivationQuality(HOSTILE, "min-max + 35 %", 1.35, 1.0, 0.0, np.zeros(BINS, np.int64)),
    )
    quality = Quality(40, 0.975, 0.0042, 0.13, False, layers, activations, 32)
    measured = type("Measured", (), {"doubled": ("a/relu",)})()
    return Quantized(
        model=small_model, int8_convs=26, float_ops={"Gemm fc": "only convolutions are quantised"},
        measured=measured, halved={"x": "it can be negative"}, quality=quality,
    )  # fmt: skip


ORIGIN = Origin("small", "ab" * 32, "160 pictures of calib", f"40 pictures of {HOSTILE}")


def test_page_is_whole_and_refers_to_nothing(quantized):
    page = Page(to_html(quantized, ORIGIN))
    assert page.open == []
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in page.tags}
    assert not [attrs for _, attrs in page.tags if {"src", "href", "onload"} & set(attrs)]
    words = " ".join(page.words)
    assert words.count(HOSTILE) == 3  # the layer, the activation, where the pictures lie
    for said in ("97.5 %", "expected top-1 loss", "0.13 points", "only convolutions are quantised",
                 "it can be negative", "511 levels", "1.23 % cut",
                 "Measured on 32 of the pictures"):  # fmt: skip
        assert said in words.replace("\N{NO-BREAK SPACE}", " ")


def test_each_layer_is_a_row_and_the_worst_are_marked(quantized):
    page = Page(to_html(quantized, ORIGIN))
    rows = [attrs for tag, attrs in page.tags if tag == "tr"]
    assert len(rows) == 1 + 4
    assert [attrs.get("class") for attrs in rows[1:]] == [None, "worst", "worst", "worst"]


def test_histogram_ends_where_the_range_does(quantized):
    page = Page(to_html(quantized, ORIGIN))
    first, second = (float(attrs["x1"]) for tag, attrs in page.tags if tag == "line")
    assert first == pytest.approx(320 * 0.95 / 1.02, abs=0.1)
    assert second == pytest.approx(320 / 1.02, abs=0.1)
    bars = [attrs for tag, attrs in page.tags if tag == "rect" and "y" in attrs]
    beyond = [attrs for attrs in bars if attrs.get("class") == "beyond"]
    assert beyond == bars[-3:]  # 0.95 of 64 bars, and the second plot is empty


@pytest.mark.parametrize(
    ("share", "said"),
    [(0, "0.00"), (0.975, "97.50"), (0.0001, "0.01"), (0.000_012, "0.0012"), (1e-12, "0.000000")],
)
def test_small_shares_keep_their_digits(share, said):
    assert format_percent(share) == f"{said}\N{NO-BREAK SPACE}%"


def test_json_has_the_figures_of_the_page(quantized):
    fields = json.loads(to_json(quantized, ORIGIN))
    assert fields["version"] == 1
    assert (fields["agreement"], fields["drop_points"]) == (0.975, 0.13)
    assert fields["judged_on"] == ORIGIN.judged_on
    assert [layer["label"] for layer in fields["layers"]] == ["a", "b", HOSTILE, "d"]
    assert sum(fields["activations"][0]["counts"]) == int(
        quantized.quality.activations[0].counts.sum()
    )
    assert fields["stays_float"] == quantized.float_ops
