"""What TensorRT calls back into: classes of ours whose bases come with its module."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge.errors import EdgeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    import numpy.typing as npt

    Progress = Callable[[str, int, int], bool]

_WARNING = 2  # trt.ILogger.Severity: 0 internal error, 1 error, 2 warning, 3 info, 4 verbose


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """What TensorRT's own calibration works with.

    Attributes:
        batches: uint8, (1, H, W, 3), BGR; one at a time, so they may share memory.
        upload: puts a batch into the GPU's memory and gives its address.
        table: of an earlier calibration, which spares this one; empty where there is none.
    """

    batches: Iterator[npt.NDArray[np.uint8]]
    upload: Callable[[npt.NDArray[np.uint8]], int]
    table: bytes = b""


@functools.cache
def _log_class(trt: Any) -> Any:  # noqa: ANN401 - the base class comes with the module
    class Log(trt.ILogger):  # type: ignore[misc] # a base without types
        """Keeps errors, warnings and the lines of the layer table; drops the rest."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []
            self.warnings: list[str] = []
            self.layer_lines: list[str] = []

        def log(self, severity: Any, text: str) -> None:  # noqa: ANN401 - an enum without types
            if int(severity) < _WARNING:
                self.errors.append(text)
            elif int(severity) == _WARNING:
                self.warnings.append(text)
            else:
                # not splitlines(): a record separator stands between the ONNX nodes of a layer
                self.layer_lines += [line for line in text.split("\n") if "LayerType: " in line]

    return Log


def make_log(trt: Any) -> Any:  # noqa: ANN401 - its class has no types
    """Give a log that keeps what a build wants to know of it."""
    return _log_class(trt)()


def make_monitor(trt: Any, progress: Progress) -> Any:  # noqa: ANN401 - its class has no types
    """Give a monitor that tells `progress` of the outermost phases; False cancels the build."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc] # a base without types
        """Passes the steps of the outermost phase on."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._steps: dict[str, int] = {}

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            if parent is None:
                self._steps[phase] = steps

        def step_complete(self, phase: str, step: int) -> bool:
            steps = self._steps.get(phase)
            return progress(phase, step + 1, steps) if steps is not None else True

        def phase_finish(self, phase: str) -> None:
            self._steps.pop(phase, None)

    return Monitor()


def make_profiler(trt: Any) -> Any:  # noqa: ANN401 - its class has no types
    """Give a profiler whose `times_ms` has what each layer took, in the order in which they run."""

    class Profiler(trt.IProfiler):  # type: ignore[misc] # a base without types
        """Keeps the times of each layer by its name."""

        def __init__(self) -> None:
            trt.IProfiler.__init__(self)
            self.times_ms: dict[str, list[float]] = {}

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            self.times_ms.setdefault(layer_name, []).append(ms)

    return Profiler()


def make_calibrator(trt: Any, calibration: Calibration) -> Any:  # noqa: ANN401 - has no types
    """Give a calibrator for TensorRT up to 10, one picture a batch.

    Its `table` is the calibration's result, its `error` what ended it early: TensorRT swallows
    what is raised in here.
    """

    class Calibrator(trt.IInt8EntropyCalibrator2):  # type: ignore[misc] # a base without types
        """Hands out batches by their addresses and keeps the table."""

        def __init__(self) -> None:
            trt.IInt8EntropyCalibrator2.__init__(self)
            self.table = calibration.table
            self.error: EdgeError | None = None

        def get_batch_size(self) -> int:
            return 1

        def get_batch(self, _names: list[str]) -> list[int] | None:
            try:
                batch = next(calibration.batches, None)
                return None if batch is None else [calibration.upload(batch)]
            except EdgeError as error:
                self.error = error
                return None

        def read_calibration_cache(self) -> bytes | None:
            return calibration.table or None

        def write_calibration_cache(self, cache: Any) -> None:  # noqa: ANN401 - any buffer
            self.table = bytes(cache)

    return Calibrator()
