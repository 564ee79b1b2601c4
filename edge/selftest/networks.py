"""Which networks are tested, and how each is built or opened on this machine."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.board import detect_board
from edge.build.options import BuildOptions
from edge.build.plan import build_plan
from edge.engine.base import AUTO, TENSORRT, open_engine
from edge.engine.child import run_in_child
from edge.engine.cuda import describe_gpu
from edge.engine.tensorrt import open_plan
from edge.engine.trt_api import ask_support, is_installed, load_tensorrt
from edge.errors import UnavailableError
from edge.model.onnx_file import load_model
from edge.model.zoo import resolve_model
from edge.quant.dataset import open_calibration_set
from edge.quant.quantize import QuantOptions, quantize
from edge.record import Unavailable
from edge.selftest.pictures import make_pictures, write_pictures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from edge.board import SysRoot
    from edge.engine.base import Engine
    from edge.engine.cuda import GPU
    from edge.engine.plan import Sidecar
    from edge.engine.trt_api import Precision, Support, Target
    from edge.model.contract import Contract
    from edge.model.onnx_file import Model
    from edge.quant.dataset import CalibrationSet

    Opener = Callable[[], AbstractContextManager[tuple[Engine, Contract]]]

CPU_ENGINE = "openvino"
CALIBRATION_PICTURES = 64


@dataclass(frozen=True, slots=True)
class Variant:
    """One model in one precision.

    Attributes:
        title: for a person.
        model: catalogue name.
        precision: of the convolutions.
        tolerance: key of `edge.selftest.reference.TOLERANCES`.
        is_calibrated: fp32 becomes INT8 here, by our own Q/DQ nodes, in the fast way, for it is not
            the accuracy that is proven.
        calibrator: fp32 becomes INT8 here, by TensorRT's own calibrator.
        dla_core: the DLA that is to run what it can.
    """

    title: str
    model: str
    precision: Precision
    tolerance: str
    is_calibrated: bool = False
    calibrator: bool = False
    dla_core: int | None = None

    @property
    def wants_pictures(self) -> bool:
        """Whether there is something to calibrate."""
        return self.is_calibrated or self.calibrator

    @property
    def wants_tensorrt(self) -> bool:
        """Whether only TensorRT can do it."""
        return self.precision == "fp16" or self.calibrator or self.dla_core is not None


DEFAULT = Variant("squeezenet8-int8", "squeezenet8-int8", "int8", "int8")
VARIANTS = (
    DEFAULT,
    Variant("squeezenet8 fp32", "squeezenet8", "fp32", "fp32"),
    Variant("squeezenet8 fp16", "squeezenet8", "fp16", "fp16"),
    Variant("squeezenet8 calibrated", "squeezenet8", "int8", "calibrated", is_calibrated=True),
    Variant("TensorRT's calibrator", "squeezenet8", "int8", "calibrated", calibrator=True),
    Variant("squeezenet8 fp16 on DLA", "squeezenet8", "fp16", "fp16", dla_core=0),
)
"""In the order in which one is chosen for the checks that want any network: the default first."""


@dataclass(frozen=True, slots=True)
class Place:
    """What the networks run on.

    Attributes:
        product: of TensorRT; None for the CPU engine.
        support: what that product can do; None for the CPU engine.
        gpu: the GPU; None for the CPU engine.
    """

    product: Target | None = None
    support: Support | None = None
    gpu: GPU | None = None


def find_gpu() -> Place:
    """Give the GPU and its TensorRT.

    Raises:
        UnavailableError: one of the two, or pycuda, is not here.
        BuildError: the driver or TensorRT crashed.
    """
    product: Target = (
        "tensorrt-rtx"
        if is_installed("tensorrt-rtx") and not is_installed("tensorrt")
        else "tensorrt"
    )
    load_tensorrt(product)
    # Before TensorRT's builder, which crashes without a driver, and where a driver may crash alone.
    gpu = run_in_child(describe_gpu)
    return Place(product, run_in_child(ask_support, product), gpu)


def check_gpu(engine: str) -> tuple[Place, str | Unavailable]:
    """Give where the networks run, and what is to be said of the GPU.

    Args:
        engine: as `--engine` takes it.

    Raises:
        UnavailableError: TensorRT was asked for and cannot be used.
        BuildError: TensorRT crashed.
    """
    if engine not in {AUTO, TENSORRT}:
        return Place(), Unavailable(f"--engine {engine} was asked for")
    try:
        place = find_gpu()
    except UnavailableError as error:
        if engine == TENSORRT:
            raise
        return Place(), Unavailable(str(error))
    gpu, support = place.gpu, place.support
    assert gpu is not None  # noqa: S101 - find_gpu gives both
    assert support is not None  # noqa: S101
    kind = "shares the board's memory" if gpu.is_integrated else "has memory of its own"
    return place, (
        f"{gpu.name}, compute capability {gpu.compute_capability}, CUDA {gpu.cuda}, {kind};"
        f" {place.product} {support.version}"
    )


@dataclass(frozen=True, slots=True)
class Workshop:
    """Builds and opens variants.

    Attributes:
        place: what they run on.
        folder: for what is built; the caller's, who removes it.
        root: where /proc and /etc are.
    """

    place: Place
    folder: Path
    root: SysRoot

    def prepare(self, variant: Variant) -> tuple[Opener, str] | Unavailable:
        """Build a variant.

        Returns:
            What opens it as often as is wanted, and what is to be said of the build; or why this
            machine cannot have it.

        Raises:
            EdgeError: it could not be built.
        """
        reason = self._find_lack(variant)
        if reason is not None:
            return Unavailable(reason)
        model = load_model(resolve_model(variant.model))
        pictures = self._pictures(model) if variant.wants_pictures else None
        if self.place.product is None:
            return _prepare_on_cpu(model, pictures)
        return self._build(variant, model, pictures)

    def _find_lack(self, variant: Variant) -> str | None:
        """Say what a healthy machine may be without and this variant wants."""
        support = self.place.support
        if support is None:
            return "only TensorRT does this" if variant.wants_tensorrt else None
        lacks = {
            "this GPU does not multiply int8 fast": (
                variant.precision == "int8" and not support.fast_int8
            ),
            f"TensorRT {support.version} has no calibrator any more": (
                variant.calibrator and not support.has_calibrator
            ),
            "this board has no DLA": variant.dla_core is not None and not support.dla_cores,
        }
        return next((reason for reason, is_so in lacks.items() if is_so), None)

    def _build(
        self, variant: Variant, model: Model, pictures: CalibrationSet | None
    ) -> tuple[Opener, str]:
        assert self.place.product is not None  # noqa: S101 - the caller looked
        path = self.folder / f"{VARIANTS.index(variant)}.plan"
        options = BuildOptions(
            target=self.place.product,
            precision=variant.precision,
            timing_cache=self.folder / "timing.cache",
            dla_core=variant.dla_core,
            calibrator=variant.calibrator,
            model_source=variant.model,
            require_int8=variant.precision == "int8" and not variant.calibrator,
            quant=QuantOptions(fast=variant.is_calibrated),
            root=self.root,
        )
        sidecar = build_plan(model, pictures, path, options).sidecar
        board = detect_board(self.root)
        name = board.module if board else None
        return lambda: open_plan(path, board=name, model_sha256=model.sha256()), _built(sidecar)

    def _pictures(self, model: Model) -> CalibrationSet:
        folder = self.folder / "pictures"
        if not folder.exists():
            made = make_pictures(range(CALIBRATION_PICTURES), model.contract.input_hw)
            write_pictures(made, folder)
        return open_calibration_set(folder)


def _prepare_on_cpu(model: Model, pictures: CalibrationSet | None) -> tuple[Opener, str]:
    if pictures is not None:
        options = QuantOptions(fast=True)
        model = quantize(model, pictures, progress=lambda _done: None, options=options).model
    return lambda: _open_with_contract(model), f"{CPU_ENGINE} on the CPU"


@contextmanager
def _open_with_contract(model: Model) -> Iterator[tuple[Engine, Contract]]:
    with open_engine(CPU_ENGINE, model) as engine:
        yield engine, model.contract


def _built(sidecar: Sidecar) -> str:
    """Say which kernels TensorRT chose."""
    types = Counter(layer.input_type for layer in sidecar.convolutions())
    told = ", ".join(f"{count} convolutions in {kind}" for kind, count in types.items())
    left = len(sidecar.gpu_fallback)
    if sidecar.flags.dla_core is not None:
        told = f"{told or 'no convolution on the GPU'}, {left} layers left to the GPU"
    return told
