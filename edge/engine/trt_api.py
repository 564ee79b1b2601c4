"""The only file that imports TensorRT: one road from an ONNX to a plan, for 8.6 to 11 and RTX.

Names differ between the versions. Each branch asks for the name it needs, never for a version
number, and `tests/engine/test_trt_names.py` checks every name used here, branch by branch, against
the public names of each supported version.
Source: NVIDIA TensorRT Python API reference; TensorRT-RTX 1.7 as it behaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from edge.engine.layers import Layer, parse_inspector, parse_layer_lines
from edge.engine.trt_hooks import make_calibrator, make_log, make_monitor
from edge.errors import BuildError, MissingExtraError, ModelError, UnavailableError

if TYPE_CHECKING:
    from edge.engine.trt_hooks import Calibration, Progress

Target = Literal["tensorrt", "tensorrt-rtx"]
Precision = Literal["int8", "fp16", "fp32"]

PACKAGES: dict[Target, str] = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}
INSTALL_TENSORRT = "On a Jetson run: sudo apt install nvidia-jetpack, then ./install.sh"


@dataclass(frozen=True, slots=True)
class Support:
    """What TensorRT can do on this machine.

    Attributes:
        version: of TensorRT.
        fast_int8: the GPU multiplies int8 fast (Nano and TX2 do not). Where the product no longer
            says (TensorRT 11, RTX), every GPU that it supports does.
        takes_float_types: the network's own types decide, so that fp16 wants an fp16 ONNX.
        has_calibrator: it can calibrate a float network by itself (up to 10).
        dla_cores: how many DLA cores there are.
    """

    version: str
    fast_int8: bool
    takes_float_types: bool
    has_calibrator: bool
    dla_cores: int


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """What TensorRT is told.

    Attributes:
        target: the product.
        precision: of the convolutions.
        workspace_mib: most memory that a kernel may use; None leaves it to TensorRT.
        optimization_level: 0 (quick build) to 5 (quick engine); None leaves it to TensorRT.
        compute_capability: "8.6", a GPU that need not be here (RTX only); None is any GPU from
            Ampere on for RTX, and the GPU of this machine otherwise.
        timing_cache: bytes of an earlier build's cache, empty at first.
        batch: fewest, usual and most pictures at once, for a network whose batch is open; None for
            one whose batch is fixed.
        dla_core: the DLA that runs what it can, the GPU running the rest; None is the GPU alone.
    """

    target: Target
    precision: Precision
    workspace_mib: int | None = None
    optimization_level: int | None = None
    compute_capability: str | None = None
    timing_cache: bytes = b""
    batch: tuple[int, int, int] | None = None
    dla_core: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Built:
    """What came out of a build.

    Attributes:
        plan: the engine's bytes.
        version: of TensorRT.
        layers: the layer table.
        warnings: what the builder warned of, each once.
        timing_cache: for the next build; empty where the product keeps none.
        calibration_table: for the next build; empty where TensorRT did not calibrate.
        gpu_fallback: layers of the network that a DLA was to run and cannot, by name.
    """

    plan: bytes
    version: str
    layers: tuple[Layer, ...]
    warnings: tuple[str, ...]
    timing_cache: bytes
    calibration_table: bytes = b""
    gpu_fallback: tuple[str, ...] = ()


def is_installed(target: Target) -> bool:
    """Tell whether TensorRT's package is there, without importing it."""
    return find_spec(PACKAGES[target]) is not None


def load_tensorrt(target: Target) -> Any:  # noqa: ANN401 - a module without types
    """Import TensorRT.

    Raises:
        MissingExtraError: TensorRT-RTX is not installed.
        UnavailableError: TensorRT is not on this machine, does not load, or is older than 8.6.
    """
    package = PACKAGES[target]
    try:
        trt = import_module(package)
    except ModuleNotFoundError as error:
        if target == "tensorrt-rtx":
            raise MissingExtraError(package, extra="rtx") from error
        raise UnavailableError(
            "tensorrt: not on this machine",
            hint=INSTALL_TENSORRT,
        ) from error
    except ImportError as error:
        raise UnavailableError(
            f"{package}: does not load ({error})", hint="Install JetPack's TensorRT again"
        ) from error
    if not hasattr(trt.IBuilderConfig, "builder_optimization_level"):
        raise UnavailableError(
            f"{package} {trt.__version__}: too old, edge wants TensorRT 8.6 or newer",
            hint="Flash JetPack 6 or newer",
        )
    return trt


def ask_support(target: Target) -> Support:
    """Tell what TensorRT can do on this machine.

    It starts the builder, which a broken driver can crash: call it in a child process.

    Raises:
        MissingExtraError, UnavailableError: see `load_tensorrt`, or there is no driver.
    """
    trt = load_tensorrt(target)
    builder = _make_builder(trt, make_log(trt))
    fast_int8 = True
    if hasattr(trt.Builder, "platform_has_fast_int8"):
        fast_int8 = bool(builder.platform_has_fast_int8)
    return Support(
        version=str(trt.__version__),
        fast_int8=fast_int8,
        takes_float_types=not hasattr(trt.BuilderFlag, "FP16"),
        has_calibrator=hasattr(trt, "IInt8EntropyCalibrator2"),
        dla_cores=int(builder.num_DLA_cores),
    )


def build(
    onnx_bytes: bytes,
    settings: BuildSettings,
    progress: Progress,
    calibration: Calibration | None = None,
) -> Built:
    """Build a plan.

    Args:
        onnx_bytes: a network with static shapes, but for its batch; for "int8" with Q/DQ nodes, or
            in float32 with a calibration.
        settings: what to build.
        progress: called with (phase, steps done, steps in all) where the version tells them;
            False cancels the build.
        calibration: lets TensorRT choose the ranges, see `Support.has_calibrator`.

    Raises:
        ModelError: the parser refuses the network; names the node.
        BuildError: the builder gave up; gives its reason.
        UnavailableError: there is no driver, TensorRT is missing or too old, or it has no
            calibrator.
        EdgeError: what ended the calibration.
    """
    trt = load_tensorrt(settings.target)
    log = make_log(trt)
    builder = _make_builder(trt, log)
    network = builder.create_network(_creation_flags(trt))
    _parse(trt, network, log, onnx_bytes)
    config = builder.create_builder_config()
    cache = _configure(trt, config, settings)
    calibrator = _set_inputs(trt, builder, network, config, settings, calibration)
    fallback = _put_on_dla(trt, network, config, settings.dla_core)
    if hasattr(trt, "IProgressMonitor"):
        config.progress_monitor = make_monitor(trt, progress)
    serialized = builder.build_serialized_network(network, config)
    if calibrator is not None and calibrator.error is not None:
        raise calibrator.error
    if serialized is None:
        raise _explain(log.errors)
    plan = bytes(serialized)
    return Built(
        plan=plan,
        version=str(trt.__version__),
        layers=parse_layer_lines(log.layer_lines) or _inspect(trt, log, plan),
        warnings=tuple(dict.fromkeys(log.warnings)),
        timing_cache=bytes(cache.serialize()) if cache is not None else b"",
        calibration_table=calibrator.table if calibrator is not None else b"",
        gpu_fallback=fallback,
    )


def _creation_flags(trt: Any) -> int:  # noqa: ANN401 - a module without types
    if hasattr(trt.BuilderFlag, "FP16"):  # precision by flags: up to 10
        return 1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH)
    return 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)


def _make_builder(trt: Any, log: Any) -> Any:  # noqa: ANN401 - a module without types
    try:
        return trt.Builder(log)
    except TypeError as error:  # what the binding raises when the library gives no builder
        reason = log.errors[-1] if log.errors else "it gives no reason"
        raise UnavailableError(
            f"tensorrt: cannot start ({reason})", hint="Check that the GPU's driver is installed"
        ) from error


def _parse(trt: Any, network: Any, log: Any, onnx_bytes: bytes) -> None:  # noqa: ANN401
    parser = trt.OnnxParser(network, log)
    accepted = parser.parse(onnx_bytes)
    if accepted and network.num_outputs:
        return
    if not parser.num_errors:
        raise ModelError("the ONNX: TensorRT finds no network in it", hint="Give a whole file")
    complaint = parser.get_error(0)
    where = ""
    if hasattr(trt.ParserError, "node_name") and complaint.node_name():
        where = f" at {complaint.node_operator()} {complaint.node_name()}"
    said = str(complaint.desc()).strip().rstrip(".")
    raise ModelError(
        f"the ONNX: TensorRT refuses it{where} ({said})",
        hint="Export it with operators that TensorRT knows",
    )


def _configure(trt: Any, config: Any, settings: BuildSettings) -> Any:  # noqa: ANN401
    """Set everything but the progress; gives the timing cache, None where there is none."""
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if settings.workspace_mib is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, settings.workspace_mib << 20)
    if settings.optimization_level is not None:
        config.builder_optimization_level = settings.optimization_level
    if hasattr(trt.BuilderFlag, "FP16"):
        if settings.precision != "fp32":
            config.set_flag(trt.BuilderFlag.FP16)
        if settings.precision == "int8":
            config.set_flag(trt.BuilderFlag.INT8)
    if hasattr(trt.IBuilderConfig, "set_compute_capability"):
        if settings.compute_capability is not None:
            name = "SM" + settings.compute_capability.replace(".", "")
            config.num_compute_capabilities = 1
            config.set_compute_capability(_compute_capability(trt, name), 0)
        return None
    return _start_timing_cache(config, settings.timing_cache)


def _start_timing_cache(config: Any, known: bytes) -> Any:  # noqa: ANN401 - no types
    """Attach the cache of an earlier build, or a new one where TensorRT does not take that.

    After an update of JetPack it is another version's: TensorRT then gives no cache for it, or
    does not attach it. Source: NvInfer.h, `createTimingCache` and `setTimingCache`.
    """
    for data in (known, b""):
        cache = config.create_timing_cache(data)
        if cache is not None and config.set_timing_cache(cache, ignore_mismatch=False):
            return cache
    return None


def _make_profile(builder: Any, network: Any, batch: tuple[int, int, int]) -> Any:  # noqa: ANN401
    profile = builder.create_optimization_profile()
    tensor = network.get_input(0)
    sides = tuple(tensor.shape)[1:]
    profile.set_shape(tensor.name, *((count, *sides) for count in batch))
    return profile


def _set_inputs(
    trt: Any,  # noqa: ANN401 - a module without types
    builder: Any,  # noqa: ANN401 - its class has no types
    network: Any,  # noqa: ANN401 - its class has no types
    config: Any,  # noqa: ANN401 - its class has no types
    settings: BuildSettings,
    calibration: Calibration | None,
) -> Any:  # noqa: ANN401 - its class has no types
    """Say how many pictures come and which to calibrate on; gives the calibrator, if one is."""
    if settings.batch is not None:
        config.add_optimization_profile(_make_profile(builder, network, settings.batch))
    if calibration is None:
        return None
    if not hasattr(trt, "IInt8EntropyCalibrator2"):
        raise explain_no_calibrator()
    calibrator = make_calibrator(trt, calibration)
    config.int8_calibrator = calibrator
    if settings.batch is not None:  # it would calibrate with the usual size; ours come one by one
        config.set_calibration_profile(_make_profile(builder, network, (1, 1, 1)))
    return calibrator


def _put_on_dla(
    trt: Any,  # noqa: ANN401 - a module without types
    network: Any,  # noqa: ANN401 - its class has no types
    config: Any,  # noqa: ANN401 - its class has no types
    core: int | None,
) -> tuple[str, ...]:
    """Give what the DLA cannot run; it can say so once the precision and the ranges are set."""
    if core is None:
        return ()
    config.default_device_type = trt.DeviceType.DLA
    config.DLA_core = core
    config.set_flag(trt.BuilderFlag.GPU_FALLBACK)
    layers = [network.get_layer(place) for place in range(network.num_layers)]
    return tuple(str(layer.name) for layer in layers if not config.can_run_on_DLA(layer))


def explain_no_calibrator() -> UnavailableError:
    """Say what to do where TensorRT has no calibrator (11 and RTX)."""
    return UnavailableError(
        "--calibrator: this TensorRT has no calibrator any more", hint="Leave --calibrator away"
    )


def _compute_capability(trt: Any, name: str) -> Any:  # noqa: ANN401 - an enum without types
    known = {key for key in vars(trt.ComputeCapability) if key.startswith("SM")}
    if name not in known:
        numbers = sorted(int(key.removeprefix("SM")) for key in known)
        readable = ", ".join(f"{number // 10}.{number % 10}" for number in numbers)
        raise UnavailableError(
            f"compute capability {name[2:-1]}.{name[-1:]}: TensorRT-RTX has no kernels for it",
            hint=f"Use one of {readable}",
        )
    return getattr(trt.ComputeCapability, name)


def _inspect(trt: Any, log: Any, plan: bytes) -> tuple[Layer, ...]:  # noqa: ANN401
    """Ask the engine itself, which wants the GPU that it was built for."""
    runtime = trt.Runtime(log)
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise _explain(log.errors)
    inspector = engine.create_engine_inspector()
    return parse_inspector(inspector.get_engine_information(trt.LayerInformationFormat.JSON))


def _explain(errors: list[str]) -> BuildError:
    """Turn the builder's log into plain words."""
    said = " ".join(errors)
    no_memory = ("not enough memory", "Close other programs or add swap")
    no_driver = ("the GPU's driver is missing or too old", "Install the driver")
    known = {
        "no tactics": ("no kernel fits into the workspace", "Raise --workspace"),
        "out of memory": no_memory,  # the words of CUDA
        "outofmemory": no_memory,  # those of TensorRT
        "cudaerror 35": no_driver,
        "cudaerror 100": ("there is no GPU", "Build on the machine that has it"),
        "driver version is insufficient": no_driver,
        "buildcanceled": ("the build was cancelled", "Run it again"),
        "optimization profile": ("its input size is open", "Export it with a fixed batch of 1"),
    }
    for mark, (wrong, mend) in known.items():
        if mark in said.lower():
            return BuildError(f"TensorRT: {wrong}", hint=mend)
    reason = (errors[-1] if errors else "it gives no reason").strip().rstrip(".")[:240]
    return BuildError(f"TensorRT: the build failed ({reason})", hint="Report it with the model")
