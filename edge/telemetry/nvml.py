"""The power of desktop GPUs by NVIDIA's management library; the only importer of `pynvml`.

Never used on a Jetson: there it opens, and gives no power or rubbish.
Source: NVML API Reference, nvmlDeviceGetPowerUsage: mW of the whole card, within 5 %; from Ampere
on the mean of the last second, before that at the moment.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge.errors import MissingExtraError
from edge.record import Unavailable
from edge.telemetry.desktop import Missing

if TYPE_CHECKING:
    from edge.board import SysRoot

LABEL = "NVML GPU"


@dataclass(frozen=True, slots=True)
class Gpu:
    """One card."""

    label: str
    library: Any
    handle: Any

    def measure(self, now_ns: int) -> float | Unavailable:  # noqa: ARG002 - it is as it is
        """Give the power in mW, or what NVML says instead."""
        try:
            return float(self.library.nvmlDeviceGetPowerUsage(self.handle))
        except self.library.NVMLError as error:
            return Unavailable(f"cannot be read: {error}")


class Nvml:
    """The cards of this machine.

    Args:
        root: asked first whether NVIDIA's driver runs here, so that nothing is loaded elsewhere.
    """

    def __init__(self, root: SysRoot) -> None:
        self._library: Any = None
        self.sensors: list[Gpu | Missing] = []
        if root.read_text("proc/driver/nvidia/version") is not None:
            self.sensors = self._open()

    def _open(self) -> list[Gpu | Missing]:
        try:
            import pynvml
        except ImportError:
            return [Missing(LABEL, f"is not measured: {MissingExtraError('nvidia-ml-py', 'nvml')}")]
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            return [Missing(LABEL, f"cannot be read: {error}")]
        self._library = pynvml
        try:
            return [self._find(number) for number in range(pynvml.nvmlDeviceGetCount())]
        except pynvml.NVMLError as error:
            return [Missing(LABEL, f"cannot be read: {error}")]

    def _find(self, number: int) -> Gpu | Missing:
        """Give a card that tells its power; some laptops' and virtual ones do not."""
        library, label = self._library, f"{LABEL} {number}"
        try:
            handle = library.nvmlDeviceGetHandleByIndex(number)
            library.nvmlDeviceGetPowerUsage(handle)
        except library.NVMLError as error:
            return Missing(label, f"cannot be read: {error}")
        return Gpu(label, library, handle)

    def close(self) -> None:
        """Let the library go."""
        if self._library is not None:
            with suppress(self._library.NVMLError):
                self._library.nvmlShutdown()
            self._library = None
