"""What the pictures decided is kept beside the plan, and spares the next build its measuring."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from samples import ROOT, make_picture

from edge.build.options import options_of
from edge.build.plan import build_plan
from edge.engine.plan import read_sidecar
from edge.model.onnx_file import load_model, save_model
from edge.quant.dataset import open_calibration_set
from edge.quant.table import format_table, parse_table


@pytest.fixture
def small(tiny_model, picture_folder, tmp_path):
    """Give the words that build a small fp32 model in INT8."""
    save_model(tiny_model, tmp_path / "small.onnx")
    return ("small.onnx", "--calib", picture_folder)


def contents(folder) -> dict:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_second_build_takes_what_the_pictures_decided_from_the_table(build, small, tmp_path):
    first = build(*small)
    assert (first.returncode, "measured before" in first.stdout) == (0, False)
    plan, table = ((tmp_path / name).read_bytes() for name in ("m.plan", "m.calib.json"))
    again = build(*small)
    assert again.stdout.splitlines()[1:] == ["measured before: m.calib.json"]
    assert again.stderr == first.stderr
    assert (tmp_path / "m.plan").read_bytes() == plan
    assert (tmp_path / "m.calib.json").read_bytes() == table


def test_ranges_of_a_plan_are_those_of_its_table(build, small, tmp_path):
    """Else the second build would measure and only say that it did not."""
    build(*small)
    path, plan = tmp_path / "m.calib.json", (tmp_path / "m.plan").read_bytes()
    table = parse_table(path.read_bytes(), "x")
    measured = table.measured
    wider = {
        name: dataclasses.replace(one, reach=2 * one.reach) for name, one in measured.ranges.items()
    }
    path.write_bytes(format_table(table.key, dataclasses.replace(measured, ranges=wider)))
    assert build(*small).returncode == 0
    assert (tmp_path / "m.plan").read_bytes() != plan


def test_plan_that_is_built_again_from_its_sidecar_measures_nothing(
    build, small, tmp_path, monkeypatch
):
    """As edge run does for a plan that does not fit."""
    build(*small, "--fast")
    plan = (tmp_path / "m.plan").read_bytes()
    sidecar = read_sidecar(tmp_path / "m.plan")
    model, pictures = load_model(Path(sidecar.model)), open_calibration_set(sidecar.calibration)
    monkeypatch.syspath_prepend(ROOT / "tests" / "fakes")
    again = build_plan(model, pictures, tmp_path / "m.plan", options_of(sidecar))
    assert again.measured_before == tmp_path / "m.calib.json"
    assert (tmp_path / "m.plan").read_bytes() == plan


def test_build_and_quantize_share_a_table(build, edge, small, tmp_path):
    assert edge("quantize", *small, "-o", "m.onnx").returncode == 0
    table = (tmp_path / "m.calib.json").read_bytes()
    assert build(*small).stdout.endswith("\nmeasured before: m.calib.json\n")
    assert (tmp_path / "m.calib.json").read_bytes() == table


def test_build_measures_again_and_says_so_when_an_option_differs(build, small, tmp_path):
    build(*small, "--fast")
    table = (tmp_path / "m.calib.json").read_bytes()
    done = build(*small)
    assert done.returncode == 0
    said = "edge: m.calib.json: is of other options. Measuring again"
    assert done.stderr.splitlines()[-1] == said
    assert "measured before" not in done.stdout
    assert (tmp_path / "m.calib.json").read_bytes() != table


def test_given_table_is_used_where_it_fits_and_refused_elsewhere(build, small, tmp_path):
    build(*small)
    plan = (tmp_path / "m.plan").read_bytes()
    (tmp_path / "m.calib.json").rename(tmp_path / "kept.calib.json")
    (tmp_path / "m.plan").unlink()
    done = build(*small, "--table", "kept.calib.json")
    assert done.stdout.endswith("\nmeasured before: kept.calib.json\n")
    assert (tmp_path / "m.plan").read_bytes() == plan
    before = contents(tmp_path)
    assert before["m.calib.json"] == before["kept.calib.json"]
    done = build(*small, "--symmetric", "--table", "kept.calib.json")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        1,
        ("edge: kept.calib.json: is of other options."
         " Leave --table away, or give what the table was made with"),
    )  # fmt: skip
    assert contents(tmp_path) == before


def test_table_beside_a_gate_is_of_the_pictures_that_calibrate(build, small, tmp_path):
    """Every fifth judges, and decides nothing of it."""
    (tmp_path / "fifty").mkdir()
    for number in range(50):
        make_picture(tmp_path / "fifty" / f"{number}.png", seed=number)
    words = (small[0], "--calib", "fifty", "--fast")
    build(*words, "--max-drop", 100)
    judged = build(*words, "--max-drop", 100)
    assert judged.stdout.endswith("\nmeasured before: m.calib.json\n")
    assert "10 pictures held out" in judged.stdout
    said = "edge: m.calib.json: is of other pictures. Measuring again"
    assert build(*words).stderr.splitlines()[-1] == said


def test_failed_build_leaves_no_table(build, small, tmp_path):
    """The disk takes the table, but not the plan."""
    build(*small, "--fast")
    most_bytes = (tmp_path / "m.calib.json").stat().st_size + 1000
    assert most_bytes < (tmp_path / "m.plan").stat().st_size
    for name in ("m.plan", "m.plan.json", "m.calib.json"):
        (tmp_path / name).unlink()
    before = contents(tmp_path)
    done = build(*small, "--fast", most_bytes=most_bytes)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("edge: m.plan: the file would be too large.")
    assert contents(tmp_path) == before


def test_build_without_int8_keeps_no_table(build, small, tmp_path):
    assert build(*small, fast_int8=False).returncode == 0
    assert (tmp_path / "m.plan").exists()
    assert not (tmp_path / "m.calib.json").exists()


def test_plan_whose_table_would_be_its_sidecar_is_refused(edge, small, tmp_path):
    before = contents(tmp_path)
    done = edge("build", *small, "-o", "m.calib")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        1,
        ("edge: m.calib: its sidecar and its calibration table would be one file."
         " Name it m.plan"),
    )  # fmt: skip
    assert contents(tmp_path) == before
