"""As much of TensorRT 10 as edge asks for.

The plan that it builds is a JSON of what it was told. A plan runs on the rig's driver: its network
is worked out by ONNX Runtime, in the order of the stream that it was queued on.

FAKE_TENSORRT holds a JSON of what differs from a healthy Orin: {"fast_int8": false}.
Its names are those of the real one: tests/engine/test_trt_names.py holds edge to them.
"""

from __future__ import annotations

import base64
import ctypes
import enum
import hashlib
import json
import os
import signal
from collections import deque
from functools import cached_property

import numpy as np
import onnx

MACHINE = {
    "version": "10.3.0",
    "fast_int8": True,
    "dla_cores": 2,
    "runtime": True,  # false: the library gives no runtime
    "takes_plans": True,
    "memory": True,  # false: there is none for an execution context
    "takes_frames": None,  # how many until the GPU refuses one
    **json.loads(os.environ.get("FAKE_TENSORRT", "{}")),
}
__version__ = MACHINE["version"]
ANSWERS: dict[bytes, np.ndarray] = {}
"""What a network gave for a picture: a self-test shows the same ones thousands of times."""
ON_DLA = {"Conv", "Relu", "MaxPool", "Concat"}


class BuilderFlag(enum.Enum):
    FP16, INT8, GPU_FALLBACK = range(3)


class NetworkDefinitionCreationFlag(enum.IntEnum):
    EXPLICIT_BATCH, STRONGLY_TYPED = range(2)


class DeviceType(enum.Enum):
    GPU, DLA = range(2)


class ProfilingVerbosity(enum.Enum):
    DETAILED = 0


class MemoryPoolType(enum.Enum):
    WORKSPACE = 0


class LayerInformationFormat(enum.Enum):
    JSON = 0


class Severity(enum.IntEnum):
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class ILogger:
    pass


class IInt8EntropyCalibrator2:
    pass


class IProfiler:
    pass


class ParserError:
    pass


class Tensor:
    def __init__(self, value: onnx.ValueInfoProto) -> None:
        self.name = value.name
        sides = value.type.tensor_type.shape.dim
        self.shape = [side.dim_value if side.HasField("dim_value") else -1 for side in sides]


class Network:
    num_outputs = 1

    def read(self, data: bytes) -> None:
        self.data = data
        self.graph = onnx.ModelProto.FromString(data).graph
        self.num_layers = len(self.graph.node)

    def get_layer(self, index: int) -> onnx.NodeProto:
        return self.graph.node[index]

    def get_input(self, _index: int) -> Tensor:
        return Tensor(self.graph.input[0])


class OnnxParser:
    def __init__(self, network: Network, _log: ILogger) -> None:
        self.network = network

    def parse(self, data: bytes) -> bool:
        self.network.read(data)
        return True


class TimingCache:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.fits = data in {b"", b"timing"}

    def serialize(self) -> bytes:
        return b"timing" if self.fits else self.data


class Profile:
    def set_shape(self, *shapes: object) -> None:
        self.shapes = shapes


class IBuilderConfig:
    builder_optimization_level = 3
    default_device_type = DeviceType.GPU
    DLA_core = -1
    int8_calibrator = None

    def __init__(self) -> None:
        self.flags: list[str] = []
        self.profiles: list[Profile] = []
        self.calibration_profile = Profile()

    def set_flag(self, flag: BuilderFlag) -> None:
        self.flags.append(flag.name)

    def create_timing_cache(self, data: bytes) -> TimingCache | None:
        return None if data == b"of another version" else TimingCache(data)

    def set_timing_cache(self, cache: TimingCache, *, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        if not isinstance(cache, TimingCache):
            raise TypeError("set_timing_cache(): incompatible function arguments")
        return cache.fits

    def add_optimization_profile(self, profile: Profile) -> int:
        self.profiles.append(profile)
        return len(self.profiles) - 1

    def set_calibration_profile(self, profile: Profile) -> bool:
        self.calibration_profile = profile
        return True

    def can_run_on_DLA(self, layer: onnx.NodeProto) -> bool:  # noqa: N802 - TensorRT's name
        assert "FP16" in self.flags, "asked before the precision was set"
        assert "INT8" not in self.flags or self.int8_calibrator, "asked before the ranges were set"
        return layer.op_type in ON_DLA


class Builder:
    platform_has_fast_int8 = MACHINE["fast_int8"]
    num_DLA_cores = MACHINE["dla_cores"]  # noqa: N815 - TensorRT's name

    def __init__(self, _log: ILogger) -> None:
        if "dies" in MACHINE:
            os.kill(os.getpid(), signal.Signals[MACHINE["dies"]])

    def create_network(self, _flags: int) -> Network:
        return Network()

    def create_builder_config(self) -> IBuilderConfig:
        return IBuilderConfig()

    def create_optimization_profile(self) -> Profile:
        return Profile()

    def build_serialized_network(self, network: Network, config: IBuilderConfig) -> bytes:
        calibrator, batches = config.int8_calibrator, []
        table = calibrator.read_calibration_cache() if calibrator else b""
        if not table and calibrator:
            while (addresses := calibrator.get_batch([network.get_input(0).name])) is not None:
                batches.append(addresses)
            calibrator.write_calibration_cache(b"table")
        convolutions = [node.name for node in network.graph.node if node.op_type == "Conv"]
        told = {
            "flags": config.flags,
            "profiles": [profile.shapes for profile in config.profiles],
            "device": config.default_device_type.name,
            "dla_core": config.DLA_core,
            "batches": batches,
            "table": table.decode() if table else None,
            "batch_size": calibrator.get_batch_size() if calibrator else None,
            "calibration_profile": getattr(config.calibration_profile, "shapes", None),
            "convolutions": [] if config.DLA_core >= 0 else convolutions,
            "outputs": [
                (tensor.name, tensor.shape) for tensor in map(Tensor, network.graph.output)
            ],
            "type": "Int8" if "INT8" in config.flags else "Half",
            "onnx": base64.b64encode(network.data).decode(),
        }
        return json.dumps(told).encode()


class TensorIOMode(enum.Enum):
    INPUT, OUTPUT = range(2)


class DataType(enum.Enum):
    UINT8, FLOAT = range(2)


WORK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class ExecutionContext:
    profiler: IProfiler | None = None

    def __init__(self, engine: Engine) -> None:
        self.engine, self.addresses, self.frames = engine, {}, 0
        self.shapes = []  # each that was set
        self.driver = ctypes.CDLL("libcuda.so.1")
        self.driver.cuLaunchHostFunc.argtypes = [ctypes.c_void_p, WORK, ctypes.c_void_p]
        self.queued = deque(maxlen=8)

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        wanted = self.engine.inputs[name]
        fits = all(side in {have, -1} for side, have in zip(wanted, shape, strict=True))
        for _, least, _, most in self.engine.told["profiles"]:
            fits = fits and least[0] <= shape[0] <= most[0]
        if fits:
            self.shape = shape
            self.shapes.append(shape)
        return fits

    def get_tensor_shape(self, name: str) -> list[int]:
        del name  # there is one output
        return list(self.engine.work_out(np.zeros(self.shape, np.uint8)).shape)

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        if self.frames == MACHINE["takes_frames"]:
            self.engine.log.log(Severity.ERROR, "an illegal memory access was encountered")
            return False
        self.frames += 1
        (pixels,), (scores,) = self.engine.inputs, self.engine.outputs
        work_out = self.engine.work_out
        source, target, shape = self.addresses[pixels], self.addresses[scores], self.shape

        def work(_data: object) -> None:
            count = int(np.prod(shape))
            given = np.ctypeslib.as_array((ctypes.c_uint8 * count).from_address(source))
            found = work_out(given.reshape(shape))
            ctypes.memmove(target, found.ctypes.data, found.nbytes)

        self.queued.append(WORK(work))
        launched = self.driver.cuLaunchHostFunc(stream, self.queued[-1], None)
        if self.profiler is not None:
            launched |= self.driver.cuStreamSynchronize(ctypes.c_void_p(stream))
            for number, name in enumerate(self.engine.told["convolutions"]):
                self.profiler.report_layer_time(name, 0.25 * (1 + number))
        return launched == 0


class Engine:
    def __init__(self, plan: bytes, log: ILogger) -> None:
        self.told, self.log = json.loads(plan), log
        graph = onnx.ModelProto.FromString(base64.b64decode(self.told["onnx"])).graph
        self.inputs = {value.name: Tensor(value).shape for value in graph.input}
        self.outputs = {value.name: Tensor(value).shape for value in graph.output}
        self.num_io_tensors = len(self.inputs) + len(self.outputs)
        self.key = hashlib.sha1(plan).digest()

    @cached_property
    def session(self) -> object:
        import onnxruntime

        onnxruntime.set_default_logger_severity(3)
        return onnxruntime.InferenceSession(
            base64.b64decode(self.told["onnx"]),
            providers=["CPUExecutionProvider"],
            disabled_optimizers=["WeightBiasQuantization"],  # TensorRT leaves biases in float
        )

    def work_out(self, given: np.ndarray) -> np.ndarray:
        key = self.key + hashlib.sha1(given).digest() + bytes(str(given.shape), "ascii")
        if key not in ANSWERS:
            (name,) = self.inputs
            (found,) = self.session.run(None, {name: given})
            ANSWERS[key] = np.ascontiguousarray(found, np.float32)
        return ANSWERS[key]

    def get_tensor_name(self, index: int) -> str:
        return [*self.inputs, *self.outputs][index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name in self.inputs else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> DataType:
        return DataType.UINT8 if name in self.inputs else DataType.FLOAT

    def create_execution_context(self) -> ExecutionContext | None:
        if not MACHINE["memory"]:
            self.log.log(Severity.ERROR, "out of memory")
            return None
        return ExecutionContext(self)

    def create_engine_inspector(self) -> Engine:
        return self

    def get_engine_information(self, _layout: LayerInformationFormat) -> str:
        """Tell as TensorRT 8.6 to 10 do: no types of an open batch, and what is no strict JSON."""
        told = "N/A due to dynamic shapes"
        if not self.told["profiles"]:
            told = f"Channel major {self.told['type']} format where channel % 4 == 0"
        layers = [
            {"Name": name, "LayerType": "CaskConvolution" if number else "CaskConvActPool",
             "Inputs": [{"Format/Datatype": told}], "Weights": {"Type": self.told["type"]},
             "Metadata": f"[ONNX Layer: {name}]|[ONNX Layer: {name}/relu]"}
            for number, name in enumerate(self.told["convolutions"])
        ]  # fmt: skip
        return json.dumps({"Layers": layers}).replace("]|[", "]\x1e[")


class Runtime:
    DLA_core = -1

    def __init__(self, log: ILogger) -> None:
        self.log = log
        if not MACHINE["runtime"]:
            raise TypeError("pybind11::init(): factory function returned nullptr")

    def deserialize_cuda_engine(self, plan: bytes) -> Engine | None:
        if MACHINE["takes_plans"]:
            return Engine(plan, self.log)
        self.log.log(Severity.ERROR, "the engine plan file is not compatible")
        return None
