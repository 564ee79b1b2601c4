"""A live view to test, and viewers of it that speak plain HTTP."""

from __future__ import annotations

import json
import socket
from contextlib import closing, contextmanager
from dataclasses import replace
from http.client import HTTPConnection, HTTPResponse
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from doubles import DEADLINE_S
from samples import make_record, make_snapshot, make_status

from edge.frame import Frame
from edge.record import RunInfo
from edge.sinks.address import parse_address
from edge.sinks.listening import listen
from edge.sinks.web.sink import WebSink

if TYPE_CHECKING:
    from collections.abc import Iterator

INFO = RunInfo("scripted", "small", "null", 3, "1.2.3")


@contextmanager
def open_view(address: str = ":0", *, token: str | None = None) -> Iterator[WebSink]:
    with (
        closing(listen(parse_address(address, "--web"), "--web")) as port,
        closing(WebSink(port, lambda: INFO, token)) as sink,
    ):
        yield sink


def port_of(sink: WebSink) -> int:
    return urlsplit(sink.url).port


def show(sink: WebSink, data, *, seq: int = 0, source: str = "scripted", **changes) -> None:
    """Let a run tell one record of a picture, and where it stands."""
    small = make_record(("apple", 0.75), ("bird", 0.2), ("cup", 0.05))
    record = replace(small, frame=Frame(data, seq, 0, 0, source))
    sink.take_record(record)
    fields = {"sources": (make_status(source, latest=record),), "latest": record}
    sink.take_snapshot(make_snapshot(**{**fields, **changes}))


def ask(sink: WebSink, path: str, *, method: str = "GET", **headers: str) -> HTTPResponse:
    """Make one request; the body is read."""
    connection = HTTPConnection("127.0.0.1", port_of(sink), timeout=DEADLINE_S)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, headers=names)
    answer = connection.getresponse()
    answer.body = answer.read()
    connection.close()
    return answer


class Viewer:
    """Listens to the events."""

    def __init__(self, sink: WebSink, **headers: str) -> None:
        self._connection = HTTPConnection("127.0.0.1", port_of(sink), timeout=DEADLINE_S)
        self._connection.request("GET", "/events", headers=headers)
        self.answer = self._connection.getresponse()

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.answer.close()
        self._connection.close()

    def hear(self) -> Iterator[tuple[str, object]]:
        """Give each event's name and data until the stream ends."""
        name = ""
        for line in self.answer:
            word, _, rest = line.decode().rstrip("\n").partition(": ")
            if word == "event":
                name = rest
            elif word == "data":
                yield name, json.loads(rest)

    def wait_for(self, wanted: str) -> object:
        """Give the data of the next event of that name."""
        return next(data for name, data in self.hear() if name == wanted)


def open_deaf(sink: WebSink, request: bytes) -> socket.socket:
    """Connect, ask, and never read."""
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect(("127.0.0.1", port_of(sink)))
    deaf.sendall(request)
    return deaf
