"""The self-test's own checks: each finds what it is for, and tells apart broken and missing."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from boards import RAPL, make_board
from samples import ROOT, make_contract

from edge.assets import bundled
from edge.board import SysRoot
from edge.engine.base import EngineInfo, Scores, Slot, open_engine
from edge.engine.child import run_in_child
from edge.engine.cuda import GPU
from edge.engine.trt_api import ask_support
from edge.errors import CheckFailedError, EdgeError, EngineLostError, InputError
from edge.model.onnx_file import load_model
from edge.model.zoo import list_models
from edge.record import Unavailable
from edge.selftest.check import run_check
from edge.selftest.engines import (
    CYCLE_BYTES,
    check_in_flight,
    check_memory,
    check_other_thread,
    check_scores,
    check_several,
    check_shared_memory,
    classify_all,
)
from edge.selftest.machine import check_camera, check_power
from edge.selftest.networks import VARIANTS, Place, Workshop
from edge.selftest.pictures import make_pictures
from edge.selftest.reference import REFERENCE, compare, read_reference
from edge.selftest.suite import Tell, run_selftest

PICTURES = make_pictures(range(8), (16, 16))
CONTRACT = make_contract(input_hw=(16, 16), resize_short_px=16)
HERE = SysRoot(Path("/"))
ORIN = GPU("Orin", "8.7", "12.6", is_integrated=True)
DISCRETE = GPU("RTX 4090", "8.9", "12.6", is_integrated=False)


class AnsweringEngine:
    """Answers by the sum of the pixels, and can be told to go wrong.

    Args:
        fault: "stale" gives a slot's former answer now and then, "lost" fails at the tenth frame,
            "thread" answers otherwise in another thread.
    """

    def __init__(self, fault=None, slots=2):
        self.info = EngineInfo("answering", "a double", "fp32", slots)
        self._free = [Slot(index, np.zeros((16, 16, 3), np.uint8)) for index in range(slots)]
        self._running = []
        self._fault = fault
        self._former = {}
        self._frames = 0
        self._thread = threading.get_ident()

    def acquire(self):
        return self._free.pop(0)

    def submit(self, slot):
        self._running.append(slot)

    def collect(self):
        slot = self._running.pop(0)
        self._free.append(slot)
        self._frames += 1
        if self._fault == "lost" and self._frames == 10:
            raise EngineLostError("answering: gone", hint="Plug it in")
        total = int(slot.pixels.sum())
        if self._fault == "stale" and self._frames % 50 == 49:
            total = self._former[slot.index]
        if self._fault == "thread" and threading.get_ident() != self._thread:
            total += 1000
        self._former[slot.index] = total
        return Scores(np.array([total % n for n in (7, 11, 13, 17, 19)], np.float32), 1)

    def close(self):
        pass


def opener(fault=None, **options):
    @contextmanager
    def open_double():
        yield AnsweringEngine(fault, **options), CONTRACT

    return open_double


def right_answers():
    with opener()() as (engine, contract):
        return classify_all(engine, contract, PICTURES)


def test_stored_answers_are_those_of_the_reference_engine():
    """Written by tools/make_selftest_reference.py."""
    reference = read_reference(bundled(REFERENCE))
    bundled_models = {entry.name: entry for entry in list_models() if entry.file}
    assert set(reference.probabilities) == set(bundled_models)
    for name, stored in reference.probabilities.items():
        model = load_model(bundled_models[name].path())
        with open_engine("onnxruntime", model) as engine:
            given = classify_all(engine, model.contract, reference.pictures)
        np.testing.assert_allclose(given, stored, atol=1e-5)
        assert set(stored.argmax(axis=1)) == set(range(8)), "a class has no picture"


def broken(tmp_path, **changes):
    path = tmp_path / "selftest.json"
    path.write_text(json.dumps({**json.loads(bundled(REFERENCE).read_text()), **changes}))
    return path


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"version": 2}, "is no reference"),
        ({"pictures": None}, "is no reference"),
        ({"models": {"squeezenet8": {}}}, "is no reference"),
        ({"pictures_sha256": "00"}, "its pictures come out otherwise"),
        ({"models": {"squeezenet8": {"sha256": "00"}}}, "is of another squeezenet8"),
    ],
)
def test_broken_reference_is_refused(tmp_path, changes, said):
    with pytest.raises((InputError, CheckFailedError), match=said):
        read_reference(broken(tmp_path, **changes))


def test_comparison_passes_within_the_tolerance_and_names_what_is_beyond():
    wanted = np.array([[0.7, 0.2, 0.1], [0.2, 0.5, 0.3]])
    assert compare(wanted + np.array([0.01, -0.01, 0]), wanted, 0.02).startswith("2 of 2 pictures")
    with pytest.raises(CheckFailedError, match=r"differ by up to 0\.03 \(0\.02 is allowed\)"):
        compare(wanted + np.array([0.03, -0.03, 0]), wanted, 0.02)
    with pytest.raises(CheckFailedError, match="1 of 2 pictures got another class"):
        compare(wanted + np.array([[0, 0, 0], [0, -0.15, 0.15]]), wanted, 0.2)
    with pytest.raises(CheckFailedError, match="differ by up to nan"):
        compare(np.where(wanted == 0.1, np.nan, wanted), wanted, 1)
    with pytest.raises(CheckFailedError, match="gave 2 scores, 3 are wanted"):
        compare(wanted[:, :2], wanted, 1)


def test_check_tells_passed_failed_and_not_tested_apart():
    def fail():
        raise EngineLostError("cuda: the GPU failed", hint="Look into dmesg")

    found = {
        "good": run_check("good", lambda: "all\n well"),
        "lacks": run_check("lacks", lambda: Unavailable("no GPU")),
        "fails": run_check("fails", fail),
        "crashes": run_check("crashes", lambda: 1 // 0),
    }
    assert {name: (one.status, one.detail) for name, one in found.items()} == {
        "good": ("passed", "all well"),
        "lacks": ("not tested", "no GPU"),
        "fails": ("failed", "cuda: the GPU failed. Look into dmesg"),
        "crashes": ("failed", "ZeroDivisionError: integer division or modulo by zero"),
    }
    assert all(one.seconds >= 0 for one in found.values())


def test_check_that_hangs_fails_and_lets_the_others_go_on():
    go = threading.Event()

    def hang():
        go.wait()
        return "late"

    check = run_check("hangs", hang, limit_s=0.05)
    go.set()
    assert (check.status, check.detail.split(".")[0]) == ("failed", "gave no answer for 0")


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_healthy_engine_passes_every_check(slots):
    good = opener(slots=slots)
    wanted = right_answers()
    assert "probabilities differ by up to 0 " in check_scores(good, PICTURES, wanted, 0.01)
    same = "every answer the same to the bit"
    assert check_in_flight(good, PICTURES, 200) == f"200 frames, {slots} in flight: {same}"
    assert check_shared_memory(good, PICTURES, ORIN).endswith(same)
    assert check_other_thread(good, PICTURES).endswith(same)
    assert check_several(good, PICTURES) == f"3 engines, each in a thread: {same}"


@pytest.mark.parametrize(
    ("check", "fault", "said"),
    [
        (lambda one: check_scores(one, PICTURES, right_answers()[::-1], 0.1), None, "class"),
        (lambda one: check_in_flight(one, PICTURES), "lost", "answering: gone"),
        (lambda one: check_in_flight(one, PICTURES), "stale", "answers changed, first that of"),
        (lambda one: check_shared_memory(one, PICTURES, ORIN), "stale", "answers changed"),
        (lambda one: check_other_thread(one, PICTURES), "thread", "8 of 8 answers changed"),
        (lambda one: check_several(one, PICTURES), "lost", "answering: gone"),
        (lambda one: check_several(one, PICTURES), "thread", "answers changed"),
    ],
)
def test_faulty_engine_is_found(check, fault, said):
    with pytest.raises((CheckFailedError, EngineLostError), match=said):
        check(opener(fault))


@pytest.mark.parametrize("gpu", [None, DISCRETE])
def test_shared_memory_is_not_tested_where_none_is_shared(gpu):
    assert isinstance(check_shared_memory(opener(), PICTURES, gpu), Unavailable)


def test_memory_check_finds_what_an_engine_keeps():
    kept = []

    @contextmanager
    def leaking():
        kept.append(np.ones(4 * CYCLE_BYTES, np.uint8))
        yield AnsweringEngine(), CONTRACT

    assert check_memory(opener(), PICTURES, HERE, None).startswith("opened 20 times: the process")
    with pytest.raises(CheckFailedError, match=r"the process grew by \d+\.\d MiB \(10\.0 is allow"):
        check_memory(leaking, PICTURES, HERE, None)


def test_memory_is_not_tested_without_proc(tmp_path):
    assert isinstance(check_memory(opener(), PICTURES, SysRoot(tmp_path), None), Unavailable)


@pytest.fixture
def workshop(tmp_path, monkeypatch):
    """Give a function that makes a workshop whose TensorRT is the stand-in."""

    monkeypatch.setattr("edge.selftest.networks.CALIBRATION_PICTURES", 6)

    def make(**machine):
        monkeypatch.syspath_prepend(str(ROOT / "tests" / "fakes"))
        monkeypatch.setenv("FAKE_TENSORRT", json.dumps(machine))
        support = run_in_child(ask_support, "tensorrt")
        return Workshop(
            Place("tensorrt", support, ORIN), tmp_path, make_board(tmp_path, "orin_nano")
        )

    return make


WITHOUT_PYCUDA = [variant for variant in VARIANTS if not variant.calibrator]
"""The calibrator reads its pictures from the GPU."""


def test_every_variant_is_built_where_the_board_has_what_it_takes(workshop):
    shop = workshop()
    built = {variant.title: shop.prepare(variant)[1] for variant in WITHOUT_PYCUDA}
    assert built["squeezenet8-int8"] == "26 convolutions in Int8"
    assert built["squeezenet8 calibrated"] == "26 convolutions in Int8"
    assert built["squeezenet8 fp16"] == "26 convolutions in Half"
    assert built["squeezenet8 fp16 on DLA"].startswith("no convolution on the GPU, ")


def test_what_a_board_lacks_is_not_tested_and_says_why(workshop):
    shop = workshop(fast_int8=False, dla_cores=0)
    prepared = {variant.title: shop.prepare(variant) for variant in VARIANTS}
    missing = {t: one.reason for t, one in prepared.items() if isinstance(one, Unavailable)}
    assert missing == {
        "squeezenet8-int8": "this GPU does not multiply int8 fast",
        "squeezenet8 calibrated": "this GPU does not multiply int8 fast",
        "TensorRT's calibrator": "this GPU does not multiply int8 fast",
        "squeezenet8 fp16 on DLA": "this board has no DLA",
    }


def test_build_that_fails_is_a_failure_and_nothing_that_is_missing(workshop):
    shop = workshop()
    shop.folder.joinpath("0.plan").mkdir()
    with pytest.raises(EdgeError, match="is a folder"):
        shop.prepare(VARIANTS[0])


def test_power_is_read_on_a_board_and_missed_on_a_bare_machine(tmp_path):
    board = check_power(make_board(tmp_path / "board", "orin_nano"))
    assert board == "VDD_IN (module): 4.80 to 4.80 W; rails found: VDD_IN, VDD_CPU_GPU_CV, VDD_SOC"
    bare = check_power(make_board(tmp_path / "bare", "bare"))
    assert bare == Unavailable("no power rail, no RAPL and no NVIDIA GPU on this machine")


def test_power_that_cannot_be_fails(tmp_path):
    """A counter that stands still would say 0 W."""
    root = make_board(tmp_path / "pc", "pc")
    with pytest.raises(CheckFailedError, match=r"0\.00 to 0\.00 W, which cannot be"):
        check_power(root)
    board = make_board(tmp_path / "board", "orin_nano")
    for file in (tmp_path / "board").rglob("curr*_input"):
        file.write_text("asleep")
    with pytest.raises(CheckFailedError, match="gives no reading; rails found: VDD_IN"):
        check_power(board)
    assert (tmp_path / "pc" / RAPL).exists()


def test_absent_camera_is_not_tested(tmp_path):
    assert check_camera(SysRoot(tmp_path)) == Unavailable("no camera: there is no /dev/video*")


def test_failed_reference_stops_no_other_check(tmp_path):
    """Nothing is compared, and everything is still told."""
    told, started = [], []
    report = run_selftest(
        "openvino",
        make_board(tmp_path, "orin_nano"),
        Tell(started.append, told.append),
        reference=broken(tmp_path, version=2),
    )
    assert report.named("failed") == ("reference answers",)
    assert report.named("passed") == ("power",)
    assert started == [check.name for check in report.checks]
    assert tuple(told) == report.checks
    assert report.ran is None
    assert report.machine.board.module == "Orin Nano 8GB"


def test_model_that_answers_otherwise_is_named_and_the_next_one_is_tested(tmp_path, monkeypatch):
    monkeypatch.setattr("edge.selftest.suite.VARIANTS", VARIANTS[:2])
    models = json.loads(bundled(REFERENCE).read_text())["models"]
    models["squeezenet8-int8"]["probabilities"][0].reverse()
    root, spoiled = make_board(tmp_path, "orin_nano"), broken(tmp_path, models=models)
    report = run_selftest("openvino", root, Tell(), reference=spoiled)
    assert report.named("failed") == ("squeezenet8-int8",)
    assert "1 of 16 pictures got another class" in report.checks[2].detail
    by_the_next = {"squeezenet8 fp32", "frames in flight", "another thread", "several engines"}
    assert set(report.named("passed")) >= by_the_next | {"demo"}


def test_engine_that_cannot_be_tested_is_refused():
    with pytest.raises(InputError, match="null: cannot be tested"):
        run_selftest("null", HERE, Tell())
