"""What every engine owes its user, proven on each registered one that can be opened here."""

from __future__ import annotations

import sys
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import numpy as np
import pytest
from networks import make_classifier, make_int8, make_views, told
from onnx import TensorProto, helper
from samples import make_contract

from edge.engine.base import AUTO_ORDER, ENGINES, open_engine
from edge.errors import InputError, MissingExtraError, ModelError, UnavailableError

if TYPE_CHECKING:
    from edge.model.onnx_file import Model

VIEWS = make_views(4)
MODEL = make_classifier(make_contract())


def int8_model() -> Model:
    return make_int8(MODEL)


def opened(name: str, model: Model, stack: ExitStack):
    try:
        return stack.enter_context(open_engine(name, model))
    except UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(params=sorted(ENGINES))
def engine(request):
    with ExitStack() as stack:
        yield opened(request.param, MODEL, stack)


def scores_of(engine, view):
    slot = engine.acquire()
    slot.pixels[...] = view
    engine.submit(slot)
    return engine.collect()


def test_engine_says_what_it_is(engine, request):
    assert engine.info.name == request.node.callspec.params["engine"]
    assert engine.info.device
    assert engine.info.precision in {"fp32", "none"}
    assert engine.info.slots >= 1
    assert engine.info.batch == 1


@pytest.mark.parametrize("name", sorted(ENGINES))
def test_engine_knows_that_a_model_is_int8_and_runs_it(name):
    with ExitStack() as stack:
        engine = opened(name, int8_model(), stack)
        assert engine.info.precision in {"int8", "none"}
        assert scores_of(engine, VIEWS[0]).values.shape == (5,)


def test_engine_gives_slots_for_bgr_pixels_of_its_own(engine):
    slots = [engine.acquire() for _ in range(engine.info.slots)]
    assert [slot.index for slot in slots] == list(range(engine.info.slots))
    for slot in slots:
        assert slot.pixels.shape == (64, 64, 3)
        assert slot.pixels.dtype == np.uint8
        assert slot.pixels.flags.writeable
        assert slot.pixels.flags.c_contiguous
    for one in slots:
        for other in slots:
            assert np.shares_memory(one.pixels, other.pixels) is (one is other)


def test_engine_gives_one_finite_float_a_class(engine):
    scores = scores_of(engine, VIEWS[0])
    assert scores.values.dtype == np.float32
    assert scores.values.shape == (5,)
    assert np.isfinite(scores.values).all()
    assert isinstance(scores.infer_ns, int)
    assert scores.infer_ns >= 0


def test_engine_gives_the_same_scores_for_the_same_pixels(engine):
    first = scores_of(engine, VIEWS[0]).values
    scores_of(engine, VIEWS[1])
    np.testing.assert_array_equal(scores_of(engine, VIEWS[0]).values, first)


def test_engine_tells_pictures_apart_unless_it_has_no_network(engine):
    scores = {scores_of(engine, view).values.tobytes() for view in VIEWS}
    assert len(scores) == (1 if engine.info.name == "null" else len(VIEWS))


def test_engine_gives_scores_in_order_with_every_slot_in_flight(engine):
    """Twice around, so that each slot is used again."""
    alone = [scores_of(engine, view).values for view in VIEWS]
    for round_of in (VIEWS, VIEWS[::-1]):
        wanted = alone if round_of is VIEWS else alone[::-1]
        for start in range(0, len(VIEWS), engine.info.slots):
            batch = round_of[start : start + engine.info.slots]
            for view in batch:
                slot = engine.acquire()
                slot.pixels[...] = view
                engine.submit(slot)
            for number in range(len(batch)):
                np.testing.assert_array_equal(engine.collect().values, wanted[start + number])


def test_engine_gives_scores_that_belong_to_the_caller(engine):
    scores = [scores_of(engine, view).values for view in VIEWS]
    copies = [values.copy() for values in scores]
    for view in VIEWS[::-1]:
        scores_of(engine, view)
    for values, copy in zip(scores, copies, strict=True):
        np.testing.assert_array_equal(values, copy)
        values[...] = 99
    for view, copy in zip(VIEWS, copies, strict=True):
        np.testing.assert_array_equal(scores_of(engine, view).values, copy)


def test_engine_takes_no_more_at_once_than_it_says(engine):
    slot = engine.acquire()
    with pytest.raises(ValueError, match="too many values"):
        engine.submit(slot, slot)
    engine.submit(slot)
    assert engine.collect().values.shape == (5,)


def test_engine_can_be_closed_twice_and_with_a_frame_in_flight(engine):
    engine.submit(engine.acquire())
    engine.close()
    engine.close()


@pytest.mark.parametrize("failure", [None, KeyError("in the block")])
def test_open_lets_go_of_the_network_when_the_block_ends(failure):
    with suppress(KeyError), open_engine("onnxruntime", MODEL) as first:
        assert hasattr(first, "_session")
        if failure:
            raise failure
    assert not hasattr(first, "_session")
    with suppress(KeyError), open_engine("openvino", MODEL) as second:
        assert second._requests
        if failure:
            raise failure
    assert not second._requests


def test_open_lists_the_names_when_there_is_no_such_engine():
    with pytest.raises(InputError) as caught, open_engine("cuda", MODEL):
        pass
    assert told(caught) == f"cuda: no such engine. Use one of: auto, tensorrt, {', '.join(ENGINES)}"


def test_open_auto_takes_the_first_that_is_here():
    with open_engine("auto", MODEL) as engine:
        assert engine.info.name == AUTO_ORDER[0]


def test_open_auto_takes_the_next_when_a_package_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with open_engine("auto", MODEL) as engine:
        assert engine.info.name == "onnxruntime"


@pytest.mark.parametrize("name", ["onnxruntime", "auto"])
def test_open_tells_the_install_command_when_a_package_is_missing(monkeypatch, name):
    for package in ("openvino", "onnxruntime"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError) as caught, open_engine(name, MODEL):
        pass
    assert told(caught) == (
        "onnxruntime: not installed."
        f" Install it with: {sys.executable} -m pip install 'edge[onnxruntime]'"
    )


LACKED = {
    "openvino": [helper.make_node("Bernoulli", ["pooled"], ["scores"])],
    "onnxruntime": [
        helper.make_node("Cast", ["pooled"], ["whole"], to=TensorProto.INT16),
        helper.make_node("Relu", ["whole"], ["positive"]),
        helper.make_node("Cast", ["positive"], ["scores"], to=TensorProto.FLOAT),
    ],
}
"""Valid ONNX that one engine lacks and the other runs."""


@pytest.mark.parametrize(
    ("name", "other"), [("openvino", "onnxruntime"), ("onnxruntime", "openvino")]
)
def test_engine_names_the_other_one_when_it_lacks_an_operator(name, other):
    model = make_classifier(make_contract(), tail=LACKED[name])
    with pytest.raises(ModelError) as caught, open_engine(name, model):
        pass
    assert told(caught).startswith("small: ")
    assert " cannot run this network (" in told(caught)
    assert told(caught).endswith(f"). Try --engine {other}")
    with open_engine(other, model) as engine:
        assert scores_of(engine, VIEWS[0]).values.shape == (5,)
