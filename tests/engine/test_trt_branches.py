"""What TensorRT up to 10 is told, on a stand-in; the newest branches run for real in L2."""

from __future__ import annotations

import json
from itertools import count

import numpy as np
import pytest

from edge.engine.trt_api import BuildSettings, _explain, ask_support, build
from edge.engine.trt_hooks import Calibration
from edge.errors import InputError, UnavailableError
from edge.model.batch import open_batch
from edge.model.fold import fold

pytestmark = pytest.mark.usefixtures("fake_tensorrt")

INT8 = BuildSettings(target="tensorrt", precision="int8")


@pytest.fixture
def network(small_model) -> bytes:
    return fold(small_model).to_bytes()


def go_on(*_step: object) -> bool:
    return True


def calibration(pictures: int, table: bytes = b"") -> tuple[Calibration, list[int]]:
    """Give a calibration and the list of first values that it uploads."""
    uploaded: list[int] = []
    addresses = count(4096)

    def upload(batch: np.ndarray) -> int:
        uploaded.append(int(batch[0, 0, 0, 0]))
        return next(addresses)

    batches = (np.full((1, 64, 64, 3), number, np.uint8) for number in range(pictures))
    return Calibration(batches, upload, table), uploaded


def test_support_of_this_machine_is_told(fake_tensorrt):
    support = ask_support("tensorrt")
    assert support.version == fake_tensorrt.__version__
    assert support.fast_int8
    assert support.has_calibrator
    assert not support.takes_float_types
    assert support.dla_cores == 2


def test_calibrator_sees_every_picture_once_and_keeps_the_table(network):
    given, uploaded = calibration(3)
    built = build(network, INT8, go_on, given)
    told = json.loads(built.plan)
    assert sorted(told["flags"]) == ["FP16", "INT8"]
    assert told["batches"] == [[4096], [4097], [4098]]
    assert told["batch_size"] == 1
    assert told["calibration_profile"] is None
    assert uploaded == [0, 1, 2]
    assert built.calibration_table == b"table"
    assert {layer.input_type for layer in built.layers} == {"Int8"}


def test_known_table_spares_the_pictures(network):
    given, uploaded = calibration(3, table=b"known")
    built = build(network, INT8, go_on, given)
    assert uploaded == json.loads(built.plan)["batches"] == []
    assert built.calibration_table == b"known"


def test_open_batch_is_calibrated_with_one_picture(small_model):
    given, _ = calibration(2)
    settings = BuildSettings(target="tensorrt", precision="int8", batch=(1, 4, 8))
    built = build(open_batch(fold(small_model)).to_bytes(), settings, go_on, given)
    told = json.loads(built.plan)
    one, four, eight = ([n, 64, 64, 3] for n in (1, 4, 8))
    assert told["profiles"] == [["pixels", one, four, eight]]
    assert told["calibration_profile"] == ["pixels", one, one, one]


@pytest.mark.parametrize("known", [b"", b"timing", b"of another version", b"of another device"])
def test_timing_cache_that_tensorrt_does_not_take_starts_anew(network, known):
    """An update of JetPack leaves one behind: it must neither end each build nor stay for ever."""
    settings = BuildSettings(target="tensorrt", precision="fp16", timing_cache=known)
    assert build(network, settings, go_on).timing_cache == b"timing"


def test_dla_is_asked_when_flags_and_ranges_are_set(network):
    """The stand-in refuses to answer earlier."""
    given, uploaded = calibration(2)
    settings = BuildSettings(target="tensorrt", precision="int8", dla_core=0)
    built = build(network, settings, go_on, given)
    told = json.loads(built.plan)
    assert sorted(told["flags"]) == ["FP16", "GPU_FALLBACK", "INT8"]
    assert (told["device"], told["dla_core"]) == ("DLA", 0)
    assert built.gpu_fallback == ("pixels", "pixels/planes", "pool10", "scores")
    assert uploaded == [0, 1]


def test_error_in_a_callback_ends_the_build(network):
    """TensorRT itself would go on with the pictures that it had."""

    def batches():
        yield np.zeros((1, 64, 64, 3), np.uint8)
        raise InputError("b.png: gone", hint="Put it back")

    with pytest.raises(InputError, match=r"b\.png: gone"):
        build(network, INT8, go_on, Calibration(batches(), lambda _: 1))


def test_calibrator_is_refused_where_there_is_none(fake_tensorrt, network):
    del fake_tensorrt.IInt8EntropyCalibrator2
    assert not ask_support("tensorrt").has_calibrator
    with pytest.raises(UnavailableError) as error:
        build(network, INT8, go_on, calibration(1)[0])
    assert str(error.value) == (
        "--calibrator: this TensorRT has no calibrator any more. Leave --calibrator away"
    )


@pytest.mark.parametrize(
    ("errors", "line"),
    [
        (["Error Code 2: OutOfMemory (Requested size was 2833252352 bytes.)",
          "Error Code 10: Internal Error (Could not find any implementation for node conv1.)"],
         "TensorRT: not enough memory. Close other programs or add swap"),
        (["Device memory is insufficient to use tactic.", "Error Code 1: Cuda Runtime (odd)"],
         "TensorRT: the build failed (Error Code 1: Cuda Runtime (odd)). Report it with the model"),
        (["CUDA driver version is insufficient for CUDA runtime version"],
         "TensorRT: the GPU's driver is missing or too old. Install the driver"),
        ([], "TensorRT: the build failed (it gives no reason). Report it with the model"),
    ],
)  # fmt: skip
def test_what_the_builder_logs_is_told_in_plain_words(errors, line):
    assert str(_explain(errors)) == line
