"""What TensorRT calls back into: classes of ours whose bases come with its module."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Progress = Callable[[str, int, int], bool]

_WARNING = 2  # trt.ILogger.Severity: 0 internal error, 1 error, 2 warning, 3 info, 4 verbose


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
                self.layer_lines += [line for line in text.splitlines() if "LayerType: " in line]

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
