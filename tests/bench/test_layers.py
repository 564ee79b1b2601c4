"""An engine that was told to times its layers; another one says that it does not."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager, nullcontext

import numpy as np
import pytest

from edge.bench.layers import measure_layers
from edge.engine.base import (
    EngineInfo,
    LayerTime,
    Scores,
    Slot,
    TellsLayers,
    Tuning,
    open_engine,
)
from edge.errors import EngineLostError
from edge.record import Unavailable


def opener(name, model, tuning):
    @contextmanager
    def open_it():
        with open_engine(name, model, "latency", tuning) as engine:
            yield engine, model.contract

    return open_it


def test_openvino_times_its_convolutions(small_model):
    layers = measure_layers(opener("openvino", small_model, Tuning(times_layers=True)), 1)
    assert sum(layer.took_ns for layer in layers) > 0
    assert any("conv1" in layer.name for layer in layers)
    assert all(layer.kind and layer.took_ns >= 0 for layer in layers)


def test_openvino_takes_no_time_that_it_was_not_told_to_take(small_model):
    with open_engine("openvino", small_model) as engine:
        assert isinstance(engine, TellsLayers)
        engine.submit(engine.acquire())
        engine.collect()
        assert engine.read_layers() == ()


@pytest.mark.parametrize("name", ["null", "onnxruntime"])
def test_engine_without_layers_says_so(small_model, name):
    pytest.importorskip("onnxruntime")
    found = measure_layers(opener(name, small_model, Tuning(times_layers=True)), 1)
    assert found == Unavailable(f"{name}: does not tell the time of its layers")


def test_engine_that_cannot_be_opened_says_why(small_model):
    found = measure_layers(opener("steam", small_model, Tuning()), 1)
    assert isinstance(found, Unavailable)
    assert "no such engine" in found.reason


class Batched:
    """Takes up to four pictures at once, and tells how many it was given; it may fail."""

    info = EngineInfo("batched", "none", "none", slots=4, batch=4)

    def __init__(self, fails=False):
        self._slots = deque(Slot(index, np.zeros((8, 8, 3), np.uint8)) for index in range(4))
        self._running, self._fails, self._seen = deque(), fails, set()

    def acquire(self):
        return self._slots.popleft()

    def submit(self, *slots):
        self._running.extend(slots)
        self._seen.add(len(slots))

    def collect(self):
        if self._fails:
            raise EngineLostError("gpu: gone", hint="Look into dmesg")
        self._slots.append(self._running.popleft())
        return Scores(np.zeros(1, np.float32), 1)

    def read_layers(self):
        return tuple(LayerTime(str(count), "seen", 1) for count in self._seen)

    def close(self):
        pass


@pytest.mark.parametrize("batch", [1, 4])
def test_layers_are_those_of_the_batch_of_the_case(batch):
    found = measure_layers(lambda: nullcontext((Batched(), None)), batch)
    assert [layer.name for layer in found] == [str(batch)]


def test_engine_that_fails_among_its_layers_takes_nothing_else_along():
    found = measure_layers(lambda: nullcontext((Batched(fails=True), None)), 1)
    assert found == Unavailable("gpu: gone. Look into dmesg")


@pytest.mark.parametrize("aim", ["latency", "throughput"])
@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_threads_change_no_score(small_model, name, aim):
    pytest.importorskip("onnxruntime")
    scores = []
    for threads in (None, 1, 2):
        with open_engine(name, small_model, aim, Tuning(threads)) as engine:
            slot = engine.acquire()
            slot.pixels[:] = 77
            engine.submit(slot)
            scores.append(engine.collect().values)
    assert scores[1] == pytest.approx(scores[0], abs=1e-4)
    assert scores[2] == pytest.approx(scores[0], abs=1e-4)


def test_threads_are_those_of_openvino(small_model):
    with open_engine("openvino", small_model, "latency", Tuning(threads=1)) as engine:
        assert engine._compiled.get_property("INFERENCE_NUM_THREADS") == 1
    with open_engine("openvino", small_model, "throughput", Tuning(threads=1)) as engine:
        assert engine._compiled.get_property("NUM_STREAMS") == 1
