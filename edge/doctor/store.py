"""Checks of what lies on the disk: room, bundled data, models and plans."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

from edge.assets import SET_HOME, bundled, user_folder
from edge.doctor.check import Check
from edge.engine.plan import Machine, read_plan, read_sidecar, sidecar_path
from edge.engine.trt_api import PACKAGES
from edge.errors import EdgeError, InputError, PlanMismatchError
from edge.files import check_target_folder, sha256_file
from edge.model.zoo import CATALOGUE, list_models

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge.doctor.check import Place, Status
    from edge.doctor.libraries import Graphics
    from edge.engine.plan import Sidecar
    from edge.model.zoo import CatalogueEntry

LEAST_MB, WANTED_MB = 100, 1024
"""A plan and its timing cache take some ten MB; a disk that runs full breaks more than edge."""
DATA = (CATALOGUE, "engines/imagenet-labels.txt", "engines/selftest.json", "calib/demo.toml")
REINSTALL = "Get edge again, then run ./install.sh"


def check_disk() -> Iterator[Check]:
    """Look for room in the folder of plans and pulled models."""
    try:
        folder = user_folder("cache")
        check_target_folder(folder)
    except InputError as error:
        yield Check("user folder", "broken", str(error.args[0]), SET_HOME)
        return
    free_mb = shutil.disk_usage(folder).free // 1_000_000
    detail = f"{folder.parent}, {free_mb:,} MB free"
    if free_mb >= WANTED_MB:
        yield Check("user folder", "ok", detail)
    else:
        status: Status = "broken" if free_mb < LEAST_MB else "warning"
        yield Check("user folder", status, detail, "Free some space, or set EDGE_HOME")


def check_models() -> Iterator[Check]:
    """Compare what ships with edge with the catalogue, and load what was pulled."""
    missing = [name for name in DATA if not bundled(name).is_file()]
    if missing:
        yield Check("bundled data", "broken", f"missing: {', '.join(missing)}", REINSTALL)
    else:
        yield Check("bundled data", "ok", f"{len(DATA)} files")
    if CATALOGUE in missing:
        return
    entries = list_models()
    for entry in entries:
        if entry.file:
            yield _check_bundled(entry)
        elif entry.is_here():
            yield _check_pulled(entry)
    away = [entry.name for entry in entries if not entry.file and not entry.is_here()]
    if away:
        yield Check("not pulled", "ok", f"{', '.join(away)}; edge models pull NAME fetches one")


def _check_bundled(entry: CatalogueEntry) -> Check:
    path = entry.path()
    if not path.is_file():
        return Check(entry.name, "broken", f"missing: {path}", REINSTALL)
    if sha256_file(path) != entry.sha256:
        return Check(entry.name, "broken", f"{path}: not the file of the catalogue", REINSTALL)
    return Check(entry.name, "ok", f"as in the catalogue, {entry.size_bytes:,} bytes")


def _check_pulled(entry: CatalogueEntry) -> Check:
    from edge.model.onnx_file import load_model  # noqa: PLC0415 # ONNX may not load here

    path = entry.path()
    try:
        model = load_model(path)
    except EdgeError as error:
        return Check(
            entry.name, "broken", str(error.args[0]), f"Run: edge models pull {entry.name}"
        )
    except ImportError:
        return Check(entry.name, "ok", f"{path}: not looked into, for ONNX does not load")
    return Check(entry.name, "ok", f"pulled, {len(model.contract.labels)} classes")


def check_plans(place: Place, graphics: Graphics) -> Iterator[Check]:
    """Judge each plan that is kept: whole, and made for this machine."""
    try:
        plans = sorted(user_folder("cache").glob("*.plan"))
    except InputError:  # told by the check of the folder
        return
    for path in plans:
        yield _check_plan(path, place, graphics)


def _check_plan(path: Path, place: Place, graphics: Graphics) -> Check:
    remove = f"Run: rm {shlex.quote(str(path))} {shlex.quote(str(sidecar_path(path)))}"
    try:
        sidecar = read_sidecar(path)
        own = Machine(sidecar.tensorrt, sidecar.device or "", sidecar.compute_capability or "")
        read_plan(path, own)  # its bytes alone
    except EdgeError as error:
        return Check(path.name, "broken", _without(path, error), remove)
    made_for = f"{sidecar.device or 'any GPU'}, TensorRT {sidecar.tensorrt}"
    machine = _this_machine(sidecar, place, graphics)
    if machine is None:
        return Check(path.name, "warning", f"for {made_for}; nothing here runs it", remove)
    try:
        read_plan(path, machine)
    except PlanMismatchError as error:
        mend = "edge run builds it again when it is used"
        return Check(path.name, "warning", _without(path, error), mend)
    return Check(path.name, "ok", f"{sidecar.precision}, for this machine ({made_for})")


def _this_machine(sidecar: Sidecar, place: Place, graphics: Graphics) -> Machine | None:
    """Give what would run the plan; None where its TensorRT or a GPU is missing."""
    version = graphics.tensorrt.get(PACKAGES[sidecar.product])
    if version is None or graphics.gpu is None:
        return None
    machine = Machine(version, graphics.gpu.name, graphics.gpu.compute_capability)
    return replace(machine, device=place.board.module) if place.board else machine


def _without(path: Path, error: EdgeError) -> str:
    return str(error.args[0]).removeprefix(f"{path}: ")
