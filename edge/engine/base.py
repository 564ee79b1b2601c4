"""The engine protocol, and the table of its implementations."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, runtime_checkable

from edge.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    import numpy.typing as npt

    from edge.model.onnx_file import Model


Aim: TypeAlias = Literal["latency", "throughput"]
"""What an engine spends its cores on: one frame soon, or many frames."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """What else an engine can be told, mostly to measure it.

    Attributes:
        threads: that the network may use; None leaves them to the engine.
        times_layers: whether it takes the time of each layer, which costs time itself.
    """

    threads: int | None = None
    times_layers: bool = False


@dataclass(frozen=True, slots=True)
class LayerTime:
    """What one layer took.

    Attributes:
        name: as the engine calls it.
        kind: the engine's word for what it does.
        took_ns: mean over the runs of the network so far.
    """

    name: str
    kind: str
    took_ns: int


@runtime_checkable
class TellsLayers(Protocol):
    """An engine that can take the time of its layers."""

    def read_layers(self) -> tuple[LayerTime, ...]:
        """Give the layers in the order in which they run; none where it does not time them."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an open engine is.

    Attributes:
        name: as `--engine` takes it.
        device: what it runs on, for a person.
        precision: "int8" or "fp32".
        slots: how many frames can be in flight.
        aim: see `Aim`.
        batch: most pictures that go through the network at once.
    """

    name: str
    device: str
    precision: str
    slots: int
    aim: Aim = "latency"
    batch: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """One place for a frame inside the engine.

    Attributes:
        index: which of the engine's slots it is.
        pixels: the engine's own input memory, uint8 (H, W, 3) BGR; write, then submit.
    """

    index: int
    pixels: npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What came out for one submitted slot.

    Attributes:
        values: float32, (classes,); the caller's own copy.
        infer_ns: from the start of the network to its scores; a whole batch's for each picture.
    """

    values: npt.NDArray[np.float32]
    infer_ns: int


class Engine(Protocol):
    """A network ready to run. Used by one thread; closed once.

    Frames go through in order: `acquire` a slot, fill its pixels, `submit` it, and `collect` the
    scores of the oldest submitted slot. No more than `info.slots` may be in flight.

    Up to `info.batch` slots may go in one `submit`. However few they are, they take the place of a
    whole batch, so no more than `info.slots // info.batch` submissions may be in flight.
    """

    @property
    def info(self) -> EngineInfo:
        """What this engine is."""

    def acquire(self) -> Slot:
        """Give a free slot. At most `info.slots` are out at once."""

    def submit(self, *slots: Slot) -> None:
        """Start the network on filled slots; returns without waiting where it can.

        Args:
            slots: 1 to `info.batch`, which were acquired one after the other. One that was acquired
                behind them for the same batch is void: its place goes with theirs.
        """

    def collect(self) -> Scores:
        """Wait for the oldest submitted slot, free it and give its scores.

        Raises:
            EngineLostError: the device failed.
        """

    def close(self) -> None:
        """Release the device; a second call does nothing."""


AUTO = "auto"
TENSORRT = "tensorrt"
"""The GPU engine; it runs plans, so it is opened by `edge.engine.tensorrt.open_plan`."""

ENGINES = {
    "openvino": "edge.engine.openvino:OpenVINOEngine",
    "onnxruntime": "edge.engine.onnxruntime:ONNXRuntimeEngine",
    "null": "edge.engine.null:NullEngine",
}
"""Name to implementation for ONNX models, imported when it is asked for."""

AUTO_ORDER = ("openvino", "onnxruntime")
"""What `auto` tries, best first."""


DEFAULT_TUNING = Tuning()

_SLOW = re.compile(r"null:(\d{1,5}(?:\.\d+)?)")


@contextmanager
def open_engine(
    name: str, model: Model, aim: Aim = "latency", tuning: Tuning = DEFAULT_TUNING
) -> Iterator[Engine]:
    """Open an engine for the length of a `with` block.

    Args:
        name: a key of `ENGINES`, or "auto"; "null:20" is a null engine that takes 20 ms a frame.
        model: with the preprocessing inside or not; it is folded in here.
        aim: an engine that knows no difference takes either.
        tuning: an engine without threads or layers of its own takes any.

    Raises:
        InputError: no engine has this name.
        UnavailableError: this machine lacks what the engine needs.
        ModelError: the engine cannot run this network.
    """
    from edge.model.fold import fold  # brings ONNX, which a network kept on disk does without

    make = partial(_make, model=fold(model), aim=aim, tuning=tuning)
    engine = _make_first(AUTO_ORDER if name == AUTO else (name,), make)
    try:
        yield engine
    finally:
        engine.close()


def _make_first(names: tuple[str, ...], make: Callable[[str], Engine]) -> Engine:
    first, *others = names
    try:
        return make(first)
    except MissingExtraError:
        if not others:
            raise
    return _make_first(tuple(others), make)


def _make(name: str, model: Model, aim: Aim, tuning: Tuning) -> Engine:
    slow = _SLOW.fullmatch(name)
    delay = {"delay_ms": float(slow[1])} if slow else {}
    name = "null" if slow else name
    if name not in ENGINES:
        raise InputError(
            f"{name}: no such engine", hint=f"Use one of: {AUTO}, {TENSORRT}, {', '.join(ENGINES)}"
        )
    module, attribute = ENGINES[name].split(":")
    try:
        engine: Engine = getattr(import_module(module), attribute)(model, aim, tuning, **delay)
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or name, extra=name) from error
    return engine
