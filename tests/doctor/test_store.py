"""Models and plans on the disk: as they should be, damaged, and made for another machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from boards import make_board
from samples import PLAN, make_sidecar

from edge.assets import user_folder
from edge.board import SysRoot, detect_board
from edge.doctor.check import Place
from edge.doctor.libraries import Graphics
from edge.doctor.store import check_disk, check_models, check_plans
from edge.engine.cuda import GPU
from edge.engine.plan import sidecar_path, write_plan
from edge.model.onnx_file import save_model

ORIN = Graphics(GPU("Orin", "8.7", "12.6", is_integrated=True), {"tensorrt": "10.3.0"})
BLIND = Graphics(None, {})


@pytest.fixture
def judge(tmp_path):
    """Give a function that keeps one plan on an Orin Nano and says what the doctor thinks."""
    root = make_board(tmp_path, "orin_nano")
    path = user_folder("cache") / "squeezenet8.plan"

    def run(graphics, spoil=lambda _path: None, **changes):
        write_plan(path, PLAN, make_sidecar(**changes))
        spoil(path)
        (check,) = check_plans(Place(root, detect_board(root), {}), graphics)
        return check

    return run


def test_plan_of_this_machine_is_well(judge):
    check = judge(ORIN)
    assert (check.name, check.status) == ("squeezenet8.plan", "ok")
    assert check.detail == "int8, for this machine (Orin Nano 8GB, TensorRT 10.3.0)"


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"tensorrt": "10.7.0"}, "it is for TensorRT 10.7.0, this is 10.3.0"),
        ({"device": "AGX Orin"}, "it was built on AGX Orin, this is Orin Nano 8GB"),
        (
            {"compute_capability": "7.2"},
            "it is for compute capability 7.2, this GPU has 8.7",
        ),
    ],
)
def test_stale_plan_is_warned_of(judge, changes, detail):
    check = judge(ORIN, **changes)
    assert (check.status, check.detail) == ("warning", detail)
    assert check.mend == "edge run builds it again when it is used"


def test_plan_that_nothing_here_runs_is_warned_of(judge):
    check = judge(BLIND)
    assert (check.status, check.detail) == (
        "warning", "for Orin Nano 8GB, TensorRT 10.3.0; nothing here runs it"
    )  # fmt: skip
    assert check.mend.startswith("Run: rm ")


@pytest.mark.parametrize(
    ("spoil", "detail"),
    [
        (lambda path: path.write_bytes(b"other"), "its bytes are not those that were built"),
        (lambda path: sidecar_path(path).unlink(), "has no sidecar, so nobody knows what it is"),
        (lambda path: sidecar_path(path).write_text("{"), "is no sidecar of a plan"),
    ],
)
@pytest.mark.parametrize("graphics", [ORIN, BLIND])
def test_damaged_plan_is_broken_and_names_how_to_remove_it(judge, spoil, detail, graphics):
    check = judge(graphics, spoil)
    assert check.status == "broken"
    assert check.detail.endswith(detail)
    assert check.mend.startswith("Run: rm ")


def test_models_are_as_in_the_catalogue():
    found = {check.name: check for check in check_models()}
    assert {check.status for check in found.values()} == {"ok"}
    assert set(found) == {"bundled data", "squeezenet8-int8", "squeezenet8", "not pulled"}


def test_pulled_model_is_loaded_and_a_damaged_one_told(small_model):
    path = user_folder("models") / "squeezenet1.1.onnx"
    save_model(small_model, path)
    found = {check.name: check for check in check_models()}
    assert found["squeezenet1.1"].detail == "pulled, 5 classes"
    assert "squeezenet1.1" not in found["not pulled"].detail
    path.write_bytes(path.read_bytes()[:100])
    (check,) = (one for one in check_models() if one.status != "ok")
    assert (check.name, check.status) == ("squeezenet1.1", "broken")
    assert check.mend == "Run: edge models pull squeezenet1.1"


def test_folder_that_cannot_be_made_is_broken(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EDGE_HOME", str(tmp_path / "file" / "home"))
    (check,) = check_disk()
    assert (check.status, check.mend) == ("broken", "Set EDGE_HOME to a folder of yours")
    assert not list(check_plans(Place(SysRoot(Path("/")), None, {}), BLIND))


def test_folder_says_how_much_room_there_is(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGE_HOME", str(tmp_path))
    (check,) = check_disk()
    assert check.status in {"ok", "warning"}
    assert check.detail.startswith(f"{tmp_path}, ")
