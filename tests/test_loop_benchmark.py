"""The speed comparison's own rules: what a report is, what is best, and what ours is beside it."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import ROOT

from edge.record import StageTimes

BENCHMARKS = ROOT / "benchmarks"
TOLD = {
    "frames": 3,
    "seconds": 0.5,
    "cpu_s": 0.75,
    "age_p50_ms": 4.0,
    "age_p99_ms": 9.0,
    "peak_rss_mb": 120.5,
    "version": "edge 1",
    "answers": [7, 7, 1],
}
BROKEN = {
    "": "told no report but ''",
    "nothing": "told no report but 'nothing'",
    "{}": "told no report but '{}'",
    "[1]": "told no report but '[1]'",
    json.dumps({**TOLD, "frames": 0}): "labelled no frame",
    json.dumps({**TOLD, "seconds": 0.0}): "labelled no frame",
}


@pytest.fixture(scope="module", autouse=True)
def benchmarks():
    """Let the benchmark's files find each other, as they do when one is run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        yield


@pytest.fixture(scope="module")
def tables():
    return import_module("loop_table")


@pytest.fixture
def report(tables):
    def make(fps: float):
        return tables.Report(100, 100 / fps, 1.0, 5.0, 9.0, 120.0, "1", (1,) * 100)

    return make


def test_report_is_the_last_line(tables):
    told = tables.parse_report("INFO: a delegate\n" + json.dumps(TOLD) + "\n")
    assert told.answers == (7, 7, 1)
    assert told.fps == 6
    assert told.cpu_ms == 250


@pytest.mark.parametrize(("text", "told"), BROKEN.items())
def test_what_is_no_report_is_refused_in_one_line(tables, text, told):
    with pytest.raises(import_module("environments").PeerError) as refused:
        tables.parse_report(text)
    assert str(refused.value) == told


@given(text=st.text())
def test_no_text_is_taken_for_a_report_or_raises_anything_else(text):
    with pytest.raises(import_module("environments").PeerError):
        import_module("loop_table").parse_report(text)


def test_ratio_is_made_within_a_round(tables, report):
    """A machine that is ten times slower in one round moves the speeds, but not the ratio."""
    rounds = [
        {"ours": report(200), "one": report(100), "other": report(50)},
        {"ours": report(20), "one": report(5), "other": report(10)},
        {"ours": report(400), "one": report(100), "other": report(100)},
    ]
    assert tables.ratio_to_best(rounds, "ours", ["one", "other"]) == pytest.approx(2)
    assert tables.best(rounds, ["one", "other"]) == "one"
    assert tables.median_of(rounds, "ours", "fps") == pytest.approx(200)
    assert tables.spread_of(rounds, "ours") == "20 to 400"


def test_round_without_one_side_is_left_out(tables, report):
    rounds = [{"ours": report(200)}, {"ours": report(30), "one": report(10)}, {"one": report(1)}]
    assert tables.ratio_to_best(rounds, "ours", ["one", "gone"]) == pytest.approx(3)
    assert tables.ratio_to_best(rounds, "ours", ["gone"]) is None
    assert tables.best(rounds, ["gone"]) is None


def test_lead_is_told_where_the_best_peer_beats_the_best_of_ours(tables, report):
    rounds = [{"ours": report(200), "slow": report(20), "peer": report(100)}]
    assert tables.ahead(rounds, ["peer"], ["ours", "slow"]) == {
        "median age": "peer", "99th percentile of the age": "peer",
        "processor time a frame": "peer", "peak memory": "peer",
    }  # fmt: skip
    rounds[0]["peer"] = report(300)
    assert tables.ahead(rounds, ["peer", "absent"], ["ours"])["frames a second"] == "peer"
    assert tables.ahead(rounds, ["absent"], ["ours"]) == {}


def test_agreement_is_the_share_of_equal_answers(tables):
    assert tables.agreement([1, 2, 3, 4], [1, 2, 3, 5]) == 0.75


@pytest.mark.parametrize("answers", [[], [1], [1, 2, 3]])
def test_answers_to_other_frames_are_not_compared(tables, answers):
    with pytest.raises(import_module("environments").PeerError, match="labelled"):
        tables.agreement(answers, [1, 2])


def test_short_row_is_filled_up_and_a_bar_does_not_break_the_table(tables):
    lines = tables.table(["loop", "fps", "age"], [["a|b", "failed: no"]]).splitlines()
    assert lines[-1] == "| a/b | failed: no | - |"


def test_meter_tells_what_the_table_reads(tables, capsys):
    meter = import_module("loop_meter").Meter()
    meter.start()
    meter.label(0, 4, done_ns=3_000_000)
    meter.label(0, 5)
    meter.tell("1.2")
    told = tables.parse_report(capsys.readouterr().out)
    assert told.answers == (4, 5)
    assert told.peak_rss_mb > 1


def test_loop_without_its_tool_is_left_out_with_the_reason(report):
    results, runs = (import_module(name) for name in ("loop_results", "loop_runs"))
    lost = runs.Loop("lost", "**lost**", ("none.py", "lost"), "fp32", needs="no_such_tool")
    assert runs.Loop("here", "here", ("none.py", "here"), "fp32", needs="sys").absence() is None
    kept = results.Results(rounds=1)
    clip = next(iter(kept.reports))
    kept.measure(None, lost, clip, None, 0)
    kept.reports[clip][0]["openvino"] = report(100)
    kept.reports[clip][0]["ours-latency"] = report(200)
    text = "\n".join(results.to_markdown(kept))
    assert "no_such_tool is not installed" in text
    assert "edge, latency: 2.00 times the best existing one (OpenVINO INT8, sequential" in text
    assert "| **edge, latency** | 200 | 200 to 200 | 2.00 |" in text
    assert "Measured: 1." in text
    assert kept.raw()["absences"] == {"lost": "no_such_tool is not installed"}


def test_measured_part_of_a_page_is_replaced_and_nothing_else(tmp_path):
    loop = import_module("loop")
    page = tmp_path / "page.md"
    page.write_text(f"before\n{loop.BEGIN}\nold\n{loop.END}\nafter\n")
    loop.put_between(page, "new")
    loop.put_between(page, "newer")
    assert page.read_text() == f"before\n{loop.BEGIN}\n\nnewer\n\n{loop.END}\nafter\n"


def test_picture_has_a_bar_for_each_loop_that_ran(report, tmp_path):
    pytest.importorskip("matplotlib")
    clips = import_module("loop_clips").CLIPS
    by_clip = {
        clip.name: [{"openvino": report(100)}, {"ours-latency": report(240)}] for clip in clips
    }
    import_module("loop_picture").draw(by_clip, tmp_path / "out.svg", "somewhere")
    drawn = (tmp_path / "out.svg").read_text()
    import_module("loop_picture").draw(by_clip, tmp_path / "again.svg", "somewhere")
    assert (tmp_path / "again.svg").read_text() == drawn
    for words in ("edge, latency", "OpenVINO INT8, sequential, 2 threads", "240", "somewhere"):
        assert f"<!-- {words}" in drawn
    assert "ncnn" not in drawn


def test_trtexec_is_read():
    """The lines as its guide shows them."""
    text = (
        "[I] === Performance summary ===\n"
        "[I] Throughput: 1867.2 qps\n"
        "[I] Latency: min = 0.51 ms, max = 0.93 ms, mean = 0.55 ms, median = 0.54 ms,"
        " percentile(90%) = 0.57 ms, percentile(95%) = 0.6 ms, percentile(99%) = 0.71 ms\n"
        "[I] Enqueue Time: min = 0.1 ms, max = 0.2 ms, mean = 0.1 ms, median = 0.1 ms\n"
    )
    jetson = import_module("loop_jetson")
    assert jetson.parse_trtexec(text) == (1867.2, 0.54, 0.71)
    with pytest.raises(ValueError, match="told no throughput"):
        jetson.parse_trtexec("&&&& FAILED TensorRT.trtexec")


def test_unknown_loop_is_refused_with_the_known_ones():
    words = ["--model", "a", "--fp32", "b", "--pictures", "c", "--only", "tensorflow"]
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "loop.py", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 2
    assert "--only: tensorflow is none of opencv, onnxruntime-fp32" in done.stderr


def test_histogram_counts_every_value_once():
    ages = import_module("frame_age")
    lines = ages.histogram([10.0, 10.5, 22.9, 40.0], bins=3)
    assert [line.split()[4] for line in lines] == ["2", "1", "0", "1"]
    assert lines[0].endswith("#" * ages.BAR_WIDTH)


@given(values=st.lists(st.floats(0, 1e5), min_size=1, max_size=50))
def test_histogram_takes_any_ages(values):
    lines = import_module("frame_age").histogram(values)
    assert sum(int(line.split()[4]) for line in lines) == len(values)


@pytest.mark.parametrize(("age_ms", "holds"), [(50, True), (56, False)])
def test_age_is_held_against_an_interval_an_inference_and_the_reading(age_ms, holds):
    """Interval 30 ms, inference 20 ms, reading 2 ms, resizing 3 ms: 55 ms is the bound."""
    times = StageTimes(2_000_000, 0, 0, 3_000_000, 20_000_000, 0, age_ms * 1_000_000)
    told, word = import_module("frame_age").verdict([times], 30.0)
    assert told is holds
    assert "bound 55.0 ms" in word
