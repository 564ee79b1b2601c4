"""The page shows what was measured and what speaks against it."""

from __future__ import annotations

from dataclasses import replace

from benches import make_report, make_result, make_rounds

from edge.bench.case import Refused
from edge.bench.limits import find_limits
from edge.bench.measure import Measured
from edge.bench.page import make_page
from edge.bench.roofline import bound
from edge.record import BoardReading


def test_page_holds_every_case_and_its_pictures(tmp_path, small_model):
    rounds = tuple(replace(one, power_mw=5000.0) for one in make_rounds(1))
    result = make_result("a <fast> one", rounds=rounds)
    other = make_result("another", rounds=make_rounds(2, ms=2.0))
    refused = Refused(make_result("absent").case, "gpu: not here")
    board = ((0.0, BoardReading({"cpu": 40.0})), (4.0, BoardReading({"cpu": 55.0})))
    report = make_report(
        tmp_path,
        measured=Measured((result, other, refused), board),
        bounds={"another": bound(small_model, find_limits("orin-nano"))},
    )
    report.conditions.idle_mw = 1250.0
    file = make_page(report).write(tmp_path / "report")
    text = file.read_text()
    for words in ("a &lt;fast&gt; one", "another", "absent: gpu: not here", "machine: busy",
                  "published, unverified", "no prediction. Nothing",
                  "At rest it took 1.25 W"):  # fmt: skip
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
