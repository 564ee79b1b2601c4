"""The only file that imports pycuda: the GPU's context, one stream, its buffers and events.

Source: pycuda 2026.1, `src/cpp/cuda.hpp`; CUDA Driver API, "Primary Context Management".
"""

from __future__ import annotations

import atexit
import functools
import threading
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from edge.errors import EngineLostError, MissingExtraError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt


_STARTING = threading.Lock()


@dataclass(frozen=True, slots=True)
class GPU:
    """The first GPU of this machine.

    Attributes:
        name: as its driver tells it; "Orin" on every Orin.
        compute_capability: "8.7".
        cuda: the newest CUDA that the driver knows, "12.6".
        is_integrated: it shares the memory of the CPU, as on every Jetson.
    """

    name: str
    compute_capability: str
    cuda: str
    is_integrated: bool


@dataclass(frozen=True, slots=True, eq=False)
class Buffer:
    """Page-locked memory of the host, and what the GPU sees of it.

    Attributes:
        host: the host's side; it ends with `Device.close`.
        address: of the GPU's side.
        copy: the GPU's own memory; None where the GPU works on the host's side itself.
        allocation: what pycuda frees the host's side by.
    """

    host: npt.NDArray[Any]
    address: int
    copy: Any
    allocation: Any


class Device:
    """The first GPU and a stream on it. Any thread may use it, one at a time.

    All but `allocate`, `make_event` and `close` want `current()` around them.

    Raises:
        MissingExtraError: pycuda is not installed.
        UnavailableError: there is no driver, no GPU, or no memory left on it.
    """

    def __init__(self) -> None:
        with _STARTING:
            self._driver, self._context, self.gpu = _start()
        self._buffers: list[Buffer] = []
        self._events: list[Any] = []
        self._is_lost = self._is_closed = False
        with self.current():
            self._stream: Any = self._driver.Stream()

    @property
    def stream(self) -> int:
        """The stream's handle, as other libraries take it."""
        return int(self._stream.handle)

    @contextmanager
    def current(self) -> Iterator[None]:
        """Put the GPU's context on the calling thread, and turn CUDA's errors into ours.

        Raises:
            EngineLostError: the GPU failed, or the device is closed.
            UnavailableError: it has no memory left.
        """
        if self._is_closed:
            raise EngineLostError("cuda: the device is closed", hint="Open the engine again")
        try:
            self._context.push()
            try:
                yield
            finally:
                self._driver.Context.pop()
        except self._driver.MemoryError as error:
            raise UnavailableError(
                "cuda: the GPU has no memory left", hint="Close other programs that use it"
            ) from error
        except self._driver.Error as error:
            self._is_lost = True
            raise EngineLostError(
                f"cuda: the GPU failed ({_reason(error)})",
                hint="Look into dmesg, or run with --engine openvino",
            ) from error

    def allocate(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Buffer:
        """Give a buffer of zeros that lives until `close`.

        Where the GPU shares the host's memory there is one array and no copy: since compute
        capability 7.2 a Jetson keeps the CPU's caches coherent with what the GPU does.
        """
        flags = self._driver.host_alloc_flags.DEVICEMAP if self.gpu.is_integrated else 0
        with self.current():
            host = self._driver.pagelocked_zeros(shape, dtype, mem_flags=flags)
            allocation: Any = host.base
            try:
                copy = None if self.gpu.is_integrated else self._driver.mem_alloc(host.nbytes)
                address = int(allocation.get_device_pointer() if copy is None else copy)
            except self._driver.Error:
                allocation.free()
                raise
        buffer = Buffer(host, address, copy, allocation)
        self._buffers.append(buffer)
        return buffer

    def make_event(self) -> Any:  # noqa: ANN401 - pycuda has no types
        """Give an event that lives until `close`; a thread that waits for it sleeps."""
        with self.current():
            self._events.append(self._driver.Event(self._driver.event_flags.BLOCKING_SYNC))
        return self._events[-1]

    def upload(self, buffer: Buffer, rows: int) -> None:
        """Queue the copy of the first rows to the GPU, where one is needed."""
        if buffer.copy is not None:
            self._driver.memcpy_htod_async(buffer.copy, buffer.host[:rows], self._stream)

    def download(self, buffer: Buffer, rows: int) -> None:
        """Queue the copy of the first rows from the GPU, where one is needed."""
        if buffer.copy is not None:
            self._driver.memcpy_dtoh_async(buffer.host[:rows], buffer.copy, self._stream)

    def record(self, event: Any) -> None:  # noqa: ANN401 - pycuda has no types
        """Queue the event: it happens when all that was queued before is done."""
        event.record(self._stream)

    def wait(self, event: Any) -> None:  # noqa: ANN401 - pycuda has no types
        """Wait until the event has happened."""
        event.synchronize()

    def elapsed_ns(self, start: Any, end: Any) -> int:  # noqa: ANN401 - pycuda has no types
        """Give the GPU's time between two events that have happened."""
        return round(float(start.time_till(end)) * 1e6)

    def used_memory_bytes(self) -> int:
        """Tell how much of the GPU's memory is in use, by anybody."""
        free_bytes, total_bytes = self._driver.mem_get_info()
        return int(total_bytes) - int(free_bytes)

    def synchronize(self) -> None:
        """Wait until all that was queued is done."""
        self._stream.synchronize()

    def close(self, release: Callable[[], None] = lambda: None) -> None:
        """Wait for the stream and free everything; a second call does nothing.

        Args:
            release: called when the stream is at rest, before anything is freed.

        Raises:
            EngineLostError: the GPU was lost, and nobody was told yet.
        """
        if self._is_closed:
            return
        try:
            if not self._is_lost:
                with self.current():
                    self.synchronize()
        finally:
            if self._is_lost:
                release()
                _end_context(self._context)
                self._drop()
            else:
                with self.current():
                    release()
                    self._free()

    def _free(self) -> None:
        for buffer in self._buffers:
            if buffer.copy is not None:
                buffer.copy.free()
            buffer.allocation.free()
        self._drop()

    def _drop(self) -> None:
        self._buffers.clear()
        self._events.clear()
        self._stream = None
        self._is_closed = True


def used_memory_bytes() -> int:
    """Tell how much of the GPU's memory is in use, by anybody; on a Jetson, of the board's.

    Raises:
        EngineLostError: the GPU failed.
        MissingExtraError, UnavailableError: see `describe_gpu`.
    """
    device = Device()
    try:
        with device.current():
            return device.used_memory_bytes()
    finally:
        device.close()


def describe_gpu() -> GPU:
    """Tell which GPU this machine has.

    Raises:
        MissingExtraError: pycuda is not installed.
        UnavailableError: there is no driver, or no GPU.
    """
    with _STARTING:
        return _start()[2]


@functools.cache
def _start() -> tuple[Any, Any, GPU]:
    """Give pycuda's driver module, the primary context and the GPU.

    The context is retained once and for the life of the process, as NVIDIA's own runtime does:
    pycuda's `detach` leaves it on the driver's stack of the thread. Call it under `_STARTING`.
    """
    driver = _load_driver()
    try:
        driver.init()
        device = driver.Device(0)
        version = int(driver.get_driver_version())
        gpu = GPU(
            name=str(device.name()),
            compute_capability=".".join(str(part) for part in device.compute_capability()),
            cuda=f"{version // 1000}.{version % 1000 // 10}",
            is_integrated=bool(device.get_attribute(driver.device_attribute.INTEGRATED)),
        )
        context = device.retain_primary_context()
    except driver.Error as error:
        raise UnavailableError(
            f"cuda: no GPU can be used ({_reason(error)})", hint="Check the driver with nvidia-smi"
        ) from error
    atexit.register(context.detach)  # pycuda's destructor calls the wrong function, and complains
    return driver, context, gpu


def _end_context(context: Any) -> None:  # noqa: ANN401 - pycuda has no types
    """Give up the context of a lost GPU; the next start gets a new one.

    What lay on it ends with it. pycuda then frees nothing there, which would fail, or abort. It
    detaches a context in another thread than the one that started it only where it is current.
    """
    with _STARTING:
        if _start.cache_info().currsize and _start()[1] is context:
            _start.cache_clear()
            atexit.unregister(context.detach)
            context.push()
            context.detach()


def _load_driver() -> Any:  # noqa: ANN401 - pycuda has no types
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a failed import warns before it raises
            return import_module("pycuda.driver")
    except ModuleNotFoundError as error:
        raise MissingExtraError("pycuda", extra="jetson") from error
    except ImportError as error:
        raise UnavailableError(
            f"cuda: the GPU's driver is missing ({_reason(error)})", hint="Install the driver"
        ) from error


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")[:160] or "no reason given"
