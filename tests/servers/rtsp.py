"""An RTSP camera for tests and long runs: a moving test pattern in H.264, in a process of its own.

The program half runs with the system's Python, which has GStreamer's bindings (on Debian
python3-gi, gir1.2-gst-rtsp-server-1.0 and the plugins base, good and ugly).
"""

from __future__ import annotations

import argparse
import functools
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from typing_extensions import Self

PYTHON = "/usr/bin/python3"


@functools.cache
def why_not() -> str | None:
    """Tell what this machine lacks for the server, None if nothing."""
    if not os.access(PYTHON, os.X_OK):
        return f"no {PYTHON}"
    done = subprocess.run(
        [PYTHON, __file__, "--check"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip() or "unknown").splitlines()[-1]
        return f"no GStreamer RTSP server for {PYTHON} ({last})"
    return None


class RTSPServer:
    """A camera that a test starts, stalls, kills and starts again on the same port.

    Args:
        size: width and height in pixels.
        fps: frames per second.
        user: asked of each client, with `password`; None lets everyone in.
        password: of `user`.
        gop: frames from one key frame to the next.
    """

    def __init__(
        self,
        *,
        size: tuple[int, int] = (160, 120),
        fps: int = 20,
        user: str | None = None,
        password: str = "",
        gop: int = 10,
    ) -> None:
        self.size = size
        self.fps = fps
        self.user = user
        self.password = password
        self.gop = gop
        self.port = 0
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Where it plays, without a user."""
        return f"rtsp://127.0.0.1:{self.port}/live"

    def start(self) -> None:
        """Start it, on the port that it had before, and wait until it listens."""
        command = [
            PYTHON, __file__, "--size", "{}x{}".format(*self.size), "--fps", str(self.fps),
            "--gop", str(self.gop), "--port", str(self.port), "--path", "/live",
        ]  # fmt: skip
        if self.user is not None:
            command += ["--user", self.user, "--password", self.password]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            raise RuntimeError(f"the RTSP server ended with {self._process.returncode}")
        self.port = urlsplit(line).port

    def stall(self) -> None:
        """Stop it in the middle of its work, as a camera that hangs."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `stall`."""
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Kill it, stalled or not; a second call does nothing."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            process.stdout.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def serve(options: argparse.Namespace) -> None:
    """Play until killed; the address is printed as soon as clients may come."""
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer

    Gst.init(None)
    for element in ("videotestsrc", "x264enc", "rtph264pay"):
        if Gst.ElementFactory.find(element) is None:
            raise SystemExit(f"GStreamer has no {element}")
    if options.check:
        return
    width, height = options.size.split("x")
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        "( videotestsrc is-live=true pattern=ball"
        f" ! video/x-raw,format=I420,width={width},height={height},framerate={options.fps}/1"
        f" ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max={options.gop} threads=1"
        " ! rtph264pay name=pay0 pt=96 config-interval=-1 )"
    )
    factory.set_shared(True)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(options.port))
    if options.user:
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "viewer")
        basic = GstRtspServer.RTSPAuth.make_basic(options.user, options.password)
        auth.add_basic(basic, token)
        server.set_auth(auth)
        factory.add_role_from_structure(
            Gst.Structure.new_from_string(
                "viewer, media.factory.access=(boolean)true, media.factory.construct=(boolean)true"
            )
        )
    server.get_mount_points().add_factory(options.path, factory)
    if not server.attach(None):
        raise SystemExit(f"port {options.port} is taken")
    sys.stdout.write(f"rtsp://127.0.0.1:{server.get_bound_port()}{options.path}\n")
    sys.stdout.flush()
    GLib.MainLoop().run()


def main() -> None:
    """Read the words and play."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="160x120")
    parser.add_argument("--fps", type=int, default=20)
    parser.add_argument("--gop", type=int, default=10)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--path", default="/live")
    parser.add_argument("--user")
    parser.add_argument("--password", default="")
    parser.add_argument("--check", action="store_true", help="only tell whether it could run")
    serve(parser.parse_args())


if __name__ == "__main__":
    main()
