"""The sidecar of a plan: what it was made from and for, checked before the plan is trusted.

A plan is machine code, and loading a stranger's plan runs it. So a plan is only ever opened with a
sidecar whose hash matches and that names this machine's TensorRT.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from edge.engine.layers import CONVOLUTIONS, Layer
from edge.errors import InputError, ModelError, PlanMismatchError
from edge.files import read_bytes, sha256_file, write_atomic
from edge.model.contract import parse_contract

if TYPE_CHECKING:
    from pathlib import Path

    from edge.model.contract import Contract

SIDECAR_VERSION = 1


@dataclass(frozen=True, slots=True, eq=False)
class Sidecar:
    """Everything that decides whether a plan may be used, and how.

    Attributes:
        product: "tensorrt" or "tensorrt-rtx".
        tensorrt: its version.
        device: the board that it was built on, None where it was built without its GPU.
        compute_capability: "8.7"; None for a plan that runs on any GPU of its product.
        precision: "int8", "fp16" or "fp32".
        model_sha256: of the ONNX that was asked for.
        calibration_sha256: of the calibration set, None where none was used here.
        plan_sha256: of the plan's bytes.
        contract: how a picture becomes the input, and the labels.
        flags: what else was said to the builder.
        built_at: UTC, ISO 8601.
        build_s: how long the build took.
        layers: the layer table.
        warnings: what the builder warned of.
        gpu_fallback: layers that a DLA was to run and that the GPU runs.
    """

    product: str
    tensorrt: str
    device: str | None
    compute_capability: str | None
    precision: str
    model_sha256: str
    calibration_sha256: str | None
    plan_sha256: str
    contract: Contract
    flags: dict[str, int | str | None]
    built_at: str
    build_s: float
    layers: tuple[Layer, ...]
    warnings: tuple[str, ...]
    gpu_fallback: tuple[str, ...] = ()

    def convolutions(self) -> tuple[Layer, ...]:
        """Give the layers that multiply weights."""
        return tuple(layer for layer in self.layers if layer.kind in CONVOLUTIONS)

    def to_json(self) -> str:
        """Give the file's text."""
        fields = {**asdict(self), "contract": json.loads(self.contract.to_json())}
        return json.dumps({"version": SIDECAR_VERSION, **fields}, indent=1, ensure_ascii=False)


def sidecar_path(plan: Path) -> Path:
    """Give where the sidecar of a plan lies: beside it."""
    return plan.with_name(f"{plan.name}.json")


def write_plan(path: Path, plan: bytes, sidecar: Sidecar) -> None:
    """Write a plan and its sidecar, each whole or not at all.

    The plan comes first: should the second write fail, the old sidecar no longer fits and the
    plan is refused, never misread.

    Raises:
        InputError: the folder cannot be written.
    """
    write_atomic(path, plan)
    write_atomic(sidecar_path(path), f"{sidecar.to_json()}\n".encode())


def read_sidecar(path: Path) -> Sidecar:
    """Read the sidecar of the plan at `path`.

    Raises:
        InputError: there is none.
        ModelError: it cannot be read.
    """
    beside = sidecar_path(path)
    try:
        return _from_fields(json.loads(read_bytes(beside)), str(beside))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(
            f"{beside}: is no sidecar of a plan", hint="Build the plan again with edge build"
        ) from error


def _from_fields(fields: dict[str, Any], origin: str) -> Sidecar:
    version = fields.pop("version")
    if version != SIDECAR_VERSION:
        raise ModelError(
            f"{origin}: has version {version}, this edge reads {SIDECAR_VERSION}",
            hint="Build the plan again with edge build",
        )
    contract = parse_contract(json.dumps(fields.pop("contract")), origin)
    layers = tuple(
        Layer(**{**layer, "onnx": tuple(layer["onnx"])}) for layer in fields.pop("layers")
    )
    for key in ("warnings", "gpu_fallback"):
        fields[key] = tuple(fields[key])
    return Sidecar(contract=contract, layers=layers, **fields)


def check_plan(path: Path, *, product: str, tensorrt: str, model_sha256: str | None) -> Sidecar:
    """Give the sidecar of a plan that may be loaded; its bytes are hashed, never parsed.

    Args:
        path: of the plan.
        product: of this machine's TensorRT.
        tensorrt: its version.
        model_sha256: of the model that the plan should be of; None takes any.

    Raises:
        InputError: the plan or its sidecar is missing.
        PlanMismatchError: names what differs.
    """
    try:
        sidecar = read_sidecar(path)
    except ModelError:
        raise
    except InputError as error:
        if not path.exists():
            raise
        raise PlanMismatchError(
            f"{path}: has no sidecar, so nobody knows what it is",
            hint="Build it here with edge build; never load a plan from a stranger",
        ) from error
    found = {
        "its bytes are not those that were built": (sidecar.plan_sha256, sha256_file(path)),
        f"it is for {sidecar.product}, this is {product}": (sidecar.product, product),
        f"it is for TensorRT {sidecar.tensorrt}, this is {tensorrt}": (sidecar.tensorrt, tensorrt),
        "it was built from another model": (
            sidecar.model_sha256, model_sha256 or sidecar.model_sha256
        ),
    }  # fmt: skip
    for difference, (built, here) in found.items():
        if built != here:
            raise PlanMismatchError(f"{path}: {difference}", hint="Build it again with edge build")
    return sidecar
