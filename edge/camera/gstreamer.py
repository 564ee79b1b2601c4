"""Sources that GStreamer runs: any pipeline, a CSI camera, RTSP with decoding in hardware.

OpenCV from PyPI is built without GStreamer, so the pipeline runs as a child process and its
pictures come through a pipe; see `edge.camera.launch`.
"""

from __future__ import annotations

import functools
import re
import time
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING
from urllib.parse import quote

from edge.camera.base import SourceInfo
from edge.camera.gst_tools import has_element
from edge.camera.gst_words import Mend, explain, explain_loss, says_error
from edge.camera.launch import Child
from edge.camera.rawvideo import I420, parse_caps
from edge.errors import CameraLostError, EdgeError, InputError, UnavailableError
from edge.frame import Frame

if TYPE_CHECKING:
    from edge.camera.gdp import Packet
    from edge.camera.url import SourceOptions, SourceURL

RAW = "video/x-raw,format=I420"

NEWEST = "queue leaky=downstream max-size-buffers=1 max-size-bytes=0 max-size-time=0"
"""A live pipeline goes on while a picture waits for us, and only the newest waits."""

DECODER = "nvv4l2decoder"

CSI_SIZE_PX, CSI_FPS = (1280, 720), 30.0

RESTART = "Run: sudo systemctl restart nvargus-daemon"

CSI_MENDS = (
    Mend(
        re.compile(r"No cameras available|Invalid camera device"),
        "Check the ribbon cable and the number; edge cameras lists what is here",
    ),
    Mend(
        re.compile(r"Failed to create CaptureSession|(?i:timeout)|nvargus-daemon|Argus\) Error"),
        RESTART,
    ),
)

RTSP_MENDS = (
    Mend(re.compile(r"Unauthorized|Forbidden"), "Check user name and password", InputError),
    Mend(re.compile(r"Not [Ff]ound"), "Check the path of the address", InputError),
    Mend(
        re.compile(r"Failed to connect|Could not connect|Could not receive"),
        "Check address, port and network",
    ),
)

LEAVE_S = 1.0
"""How long a child whose pipe is closed may take to say why."""

_ON_DEMAND = frozenset({"file", "filesrc", "imagesequencesrc", "multifilesrc", "splitfilesrc"})
_SOURCE = re.compile(r"(?:^|[\s!])([a-z0-9]+src)(?=[\s!]|$)")
_SCHEME = re.compile(r"\buri\s*=\s*\"?([a-z0-9]+):")
_LIVE_TEST = re.compile(r"\bis-live\s*=\s*\"?(?:true|1|yes|t)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to run for a source, and what its failures mean.

    Attributes:
        pipeline: ends in raw I420.
        live: see `SourceInfo`.
        may_end: its end is an end and no loss.
        mends: what to do, by what the child says.
        silence: what to do when no picture comes.
    """

    pipeline: str
    live: bool
    may_end: bool = False
    mends: tuple[Mend, ...] = ()
    silence: str = "Check that it is there and switched on"


class LaunchedSource:
    """Gives the pictures of a child process as planes; see `edge.camera.base.Source`.

    The child is ended when it fails, and when it gives no picture for `timeout_s`.

    Args:
        url: name and options.
        recipe: what to run.

    Raises:
        InputError: the pipeline is wrong.
        UnavailableError: GStreamer, one of its elements or the camera is not here.
    """

    def __init__(self, url: SourceURL, recipe: Recipe) -> None:
        if not has_element("gdppay"):
            raise UnavailableError(
                f"{url.name}: GStreamer has no element gdppay",
                hint="Run: sudo apt install gstreamer1.0-plugins-bad",
            )
        self._recipe = recipe
        self._timeout_s = url.options.timeout_s
        self._name = url.name
        self._given = 0
        self._last_pts_ns: int | None = None
        self._trouble = ""
        self._is_over = False
        self.unreadable = 0
        self._child = Child(recipe.pipeline)
        try:
            self._change(self._wait_for_format())
        except BaseException:
            self._child.close()
            raise

    def _change(self, now: I420) -> None:
        self._format = now
        size = now.width, now.height
        self.info = SourceInfo(self._name, live=self._recipe.live, size=size, fps=now.fps)

    def _wait_for_format(self) -> I420:
        """Wait for the caps, which `gdppay` sends right before the first picture."""
        deadline_s = time.monotonic() + self._timeout_s
        try:
            while (packet := self._child.receive(deadline_s)) is not None:
                if packet.kind == "caps":
                    return parse_caps(packet.text)
        except TimeoutError as error:
            self._child.close()
            if says_error(self._child.words):  # it failed, and hung while it let go
                raise explain(self._name, self._child.words, self._recipe.mends) from error
            raise self._silent(UnavailableError) from error
        except InputError as error:
            raise UnavailableError(f"{self._name}: {error.args[0]}", hint=error.hint) from error
        self._child.wait(LEAVE_S)
        self._child.close()
        if self._child.code == 0 and self._recipe.may_end:
            raise InputError(f"{self._name}: ended without a picture", hint="Look at what it reads")
        raise explain(self._name, self._child.words, self._recipe.mends)

    def read(self) -> Frame | None:
        """Wait for the next picture; None at the end.

        Raises:
            CameraLostError: the pipeline failed, or gave no picture for `timeout_s`.
        """
        if self._is_over:
            return None
        deadline_s = time.monotonic() + self._timeout_s
        try:
            while (packet := self._child.receive(deadline_s)) is not None:
                if packet.kind == "caps":
                    self._change(parse_caps(packet.text))
                elif packet.kind == "buffer" and (frame := self._frame(packet)) is not None:
                    return frame
        except TimeoutError as error:
            self.close()
            raise self._silent(CameraLostError) from error
        except InputError as error:
            self.close()
            raise CameraLostError(f"{self._name}: {error.args[0]}", hint=error.hint) from error
        self._finish()
        return None

    def _frame(self, packet: Packet) -> Frame | None:
        try:
            planes = self._format.planes(packet.payload)
        except InputError as error:
            self.unreadable += 1
            self._trouble = str(error.args[0])
            return None
        frame = Frame(
            data=planes,
            seq=self._given + self._count_lost(packet),
            captured_ns=self._child.came_ns,
            capture_ns=time.monotonic_ns() - self._child.came_ns,
            source=self._name,
            stamp_ns=packet.pts_ns,
        )
        self._given = frame.seq + 1
        self._last_pts_ns = packet.pts_ns
        return frame

    def _count_lost(self, packet: Packet) -> int:
        """Tell from the time between two pictures how many a full queue dropped there."""
        if not packet.is_after_gap or not self._format.fps or self._last_pts_ns is None:
            return 0
        passed_ns = (packet.pts_ns or 0) - self._last_pts_ns
        return max(0, round(passed_ns * self._format.fps / 1e9) - 1)

    def _finish(self) -> None:
        """Find out why no more pictures come.

        Raises:
            CameraLostError: it is not that the pipeline came to its end, or that it was stopped.
        """
        self._is_over = True
        if self._child.is_stopped:
            return
        is_whole = self._child.is_between
        self._child.wait(LEAVE_S)
        self._child.close()
        if self._child.code != 0 or not is_whole or not self._recipe.may_end:
            raise explain_loss(self._name, self._child.words, self._child.code, self._recipe.mends)

    def _silent(self, kind: type[EdgeError]) -> EdgeError:
        trouble = f" ({self._trouble})" if self._trouble else ""
        return kind(
            f"{self._name}: gave no picture for {self._timeout_s:g} s{trouble}",
            hint=self._recipe.silence,
        )

    def stop(self) -> None:
        """Let a `read` that waits in another thread give up at once."""
        self._child.stop()

    def close(self) -> None:
        """End the pipeline, in less than two seconds; a second call does nothing."""
        self._is_over = True
        self._child.close()


class PipelineSource(LaunchedSource):
    """Gives the pictures of any pipeline that ends in raw video.

    Args:
        url: whose target is the text of a pipeline, as `gst-launch-1.0` takes it.

    Raises:
        InputError: the pipeline is wrong.
        UnavailableError: GStreamer, or a device that the pipeline names, is not here.
    """

    def __init__(self, url: SourceURL) -> None:
        super().__init__(url, pipeline_recipe(url.target))


class CSISource(LaunchedSource):
    """Gives the pictures of a camera on a Jetson's CSI connector.

    Args:
        url: whose target is the number of the sensor.

    Raises:
        UnavailableError: this is no Jetson, there is no such camera, or nvargus-daemon hangs.
    """

    def __init__(self, url: SourceURL) -> None:
        for element in ("nvarguscamerasrc", "nvvidconv"):
            if not has_element(element):
                raise UnavailableError(
                    f"{url.name}: GStreamer has no element {element}, which comes with a Jetson",
                    hint="There, run: sudo apt install nvidia-l4t-gstreamer nvidia-l4t-camera",
                )
        super().__init__(url, csi_recipe(url.target, url.options))


class RTSPPipelineSource(LaunchedSource):
    """Gives the pictures of a network camera, decoded in hardware where the board can.

    Args:
        url: of rtsp:// or rtsps://.

    Raises:
        InputError: the camera refuses the address or the password.
        UnavailableError: the camera does not answer, or a decoder is missing.
    """

    def __init__(self, url: SourceURL) -> None:
        recipe = rtsp_recipe(url.target, url.options, has_hardware=has_hardware_decoder())
        super().__init__(url, recipe)


@functools.cache
def has_hardware_decoder() -> bool:
    """Tell whether GStreamer is here and decodes video on a Jetson's own decoder."""
    try:
        return has_element(DECODER)
    except UnavailableError:
        return False


def pipeline_recipe(text: str) -> Recipe:
    """Give what to run for a pipeline that a person wrote."""
    live = is_live(text)
    end = f"{RAW} ! {NEWEST}" if live else RAW
    return Recipe(f"{text} ! videoconvert ! {end}", live=live, may_end=True)


def is_live(text: str) -> bool:
    """Tell whether a pipeline gives pictures when they come, not when they are asked for.

    It does unless all of its sources are known to wait: they read files, or are a
    `videotestsrc` without `is-live`.
    """
    waiting = _ON_DEMAND if _LIVE_TEST.search(text) else _ON_DEMAND | {"videotestsrc"}
    origins = {*_SOURCE.findall(text), *_SCHEME.findall(text)}
    return not origins or not origins <= waiting


def csi_recipe(sensor: str, options: SourceOptions) -> Recipe:
    """Give what to run for a CSI camera: 1280x720 at 30 frames per second if not asked otherwise.

    Source: the elements' properties in NVIDIA's Accelerated GStreamer guide of Jetson Linux.
    """
    width, height = options.size or CSI_SIZE_PX
    rate = Fraction(options.fps or CSI_FPS).limit_denominator(1001)
    memory = "video/x-raw(memory:NVMM)"
    pipeline = (
        f"nvarguscamerasrc sensor-id={sensor} ! {memory},width={width},height={height}"
        f",framerate={rate.numerator}/{rate.denominator}"
        f" ! nvvidconv flip-method={options.flip} ! {RAW} ! {NEWEST}"
    )
    return Recipe(pipeline, live=True, mends=CSI_MENDS, silence=RESTART)


def rtsp_recipe(location: str, options: SourceOptions, *, has_hardware: bool) -> Recipe:
    """Give what to run for a network camera.

    `decodebin` takes the board's own decoder where there is one, for H.264 and H.265 alike;
    `nvvidconv` then brings the picture to main memory.
    """
    timeout_us = round(options.timeout_s * 1e6)
    receive = (
        f"rtspsrc location={_quoted(location)} protocols={options.transport}"
        f" latency={options.latency_ms} drop-on-latency=true"
        f" tcp-timeout={timeout_us} timeout={timeout_us}"
    )
    convert = "nvvidconv" if has_hardware else "videoconvert"
    decode = f"application/x-rtp,media=video ! decodebin ! {convert}"
    pipeline = f"{receive} ! {decode} ! {RAW} ! {NEWEST}"
    return Recipe(pipeline, live=True, mends=RTSP_MENDS)


def _quoted(location: str) -> str:
    """Give a URL as one value of a pipeline: what could end the quotes is percent-encoded."""
    return f'"{quote(location, safe="!#$%&()*+,/:;=?@[]~" + chr(39))}"'
