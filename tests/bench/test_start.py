"""Fresh processes are timed up to their first label, and those that fail say why."""

from __future__ import annotations

import pytest

from edge.bench.case import Start
from edge.bench.start import measure_starts
from edge.model.onnx_file import save_model
from edge.record import Unavailable


@pytest.fixture
def model(tmp_path, small_model):
    path = tmp_path / "small.onnx"
    save_model(small_model, path)
    return path


def test_start_ends_with_the_first_label(model):
    found = measure_starts(["--model", str(model), "--engine", "null"], times=2)
    assert isinstance(found, Start)
    assert len(found.first_label_s) == 2
    assert all(0.01 < seconds < 100 for seconds in found.first_label_s)
    assert 10 < found.peak_mib < 2000


def test_memory_of_a_start_is_its_own_and_not_that_of_whoever_starts_it(model):
    words = ["--model", str(model), "--engine", "null"]
    before = measure_starts(words, times=1)
    held = bytearray(400 << 20)
    held[::4096] = b"x" * len(held[::4096])
    after = measure_starts(words, times=1)
    del held
    assert abs(after.peak_mib - before.peak_mib) < 50


def test_start_that_fails_says_why(model):
    found = measure_starts(["--model", str(model), "--engine", "steam"])
    assert isinstance(found, Unavailable)
    assert "steam: no such engine" in found.reason


def test_start_without_room_for_its_picture_says_why(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "full"))
    found = measure_starts(["--engine", "null"])
    assert found == Unavailable("no fresh process could be started (No such file or directory)")
