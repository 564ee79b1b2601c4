"""A whole measurement: what is put around the rounds."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from boards import make_board
from played import PlayedBoard

from edge.bench.bench import Request, bench
from edge.bench.case import Case
from edge.bench.measure import Options
from edge.engine.base import open_engine

REST_MW, WORK_MW = 4_800, 6_800


def test_idle_is_measured_before_an_engine_is_opened(small_model, tmp_path):
    """The board takes more from the first opening on, so a third of the energy is not idle's."""
    played = PlayedBoard(tmp_path, "orin_nano")
    played.set("VDD_IN", REST_MW)

    @contextmanager
    def open_it():
        played.set("VDD_IN", WORK_MW)
        with open_engine("null:1", small_model) as engine:
            yield engine, small_model.contract

    request = Request(played.root, Options(seconds=2.0), starts=False)
    row = bench([Case("case", "small", open_it)], request).to_row()
    (case,) = row["cases"]
    assert row["conditions"]["idle_mw"] == REST_MW
    assert row["conditions"]["power_of"] == "VDD_IN (module)"
    share = case["net_energy_mj_per_frame"] / case["energy_mj_per_frame"]
    assert share == pytest.approx((WORK_MW - REST_MW) / WORK_MW, rel=0.1)


def test_idle_is_not_known_without_a_meter(small_model, tmp_path):
    @contextmanager
    def open_it():
        with open_engine("null", small_model) as engine:
            yield engine, small_model.contract

    request = Request(make_board(tmp_path, "bare"), Options(seconds=0.1), starts=False)
    row = bench([Case("case", "small", open_it)], request).to_row()
    assert row["conditions"]["idle_mw"] is row["conditions"]["power_of"] is None
    assert row["cases"][0]["net_energy_mj_per_frame"] is None
