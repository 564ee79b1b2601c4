"""Multiplications counted from the network are those that its shapes come to."""

from __future__ import annotations

import pytest
from samples import make_contract

from edge.bench.limits import LIMITS, UNVERIFIED, find_limits, limits_of_board
from edge.bench.roofline import bound, list_work
from edge.errors import InputError
from edge.model.onnx_file import load_model
from edge.model.squeezenet import FIRES, build_squeezenet, random_weights
from edge.model.zoo import resolve_model


def build(version, side_px):
    contract = make_contract(
        input_hw=(side_px, side_px), resize_short_px=256, labels=tuple(map(str, range(1000)))
    )
    return build_squeezenet(version, contract, random_weights(version, 1000))


def pooled(side):
    """Give the side after a 3x3 pool of stride 2 that rounds up."""
    return -((side - 3) // -2) + 1


def macs_by_hand(version, side, classes=1000):
    """Count after the paper's table: kernel area x inputs x outputs x places of each layer."""
    channels, kernel, pools = {"1.0": (96, 7, (2, 5, 9)), "1.1": (64, 3, (2, 4, 6))}[version]
    side = (side - kernel) // 2 + 1
    total = kernel * kernel * 3 * channels * side * side
    for number, (squeeze, expand) in FIRES.items():
        if number in pools:
            side = pooled(side)
        total += side * side * (channels * squeeze + squeeze * expand * (1 + 9))
        channels = 2 * expand
    return total + channels * classes * side * side


@pytest.mark.parametrize(
    ("version", "side_px", "gmac"), [("1.0", 227, 0.83), ("1.0", 224, 0.82), ("1.1", 224, 0.35)]
)
def test_macs_are_the_known_ones(version, side_px, gmac):
    work = list_work(build(version, side_px))
    total = sum(layer.macs for layer in work)
    assert total == macs_by_hand(version, side_px)
    assert total / 1e9 == pytest.approx(gmac, abs=0.005)
    assert len(work) == 26
    assert sum(layer.weights for layer in work) == {"1.0": 1_244_448, "1.1": 1_231_552}[version]


def test_int8_network_has_the_work_of_its_float_one():
    """Quantising adds nodes, not multiplications."""
    names = ("squeezenet8", "squeezenet8-int8")
    models = [load_model(resolve_model(name)) for name in names]
    float_work, int8_work = (sum(w.macs for w in list_work(model)) for model in models)
    assert float_work == int8_work == macs_by_hand("1.1", 160, classes=8)


def test_bound_of_a_layer_is_the_slower_of_arithmetic_and_memory(small_model):
    limits = find_limits("orin-nano")
    found = bound(small_model, limits, is_int8=False)
    conv1 = found.layers[0]
    assert conv1.work.macs == 31 * 31 * 9 * 3 * 64
    assert found.precision == "fp16"
    assert conv1.arithmetic_ms == pytest.approx(conv1.work.macs * 2 / 16.75e12 * 1e3)
    moved = 9 * 3 * 64 + 64 * 64 * 3 + 31 * 31 * 64
    assert conv1.memory_ms == pytest.approx(moved * 2 / 102.4e9 * 1e3)
    assert found.total_ms == pytest.approx(
        sum(max(one.arithmetic_ms, one.memory_ms) for one in found.layers)
    )
    assert found.arithmetic_ms < found.total_ms


def test_pictures_of_a_batch_share_the_weights_alone(small_model):
    limits = find_limits("orin-nano")
    one, eight = (bound(small_model, limits, is_int8=False, batch=n) for n in (1, 8))
    assert eight.arithmetic_ms == pytest.approx(8 * one.arithmetic_ms)
    for single, shared in zip(one.layers, eight.layers, strict=True):
        weights_ms = single.work.weights * 2 / 102.4e9 * 1e3
        assert shared.memory_ms == pytest.approx(8 * single.memory_ms - 7 * weights_ms)


def test_int8_is_counted_in_fp16_where_the_gpu_has_no_fast_int8():
    model = load_model(resolve_model("squeezenet8-int8"))
    assert bound(model, find_limits("nano"), is_int8=True).precision == "fp16"
    orin = bound(model, find_limits("orin-nano"), is_int8=True)
    assert orin.precision == "int8"
    assert orin.arithmetic_ms == pytest.approx(
        macs_by_hand("1.1", 160, classes=8) * 2 / 33.5e12 * 1e3
    )


def test_every_limit_says_where_it_is_from():
    for limits in LIMITS.values():
        assert limits.source == UNVERIFIED or "data sheet" in limits.source


def test_board_is_found_by_its_name():
    assert limits_of_board("Orin Nano 8GB") is LIMITS["orin-nano"]
    assert limits_of_board("Toaster") is None
    with pytest.raises(InputError, match=r"toaster: no such board.*orin-nano"):
        find_limits("toaster")
