"""The rows that programs read, and the JSON Schema of each kind, say the same."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from samples import FULL_BOARD, FULL_POWER, ROOT, make_record, make_snapshot, make_status

from edge.errors import CameraLostError
from edge.record import (
    BoardReading,
    PowerReading,
    RailState,
    RailSummary,
    Seen,
    Summary,
    Unavailable,
)
from edge.schema import frame_row, power_row, snapshot_row, summary_row

FOLDER = ROOT / "docs" / "schema"
KINDS = ("frame", "snapshot", "summary", "power")
POWERS = (
    Unavailable("no power rail"),
    PowerReading(4960.0, 4900.0, 12.25, "VDD_IN (module)"),
    replace(FULL_POWER, idle_mw=9000.0),  # so that the net energy is below 0
    FULL_POWER,
)
BOARDS = (
    Unavailable("not asked for"),
    BoardReading({}),
    replace(FULL_BOARD, temperatures_c={"cv-thermal": -0.5}),
    FULL_BOARD,
)


def validator(kind):
    return Draft202012Validator(json.loads((FOLDER / f"{kind}.json").read_text()))


def check(kind, row):
    """Judge the row as another program reads it."""
    validator(kind).validate(json.loads(json.dumps(row, allow_nan=False)))


def full_summary():
    new = make_status(
        "new", state="connecting", problem="no route", size=None, frames=0, latest=None
    )
    snapshot = make_snapshot(sources=(make_status(), new), power=FULL_POWER, board=FULL_BOARD)
    return Summary(snapshot, (Seen("a.png", "apple", 0.75, 12),), None, {"cpu": 61.5})


RAILS = (
    RailState("VDD_IN", 5.0, RailSummary("VDD_IN", -1.0, 2.0, 9.0, 0.5, 0.125, 7), "counted"),
    RailState("VDD_SOC", Unavailable("sleeps"), None, "other"),
)
NOON_NS = 1_795_608_000_000_000_000


def rows():
    """Give one full row of each kind."""
    summary = full_summary()
    yield "frame", frame_row(make_record(("apple", 0.75), ("Käse", 0.25), file="a.png"))
    yield "snapshot", snapshot_row(summary.final)
    yield "summary", summary_row(summary)
    yield "power", power_row(FULL_POWER, RAILS, NOON_NS)


@pytest.mark.parametrize("kind", KINDS)
def test_schema_is_one(kind):
    Draft202012Validator.check_schema(json.loads((FOLDER / f"{kind}.json").read_text()))


@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("board", BOARDS)
def test_state_of_any_machine_is_valid(power, board):
    snapshot = replace(full_summary().final, power=power, board=board)
    check("snapshot", snapshot_row(snapshot))
    lost = CameraLostError("rtsp://door: no route", hint="Check the network")
    check("summary", summary_row(Summary(snapshot, (), lost)))


@pytest.mark.parametrize("power", [*POWERS, PowerReading(-3.0, -2.0, -0.5, "VDD_GPU + VIN")])
def test_power_of_any_machine_is_valid(power):
    row = power_row(power, (), NOON_NS)
    assert row["time"] == "2026-11-25T12:00:00.000Z"
    check("power", row)


@pytest.mark.parametrize("frames", [0, 75])
def test_run_without_frames_or_sources_is_valid(frames):
    snapshot = make_snapshot(sources=(), frames=frames, latest=None, power=POWERS[1])
    check("snapshot", snapshot_row(snapshot))


@given(label=st.text(), file=st.none() | st.text(), p=st.floats(0, 1))
def test_frame_of_any_text_is_valid(label, file, p):
    check("frame", frame_row(make_record((label, p), file=file)))


def paths(value, path=()):
    """Give the path of each object in a row whose names are ours."""
    if isinstance(value, dict):
        if path[-1:] not in (("rails_mw",), ("temperatures_c",), ("max_temperatures_c",)):
            yield path
        for name, inner in value.items():
            yield from paths(inner, (*path, name))
    if isinstance(value, list):
        for number, inner in enumerate(value):
            yield from paths(inner, (*path, number))


def at(row, path):
    for name in path:
        row = row[name]
    return row


FIELDS = [
    (kind, path, name)
    for kind, row in rows()
    for path in paths(row)
    for name in at(row, path)
]  # fmt: skip


def test_full_rows_are_valid():
    for kind, row in rows():
        check(kind, row)


def test_field_that_is_missing_renamed_added_or_of_another_type_is_refused():
    """Each field of each object of each kind; a frame alone may lack `file`."""
    full = dict(rows())
    judges = {kind: validator(kind) for kind in KINDS}
    assert len(FIELDS) > 200
    for kind, path, name in FIELDS:
        for change in ("missing", "renamed", "added", "retyped"):
            row = copy.deepcopy(full[kind])
            inside = at(row, path)
            value = inside[name] if change in ("added", "retyped") else inside.pop(name)
            if change == "retyped":
                inside[name] = {"other": value}
            elif change != "missing":
                inside[f"{name}_other"] = value
            may_lack = (change, name) == ("missing", "file")
            assert judges[kind].is_valid(row) == may_lack, (kind, path, name, change)


def test_row_of_another_version_or_kind_is_refused():
    for kind, row in rows():
        assert not validator(kind).is_valid({**row, "version": row["version"] + 1})
        assert not validator(kind).is_valid({**row, "kind": "other"})


def fields_of(schema):
    """Give each description of a field in a schema, by name."""
    parts = [schema, *schema["$defs"].values()]
    return [(name, field) for part in parts for name, field in part["properties"].items()]


@pytest.mark.parametrize("kind", KINDS)
def test_field_has_a_description_and_each_number_its_unit(kind):
    schema = json.loads((FOLDER / f"{kind}.json").read_text())
    units = {"ms": "ms", "s": "s", "j": "J", "mw": "mW", "c": "°C", "mhz": "MHz", "fps": "1/s"}
    for name, field in fields_of(schema):
        assert field.get("description") or "$ref" in field, name
        told = json.dumps(field, ensure_ascii=False)
        if '"number"' in told or '"integer"' in told:
            assert '"unit": "' in told, name
        unit = units.get(name.rsplit("_", 1)[-1])
        if unit:
            assert f'"unit": "{unit}"' in told, name


def test_schemas_are_those_of_the_table(tmp_path):
    subprocess.run(
        [sys.executable, ROOT / "tools" / "write_schemas.py", "-o", tmp_path], check=True, cwd=ROOT
    )
    for kind in KINDS:
        written = (tmp_path / f"{kind}.json").read_text()
        assert (FOLDER / f"{kind}.json").read_text() == written, "run: tools/write_schemas.py"
