"""The sidecar of a plan: what it was made from and for, checked before the plan is trusted.

A plan is machine code, and loading a stranger's plan runs it. So a plan is only ever opened with a
sidecar whose hash matches and that names this machine's TensorRT.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from edge.engine.layers import CONVOLUTIONS, Layer
from edge.errors import ModelError, PlanMismatchError
from edge.files import read_bytes, sha256_bytes, write_atomic
from edge.model.contract import parse_contract

if TYPE_CHECKING:
    from pathlib import Path

    from edge.engine.trt_api import Precision, Target
    from edge.model.batch import Batch
    from edge.model.contract import Contract

SIDECAR_VERSION = 1


@dataclass(frozen=True, slots=True)
class Flags:
    """What else the builder was told; see `edge.build.options.BuildOptions`."""

    workspace_mib: int | None = None
    optimization_level: int | None = None
    batch: str | None = None
    top_k: int | None = None
    dla_core: int | None = None
    calibrator: bool = False
    fast: bool = False
    symmetric: bool = False
    keep_float: tuple[str, ...] = ()
    tensorrt_cache: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Sidecar:
    """Everything that decides whether a plan may be used, and how.

    Attributes:
        product: "tensorrt" or "tensorrt-rtx".
        tensorrt: its version.
        cuda: the newest CUDA that the driver knew; None where it was built without its GPU.
        device: the board or GPU that it was built on; None where it was built without it.
        compute_capability: "8.7"; None for a plan that runs on any GPU of its product.
        precision: "int8", "fp16" or "fp32".
        model: file or catalogue name, to build again from; None where it had none.
        model_sha256: of its ONNX.
        calibration: path of a folder or list of pictures, or `demo`; None where none was used.
        calibration_sha256: of the calibration set, or of the cache that stood in its place.
        plan_sha256: of the plan's bytes.
        contract: how a picture becomes the input, and the labels.
        flags: what else was said to the builder.
        built_at: UTC, ISO 8601.
        build_s: how long the build took.
        layers: the layer table.
        warnings: what the builder warned of.
        gpu_fallback: layers that a DLA was to run and that the GPU runs.
        int8_cost: what INT8 cost on pictures held out, see `edge.quant.quality.Quality`; None
            where none were.
    """

    product: Target
    tensorrt: str
    cuda: str | None
    device: str | None
    compute_capability: str | None
    precision: Precision
    model: str | None
    model_sha256: str
    calibration: str | None
    calibration_sha256: str | None
    plan_sha256: str
    contract: Contract
    flags: Flags
    built_at: str
    build_s: float
    layers: tuple[Layer, ...]
    warnings: tuple[str, ...]
    gpu_fallback: tuple[str, ...] = ()
    int8_cost: dict[str, float] | None = None

    @property
    def batch(self) -> Batch:
        """How many pictures at once the plan takes."""
        from edge.model.batch import Batch, parse_batch  # `edge doctor` must run without ONNX

        return parse_batch(self.flags.batch) if self.flags.batch else Batch(1, 1, 1)

    def convolutions(self) -> tuple[Layer, ...]:
        """Give the layers that multiply weights."""
        return tuple(layer for layer in self.layers if layer.kind in CONVOLUTIONS)

    def to_json(self) -> str:
        """Give the file's text."""
        fields = {**asdict(self), "contract": json.loads(self.contract.to_json())}
        return json.dumps({"version": SIDECAR_VERSION, **fields}, indent=1, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Machine:
    """What decides whether a plan fits.

    Attributes:
        tensorrt: version of the product that the plan is for.
        device: the board, or the GPU where there is no board.
        compute_capability: of the GPU, "8.7".
    """

    tensorrt: str
    device: str
    compute_capability: str


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
        InputError: there is no such plan.
        PlanMismatchError: it has no sidecar.
        ModelError: the sidecar cannot be read.
    """
    beside = sidecar_path(path)
    if not beside.exists():
        read_bytes(path)  # a plan that is not there is another error
        raise PlanMismatchError(
            f"{path}: has no sidecar, so nobody knows what it is",
            hint="Build it here with edge build; never load a plan from a stranger",
        )
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
    flags = fields.pop("flags")
    flags = Flags(**{**flags, "keep_float": tuple(flags.get("keep_float", ()))})
    return Sidecar(contract=contract, flags=flags, layers=layers, **fields)


def read_plan(
    path: Path, machine: Machine, *, model_sha256: str | None = None
) -> tuple[Sidecar, bytes]:
    """Give a plan that may be loaded here, with its sidecar.

    The bytes that are given are the bytes that were hashed.

    Args:
        path: of the plan.
        machine: what would run it.
        model_sha256: of the model that the plan should be of; None takes any.

    Raises:
        InputError: there is no such plan.
        ModelError: its sidecar cannot be read.
        PlanMismatchError: names what differs.
    """
    sidecar = read_sidecar(path)
    plan = read_bytes(path)
    found = {
        "its bytes are not those that were built": (sidecar.plan_sha256, sha256_bytes(plan)),
        f"it is for TensorRT {sidecar.tensorrt}, this is {machine.tensorrt}": (
            sidecar.tensorrt, machine.tensorrt
        ),
        f"it is for compute capability {sidecar.compute_capability},"
        f" this GPU has {machine.compute_capability}": (
            sidecar.compute_capability or machine.compute_capability, machine.compute_capability
        ),
        f"it was built on {sidecar.device}, this is {machine.device}": (
            sidecar.device or machine.device, machine.device
        ),
        "it was built from another model": (
            sidecar.model_sha256, model_sha256 or sidecar.model_sha256
        ),
    }  # fmt: skip
    for difference, (built, here) in found.items():
        if built != here:
            raise PlanMismatchError(f"{path}: {difference}", hint="Run it with --rebuild")
    return sidecar, plan
