"""TensorRT's calibration cache: what is written is read, and nothing else is."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import told
from samples import ROOT
from strategies import QUICK

from edge.engine.trt_cache import format_cache, parse_cache, require_tensors
from edge.errors import CalibrationError

GOLDEN = ROOT / "tests" / "golden" / "trt_cache.txt"
"""As TensorRT 10.3 would write it; the middle lines are of a public cache of TensorRT 8.6."""

SCALES = {"pixels": 255 / 127, "168": 0.09707532823085785, "169": 0.007875937968492508,
          "Relu:0 of a: b": 1.0}  # fmt: skip

names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), min_size=1)
scales = st.floats(0, width=32, allow_nan=False, allow_infinity=False)


def refusal(data: bytes) -> str:
    with pytest.raises(CalibrationError) as caught:
        parse_cache(data, "x.cache")
    return told(caught)


def test_cache_is_the_golden_file():
    assert format_cache(SCALES, "10.3.0") == GOLDEN.read_bytes()
    read = parse_cache(GOLDEN.read_bytes(), "x.cache")
    assert read == {name: float(np.float32(scale)) for name, scale in SCALES.items()}


@QUICK
@given(st.dictionaries(names, scales))
def test_cache_gives_its_scales_back(values):
    assert parse_cache(format_cache(values, "8.6.1"), "x.cache") == values


@pytest.mark.parametrize(
    ("version", "number"), [("8.6.1", "8601"), ("10.3.0", "100300"), ("10.13.2.6", "101302")]
)
def test_first_line_counts_versions_as_tensorrt_does(version, number):
    assert format_cache({}, version) == f"TRT-{number}-EntropyCalibration2\n".encode()


@QUICK
@given(st.binary(max_size=60), st.sampled_from([b"", b"TRT-8601-EntropyCalibration2\n"]))
def test_no_other_bytes_break_it(data, first):
    try:
        read = parse_cache(first + data, "x.cache")
    except CalibrationError as error:
        assert str(error).startswith("x.cache")  # noqa: PT017 - either outcome is right
    else:
        assert all(0 <= scale < np.inf for scale in read.values())


def test_cache_cut_anywhere_is_refused_or_whole_lines_shorter():
    whole = GOLDEN.read_bytes()
    for length in range(len(whole)):
        if not whole[:length].endswith(b"\n"):
            assert refusal(whole[:length]).startswith("x.cache: is ")


def test_what_is_wrong_is_named():
    first = b"TRT-100300-EntropyCalibration2\n"
    nan, minus = struct.pack(">f", np.nan).hex(), struct.pack(">f", -1).hex()
    assert refusal(b"").startswith("x.cache: is no calibration cache of TensorRT. ")
    assert refusal(b"\xff\xfe").startswith("x.cache: is no calibration cache of TensorRT. ")
    assert refusal(b"TRT-8601-MinMaxCalibration\n").startswith("x.cache: is of MinMaxCalibration")
    for line in ("a 3f800000", "a: 3f80000g", "a: 13f800000", ": 3f800000", "a: ", f"a: {nan}",
                 f"a: {minus}", "a: 7f800000"):  # fmt: skip
        said = refusal(first + f"b: 3f800000\n{line}\n".encode())
        assert said.startswith("x.cache, line 3: is no tensor with a scale. "), line


def test_short_digits_and_line_ends_of_other_writers_are_read():
    text = "TRT-8XXX-EntropyCalibration2\r\na: 3f800000\r\nb: 10000\n"
    assert parse_cache(text.encode(), "x.cache")["a"] == 1.0


def test_cache_of_another_network_is_refused_by_name():
    with pytest.raises(CalibrationError) as caught:
        require_tensors({"a": 1.0}, ["a", "b", "c"], "x.cache")
    assert told(caught).startswith("x.cache: is of another network, it has no scale for b. ")
