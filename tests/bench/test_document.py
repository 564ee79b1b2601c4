"""The JSON is what its schema says, and reading it again loses nothing that a diff wants."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace

import jsonschema
import numpy as np
import pytest
from benches import make_report, make_result, make_rounds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples import ROOT

from edge.bench.case import Refused
from edge.bench.diff import diff
from edge.bench.document import read_kept, to_json
from edge.bench.limits import find_limits
from edge.bench.roofline import bound
from edge.errors import InputError
from edge.record import Unavailable

SCHEMA = json.loads((ROOT / "docs" / "schema" / "bench.json").read_text())


def strict(schema):
    """Refuse fields that the schema does not describe."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: strict(one) for name, one in schema.items()}
    if "properties" in found and "required" in found and found["required"] != ["at_s"]:
        found.setdefault("additionalProperties", False)
    return found


def test_every_field_is_described_and_every_described_one_is_there(tmp_path, small_model):
    limits = find_limits("orin-nano")
    bare = make_result("bare", start=Unavailable("no words"), layers=Unavailable("not asked for"))
    refused = Refused(make_result("refused").case, "no GPU")
    report = make_report(tmp_path, make_result(), bare, refused,
                         bounds={"bare": bound(small_model, limits, is_int8=False)})  # fmt: skip
    jsonschema.validate(json.loads(to_json(report)), strict(SCHEMA))


def test_schema_refuses_a_field_without_description(tmp_path):
    row = json.loads(to_json(make_report(tmp_path, make_result())))
    row["cases"][0]["surprise"] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(row, strict(SCHEMA))


def test_what_is_read_again_is_what_was_measured(tmp_path):
    result = make_result()
    file = tmp_path / "a.json"
    file.write_text(to_json(make_report(tmp_path, result, Refused(result.case, "no GPU"))))
    kept = read_kept(file)
    assert kept.doubts == ("machine: busy. Close it",)
    rounds = kept.rounds["small null"]
    assert len(rounds) == len(result.rounds)
    for read, made in zip(rounds, result.rounds, strict=True):
        assert (read.part, read.frames) == (made.part, made.frames)
        assert np.abs(read.latencies_ns - made.latencies_ns).max() <= 50  # a tenth of 1 us
        assert read.yardstick_ms == pytest.approx(made.yardstick_ms, abs=1e-6)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda row: row.update(kind="summary"), "is no file of edge bench"),
        (lambda row: row.update(version=99), "has version 99, this edge reads 1"),
        (lambda row: row.pop("cases"), "is no file of edge bench"),
        (lambda row: row.update(cases=3), "is no file of edge bench"),
        (lambda row: row["cases"][0].update(rounds=[]), "is no file of"),
        (lambda row: row["cases"][0]["rounds"][0].update(latencies_us=[]), "is no file of"),
        (lambda row: row["cases"][0]["rounds"][0].update(yardstick_ms=0), "is no file of"),
        (lambda row: row["cases"][0]["rounds"][0].update(latencies_us=["x"]), "is no file of"),
    ],
)
def test_what_is_no_measurement_is_said_in_one_line(tmp_path, change, said):
    row = json.loads(to_json(make_report(tmp_path, make_result())))
    change(row)
    file = tmp_path / "bad.json"
    file.write_text(json.dumps(row))
    with pytest.raises(InputError, match=said):
        read_kept(file)


@pytest.mark.parametrize("text", ["", "[]", "{", "3", "null"])
def test_other_text_is_no_measurement(tmp_path, text):
    file = tmp_path / "bad.json"
    file.write_text(text)
    with pytest.raises(InputError, match=r"bad\.json: is no file of edge bench"):
        read_kept(file)


def places(node, path=()):
    """Yield the way to every node of a JSON."""
    yield path
    inside = ()
    if isinstance(node, dict):
        inside = node.items()
    elif isinstance(node, list):
        inside = enumerate(node)
    for key, one in inside:
        yield from places(one, (*path, key))


ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.none(), max_size=1),
)  # fmt: skip


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_anything_in_the_place_of_anything_is_read_or_refused(tmp_path, data):
    """And what is read can be compared."""
    case = make_result(rounds=make_rounds(1, each=2))
    row = json.loads(to_json(make_report(tmp_path, case)))
    for one in row["cases"][0]["rounds"]:
        del one["latencies_us"][2:], one["network_us"][2:]
    whole = tmp_path / "whole.json"
    whole.write_text(json.dumps(row))
    *way, last = data.draw(st.sampled_from([path for path in places(row) if path]))
    node = row
    for key in way:
        node = node[key]
    node[last] = data.draw(ODD)
    file = tmp_path / "odd.json"
    file.write_text(json.dumps(row))
    with suppress(InputError):
        diff(read_kept(whole), read_kept(file))


def test_files_of_a_case_are_hashed_where_they_are(tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"abc")
    result = make_result()
    files = (("model", tmp_path / "m.onnx"), ("plan", tmp_path / "not.here"))
    result = replace(result, case=replace(result.case, files=files))
    row = make_report(tmp_path, result).to_row()
    assert list(row["cases"][0]["sha256"]) == ["model"]
    assert row["cases"][0]["sha256"]["model"].startswith("ba7816bf")
