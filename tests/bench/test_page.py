"""The page shows what was measured and what speaks against it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from benches import make_report, make_result, make_rounds

from edge.bench.case import Refused
from edge.bench.limits import find_limits
from edge.bench.measure import Measured
from edge.bench.page import make_page
from edge.bench.plots import mark_milliseconds
from edge.bench.roofline import bound
from edge.engine.base import LayerTime
from edge.record import BoardReading, Clock


def test_page_holds_every_case_and_its_pictures(tmp_path, small_model):
    rounds = tuple(replace(one, power_mw=5000.0) for one in make_rounds(1))
    result = make_result("a <fast> one", rounds=rounds)
    other = make_result("another", rounds=make_rounds(2, ms=2.0))
    refused = Refused(make_result("absent").case, "gpu: not here")
    board = ((0.0, BoardReading({"cpu": 40.0})), (4.0, BoardReading({"cpu": 55.0})))
    report = make_report(
        tmp_path,
        measured=Measured((result, other, refused), board),
        bounds={"another": bound(small_model, find_limits("orin-nano"), is_int8=False)},
    )
    report.conditions.idle_mw, report.conditions.power_of = 1250.0, "VDD_IN (module)"
    file = make_page(report).write(tmp_path / "report")
    text = file.read_text()
    for words in ("a &lt;fast&gt; one", "another", "absent: gpu: not here", "machine: busy",
                  "published, unverified", "no prediction. Nothing",
                  "Energy for a picture, of VDD_IN (module). At rest it took 1.25 W"):  # fmt: skip
        assert words in text
    assert {path.name for path in file.parent.glob("*.png")} == {
        "latency.png", "over-time.png", "throughput.png", "energy.png", "layers-1.png",
        "layers-2.png",
    }  # fmt: skip


def test_plots_of_what_is_not_there_are_left_out(tmp_path):
    report = make_report(tmp_path, make_result(layers=()))
    report = replace(report, measured=Measured(report.measured.cases, ()))
    file = make_page(report).write(tmp_path / "report")
    assert {path.name for path in file.parent.glob("*.png")} == {"latency.png", "over-time.png"}


def test_loop_is_shown_stage_by_stage(tmp_path):
    row = {
        "sources": [{"name": "demo"}],
        "frames": 30,
        "fps": 29.9,
        "dropped": 1,
        "stages": {"infer": {"p50_ms": 1.25, "p90_ms": 2.0, "p99_ms": 3.0, "p999_ms": 4.0,
                             "max_ms": 5.0}},
    }  # fmt: skip
    text = make_page(make_report(tmp_path, make_result(), loop={"small null": row})).to_html()
    assert "Whole loop: small null" in text
    assert "<td>infer</td><td>1.250</td>" in text


def test_names_of_any_length_leave_room_for_the_plots(tmp_path):
    """matplotlib warns where they do not, which fails a test and is talk on a person's stderr."""
    layers = tuple(LayerTime("fire2/squeeze + relu || " * 12, "conv", 9 - n) for n in range(3))
    cases = [
        make_result(f"{'deep/' * 30}model {n}", rounds=make_rounds(n), layers=layers * (n == 0))
        for n in range(12)
    ]
    text = make_page(make_report(tmp_path, *cases)).to_html()
    assert "deep/model 11" in text


@pytest.mark.parametrize("low", [9e-4, 0.1, 0.98, 1.0, 9.9, 123.0])
@pytest.mark.parametrize("wider", [1.0, 1.00001, 1.003, 1.04, 1.4])
def test_axis_of_latencies_that_lie_close_together_has_different_marks_on_it(low, wider):
    marks = mark_milliseconds(low, low * wider)
    assert 2 <= len(marks) <= 8
    assert len({f"{mark:g}" for mark in marks}) == len(marks)
    assert low * 0.95 <= marks[0] < marks[-1] <= low * max(wider, 1.001) * 1.05


def test_power_is_drawn_where_one_case_alone_was_metered(tmp_path):
    rounds = tuple(replace(one, power_mw=0.0) for one in make_rounds(1))
    metered, other = make_result("metered", rounds=rounds), make_result("other")
    text = make_page(make_report(tmp_path, metered, other)).to_html()
    assert "with its power" in text


def test_clocks_and_throttling_are_rows_that_a_person_reads(tmp_path):
    report = make_report(tmp_path, make_result())
    clocks = (Clock("gpu", 624.75, 306.0, 1020.0), Clock("cpu0", 1510.4))
    report.conditions.after = BoardReading({}, clocks, throttling=("GPU too hot", "low supply"))
    text = make_page(report).to_html()
    assert "<td>board_after.clocks.gpu.max_mhz</td><td>1020.0</td>" in text
    assert "<td>board_after.clocks.cpu0.mhz</td><td>1510.4</td>" in text
    assert "<td>board_after.throttling</td><td>GPU too hot, low supply</td>" in text
    assert "board_before.clocks" not in text
