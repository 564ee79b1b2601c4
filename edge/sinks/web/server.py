"""The server of the live view: a thread with its own event loop, which costs the run's nothing."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from edge.sinks.listening import WAITING
from edge.sinks.web.access import Access, add_headers
from edge.sinks.web.state import write_event

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from typing import Any

    from edge.sinks.web.state import LiveState

PAGE = Path(__file__).parent / "page"
FILES = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/parts.js": ("parts.js", "text/javascript"),
    "/chart.js": ("chart.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
ALIVE = write_event("alive", None)
MOST_VIEWERS = 32
MOST_CONNECTIONS = 256
"""And a few more that come at the same moment."""
PICTURES_PER_S = 12
MOST_PICTURES_PER_S = 48
"""Of all sources together."""
UNWATCHED_S = 0.25
ALIVE_S = 2.0
"""A viewer hears something at least so often, and so learns that the connection is gone."""
SLOW_S = 20.0
KEEP_ALIVE_S = 15.0
FAREWELL_S = 0.3
"""How long viewers have to hear that the run is over."""


@dataclass(eq=False, slots=True)
class _Viewer:
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    seen: dict[str, int] = field(default_factory=dict)


class Server:
    """Serves the page until it is closed.

    Args:
        state: what to show; belongs to the server's thread from now on.
        listening: socket; closed with the server.
        token: that viewers need, None where nobody else can come.
        slow_s: a viewer that takes nothing for so long is sent away.

    Attributes:
        error: what ended it before it was closed, else None.
    """

    def __init__(
        self,
        state: LiveState,
        listening: socket.socket,
        token: str | None,
        *,
        slow_s: float = SLOW_S,
    ) -> None:
        self.error: Exception | None = None
        self.state = state
        self._listening = listening
        self._slow_s = slow_s
        refusal = (PAGE / "refused.html").read_text()
        self._access = Access(token, listening.getsockname()[1], refusal)
        self._files = {
            path: ((PAGE / name).read_bytes(), kind) for path, (name, kind) in FILES.items()
        }
        self._viewers: set[_Viewer] = set()
        self._busy: set[asyncio.Transport] = set()
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()
        self._idle = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End all streams and the thread; a second call does nothing."""
        with suppress(RuntimeError):  # the loop is over already
            self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except Exception as error:  # noqa: BLE001 - handed to the owner
            self.error = error
        finally:
            self._listening.close()
            self._loop.run_until_complete(_end_tasks())
            self._loop.close()

    async def _serve(self) -> None:
        runner = web.AppRunner(
            self._app(), access_log=None, logger=_request_log(), handle_signals=False,
            shutdown_timeout=FAREWELL_S, keepalive_timeout=KEEP_ALIVE_S,
        )  # fmt: skip
        await runner.setup()
        accept = partial(_accept, runner.server)
        accepting = await self._loop.create_server(accept, sock=self._listening, backlog=WAITING)
        try:
            await self._look_until_closed()
            self.state.end()
            await self._take_leave()
        finally:
            accepting.close()
            await runner.cleanup()

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[self._access.guard])
        app.on_response_prepare.append(add_headers)
        for path in self._files:
            app.router.add_get(path, self._give_file)
        app.router.add_get("/events", self._give_events)
        app.router.add_get(r"/pictures/{place:\d{1,4}}", self._give_picture)
        return app

    async def _look_until_closed(self) -> None:
        """Look at what the run handed over, often while somebody watches."""
        while not self._closing.is_set():
            if self.state.look(is_watched=bool(self._viewers)):
                self._wake_viewers()
            pause_s = max(1 / PICTURES_PER_S, self.state.sources / MOST_PICTURES_PER_S)
            await _wait(self._closing, pause_s if self._viewers else UNWATCHED_S)

    def _wake_viewers(self) -> None:
        for viewer in self._viewers:
            viewer.changed.set()

    async def _take_leave(self) -> None:
        """Let all viewers hear of the end, and drop those that do not listen."""
        self._wake_viewers()
        if self._busy:
            await _wait(self._idle, FAREWELL_S)
        for transport in self._busy:
            _drop(transport)

    async def _give_file(self, request: web.Request) -> web.StreamResponse:
        body, kind = self._files[request.path]
        return web.Response(body=body, content_type=kind, charset="utf-8")

    async def _give_events(self, request: web.Request) -> web.StreamResponse:
        """Stream events; what a slow viewer misses is replaced by what is newer."""
        if len(self._viewers) >= MOST_VIEWERS:
            raise web.HTTPServiceUnavailable(
                text=f"{MOST_VIEWERS} viewers are here already, which is the most.\n",
                headers={"Retry-After": "10"},
            )
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        with suppress(ConnectionError), self._counted(request) as viewer:
            while True:
                ended = self.state.ended
                news = self.state.news(viewer.seen) or ALIVE
                await _within(self._slow_s, response.write(news), request)
                if ended:
                    break
                await _wait(viewer.changed, ALIVE_S)
                viewer.changed.clear()
            await _within(self._slow_s, response.write_eof(), request)
        return response

    async def _give_picture(self, request: web.Request) -> web.StreamResponse:
        """Give the picture on show of one source."""
        shown = self.state.pictures.give(int(request.match_info["place"]))
        if shown is None:
            raise web.HTTPNotFound(text="There is no picture of this source.\n")
        seq, jpeg = shown
        response = web.Response(
            body=jpeg, content_type="image/jpeg", headers={"Edge-Seq": str(seq)}
        )
        with suppress(ConnectionError), self._at_work(request):
            await response.prepare(request)
            await _within(self._slow_s, response.write_eof(), request)
        return response

    @contextmanager
    def _counted(self, request: web.Request) -> Iterator[_Viewer]:
        """Count a viewer while it is here; the first one is shown pictures at once."""
        viewer = _Viewer()
        self._viewers.add(viewer)
        if self.state.look(is_watched=True):
            self._wake_viewers()
        try:
            with self._at_work(request):
                yield viewer
        finally:
            self._viewers.discard(viewer)

    @contextmanager
    def _at_work(self, request: web.Request) -> Iterator[None]:
        """Note whose connection may have to be cut off at the end."""
        transport = request.transport
        if transport is None:
            raise ConnectionResetError
        self._busy.add(transport)
        self._idle.clear()
        try:
            yield
        finally:
            self._busy.discard(transport)
            if not self._busy:
                self._idle.set()


class _Refused(asyncio.Protocol):
    """A connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Drop it."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        transport.abort()


def _accept(server: web.Server | None) -> asyncio.Protocol:
    if server is None or len(server.connections) >= MOST_CONNECTIONS:
        return _Refused()
    return server()


async def _end_tasks() -> None:
    """Let what still runs, say a connection that was just dropped, come to its end."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)


async def _within(seconds: float, sending: Coroutine[Any, Any, None], request: web.Request) -> None:
    """Send something, or drop a viewer that does not take it."""
    try:
        await asyncio.wait_for(sending, seconds)
    except asyncio.TimeoutError:
        if request.transport is not None:
            _drop(request.transport)
        raise ConnectionResetError from None


def _drop(transport: asyncio.Transport) -> None:
    """End a connection with all that waits to be sent, in the system's memory too."""
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class _OneLine(logging.Filter):
    """Says in one line what aiohttp would tell with a traceback, and nothing of bad requests."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Decide, and shorten."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, (HttpProcessingError, ConnectionError)):
            return False
        record.msg, record.args = (
            "live view: a request failed (%s: %s)",
            (type(error).__name__, error),
        )
        record.exc_info = None
        return True


def _request_log() -> logging.Logger:
    log = logging.getLogger("edge.sinks.web.requests")
    if not log.filters:
        log.addFilter(_OneLine())
    return log
