"""The acceptance of edge bench diff: its slower engine is slower, and its counting right."""

from __future__ import annotations

import subprocess
import sys

import pytest
from benches import make_report, make_result, make_rounds
from samples import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))

import bench_alarms

from edge.bench.document import to_json
from edge.engine.null import NullEngine


@pytest.mark.parametrize(
    ("same_ms", "slow_ms", "expected"),
    [(1.0, 1.1, (False, False)), (1.0, 1.0, (False, True)), (1.2, 1.2, (True, False))],
)
def test_false_alarms_and_misses_are_counted(tmp_path, same_ms, slow_ms, expected):
    files = {}
    for seed, (name, ms) in enumerate(
        {"first": 1.0, "same": same_ms, "slow": slow_ms}.items(), start=1
    ):
        result = make_result(bench_alarms.NAME, rounds=make_rounds(seed, ms=ms))
        files[name] = tmp_path / f"{name}.json"
        files[name].write_text(to_json(make_report(tmp_path, result)))
    found = bench_alarms.judge(files)
    assert (found.false_alarm, found.missed) == expected
    assert ("MISSED" in bench_alarms.row_of(1, found)) is expected[1]


def test_slowed_engine_takes_its_share_more(small_model):
    clock = bench_alarms.time.perf_counter_ns
    engine = bench_alarms.SlowedEngine(NullEngine(small_model, delay_ms=4), share=0.5)
    for _ in range(3):
        started_ns = clock()
        engine.submit(engine.acquire())
        assert engine.collect().infer_ns == 4_000_000
        assert clock() - started_ns >= 6_000_000
    engine.close()


def test_one_repetition_runs_from_end_to_end(tmp_path):
    program = ROOT / "benchmarks" / "bench_alarms.py"
    words = ["--repetitions", "1", "--seconds", "0.2", "--engine", "null:1", "-o", tmp_path / "out"]
    done = subprocess.run(
        [sys.executable, program, *map(str, words)],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    assert "1 repetitions: " in done.stdout
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "1-first.json", "1-same.json", "1-slow.json", "summary.json",
    }  # fmt: skip
