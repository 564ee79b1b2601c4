"""The calibration table: back to the bit, the same model of it, and never the wrong one."""

from __future__ import annotations

import dataclasses
import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import make_classifier, told
from samples import ROOT, make_contract, make_picture
from strategies import JSON_VALUES, QUICK

from edge.errors import CalibrationError, InputError
from edge.quant.dataset import CalibrationSet, open_calibration_set
from edge.quant.margins import Range
from edge.quant.measure import Measured
from edge.quant.quantize import QuantOptions, quantize
from edge.quant.table import (
    OTHERS,
    TABLE_VERSION,
    Table,
    find_measured,
    format_table,
    parse_table,
    table_key,
    table_path,
)

GOLDEN = ROOT / "tests" / "golden" / "small.calib.json"
"""Of `KEY` and `MEASURED`; another text wants another `TABLE_VERSION`."""

KEY = {
    "version": 1,
    "preprocessing": {"input_hw": [64, 64], "resize": "short"},
    "model": "ab" * 32,
    "pictures": "cd" * 32,
    "options": {"fast": False, "keep_float": ["conv1"]},
}
MEASURED = Measured(
    {"conv1/relu": (1.5, 0.1, 0.0), "fire2/concat": (3.4028234663852886e38,)},
    {"conv1/relu": Range("mse", 0.9, 0.00012), "fire2/concat": Range("min-max + 15 %", 1.15)},
    ("conv1/relu",),
)

numbers = st.floats(allow_nan=False, allow_infinity=False)
decisions = st.builds(
    Measured,
    st.dictionaries(st.text(), st.lists(numbers).map(tuple)),
    st.dictionaries(st.text(), st.builds(Range, st.text(), numbers, st.none() | numbers)),
    st.lists(st.text()).map(tuple),
)


def refusal(data: bytes) -> str:
    with pytest.raises(CalibrationError) as caught:
        parse_table(data, "x.calib.json")
    return told(caught)


def silent(_done: int) -> None:
    """Take the progress and show nothing."""


def test_table_is_the_golden_file():
    assert format_table(KEY, MEASURED) == GOLDEN.read_bytes()
    assert parse_table(GOLDEN.read_bytes(), "x") == Table(KEY, MEASURED)


@QUICK
@given(decisions)
def test_table_gives_its_decisions_back_to_the_bit(measured):
    table = parse_table(format_table(KEY, measured), "x")
    assert table == Table(KEY, measured)
    assert repr(table.measured) == repr(measured)  # minus zero too


@QUICK
@given(st.binary() | JSON_VALUES.map(lambda value: json.dumps(value).encode()))
def test_other_files_are_refused(data):
    assert refusal(data).startswith("x.calib.json: is no calibration table. Move it away, ")


@QUICK
@given(st.sampled_from(sorted(json.loads(GOLDEN.read_bytes()))), JSON_VALUES)
def test_table_with_a_part_of_another_kind_is_refused(part, value):
    fields = json.loads(GOLDEN.read_bytes())
    fields[part] = value
    try:
        table = parse_table(json.dumps(fields).encode(), "x.calib.json")
    except CalibrationError as error:
        assert str(error).startswith("x.calib.json: ")  # noqa: PT017 - either outcome is right
    else:
        assert table == Table(KEY, MEASURED) or table.measured is None


def test_table_cut_anywhere_is_refused():
    whole = GOLDEN.read_bytes().rstrip()
    for length in range(len(whole)):
        assert refusal(whole[:length]).startswith("x.calib.json: is no calibration table. ")


def test_table_that_was_changed_is_refused():
    changed = GOLDEN.read_bytes().replace(b"1.5", b"1.25")
    assert refusal(changed).startswith("x.calib.json: was changed since edge wrote it. ")


def test_deep_nesting_is_refused():
    assert refusal(b"[" * 100_000).startswith("x.calib.json: is no calibration table. ")


def test_same_decisions_give_the_same_model(picture_folder):
    """With enough pictures that ranges are judged, and read back from a file."""
    for number in range(6, 20):
        make_picture(picture_folder / f"{number}.png", seed=number)
    model, pictures = make_classifier(make_contract()), open_calibration_set(picture_folder)
    first = quantize(model, pictures, progress=silent)
    table = format_table(table_key(model, pictures, QuantOptions()), first.measured)
    measured = parse_table(table, "x").measured
    done = []
    again = quantize(model, pictures, progress=done.append, measured=measured)
    assert again.model.to_bytes() == first.model.to_bytes()
    assert again.measured == first.measured
    assert done == list(range(1, 21))


def make_key(options: QuantOptions | None = None, pictures: str = "cd" * 32, **contract: object):
    calibration = CalibrationSet("x", (), 0, 0, pictures)
    model = make_classifier(make_contract(**contract))
    return table_key(model, calibration, options or QuantOptions())


def test_key_names_each_difference():
    key = make_key()
    assert set(key) == set(OTHERS)
    assert key["version"] == TABLE_VERSION
    for other, parts in (
        (make_key(), set()),
        (make_key(QuantOptions(fast=True)), {"options"}),
        (make_key(QuantOptions(keep_float=("first",))), {"options"}),
        (make_key(pictures="ef" * 32), {"pictures"}),
        (make_key(labels=tuple("vwxyz")), {"model"}),
        (make_key(resize_short_px=80), {"model", "preprocessing"}),
    ):
        assert {part for part in key if key[part] != other[part]} == parts
    assert set(key["options"]) == {field.name for field in dataclasses.fields(QuantOptions)}


def test_table_of_another_key_is_told_of_beside_the_output_and_refused_when_given(tmp_path, caplog):
    path = tmp_path / "x.calib.json"
    path.write_bytes(format_table(make_key(), MEASURED))
    key = make_key(QuantOptions(fast=True), pictures="ef" * 32)
    with caplog.at_level(logging.WARNING):
        assert find_measured(path, None, key) is None
    assert caplog.messages == [f"{path}: is of other pictures, other options. Measuring again"]
    with pytest.raises(CalibrationError) as caught:
        find_measured(None, path, key)
    assert told(caught).startswith(f"{path}: is of other pictures, other options. Leave --table")


def test_table_of_another_version_is_told_of_alone(tmp_path, caplog):
    path = tmp_path / "x.calib.json"
    path.write_text('{"version": 99, "sha256": "later"}')
    with caplog.at_level(logging.WARNING):
        assert find_measured(path, None, make_key()) is None
    assert caplog.messages == [f"{path}: is of another version of the table. Measuring again"]


def test_table_is_found_where_it_fits(tmp_path):
    path = tmp_path / "x.calib.json"
    assert find_measured(path, None, make_key()) is None
    assert find_measured(None, None, make_key()) is None
    path.write_bytes(format_table(make_key(), MEASURED))
    assert find_measured(path, None, make_key()) == MEASURED
    assert find_measured(tmp_path / "none", path, make_key()) == MEASURED
    with pytest.raises(InputError):
        find_measured(path, tmp_path / "none", make_key())


def test_table_lies_beside_a_file_and_not_beside_a_device(tmp_path):
    assert table_path(tmp_path / "a.b.onnx") == tmp_path / "a.b.calib.json"
    assert table_path(type(tmp_path)("/dev/null")) is None
