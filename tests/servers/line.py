"""A network line between a camera and edge that a test can cut, stall, garble and mend."""

from __future__ import annotations

import random
import selectors
import socket
import threading
from contextlib import suppress
from typing import Literal

Fault = Literal["none", "cut", "stall", "garble"]

CHUNK_BYTES = 65_536
GARBLED_SHARE = 0.3


class Line:
    """Relays TCP connections to a server on this machine, or does not.

    Faults: "cut" closes all connections and takes no new ones, "stall" keeps them open and moves
    nothing, "garble" overwrites bytes of what the server sends.

    Args:
        port: of the server, on loopback.
        seed: of the garbling.
    """

    def __init__(self, port: int, seed: int = 0) -> None:
        self._server_port = port
        self._random = random.Random(seed)
        self._fault: Fault = "none"
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._ends: dict[socket.socket, socket.socket] = {}
        self._from_server: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self._held = _bind(0)  # never listens: while the line is cut, nobody else gets the port
        self.port = self._held.getsockname()[1]
        self._listen()
        self.connections = 0
        self._closing = False
        self._followed = threading.Event()
        self._thread = threading.Thread(target=self._relay, name="line", daemon=True)

    def __enter__(self) -> Line:  # noqa: PYI034 - Self is newer than Python 3.10
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        self._wake.send(b"x")
        self._thread.join()
        self._hang_up()
        self._unlisten()
        for end in (self._wake, self._woken, self._held):
            end.close()
        self._selector.close()

    def set_fault(self, fault: Fault) -> None:
        """Change what the line does; it does so when this returns."""
        self._followed.clear()
        self._fault = fault
        self._wake.send(b"x")
        self._followed.wait()

    def _listen(self) -> None:
        self._listener = _bind(self.port)
        self._listener.listen()
        self._selector.register(self._listener, selectors.EVENT_READ)

    def _unlisten(self) -> None:
        if self._listener is not None:
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = None

    def _relay(self) -> None:
        while not self._closing:
            for key, _ in self._selector.select():
                if key.fileobj is self._woken:
                    self._woken.recv(4096)
                    self._follow()
                    self._followed.set()
                elif key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj in self._ends:
                    self._move(key.fileobj)

    def _follow(self) -> None:
        """Do what the present fault asks for."""
        if self._fault == "cut":
            self._hang_up()
            self._unlisten()
        elif self._listener is None:
            self._listen()
        for end in self._ends:
            watched = end in self._selector.get_map()
            if self._fault == "stall" and watched:
                self._selector.unregister(end)
            elif self._fault != "stall" and not watched:
                self._selector.register(end, selectors.EVENT_READ)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        self.connections += 1
        try:
            server = socket.create_connection(("127.0.0.1", self._server_port), timeout=5)
        except OSError:
            client.close()
            return
        for end, other in ((client, server), (server, client)):
            end.settimeout(5)
            self._ends[end] = other
            if self._fault != "stall":
                self._selector.register(end, selectors.EVENT_READ)
        self._from_server.add(server)

    def _move(self, end: socket.socket) -> None:
        data = b""
        with suppress(OSError):
            data = end.recv(CHUNK_BYTES)
        if data and self._fault == "garble" and end in self._from_server:
            data = self._garble(data)
        try:
            if data:
                self._ends[end].sendall(data)
                return
        except OSError:
            pass
        self._drop(end)

    def _garble(self, data: bytes) -> bytes:
        if self._random.random() > GARBLED_SHARE:
            return data
        broken = bytearray(data)
        for _ in range(1 + len(data) // 500):
            broken[self._random.randrange(len(data))] = self._random.randrange(256)
        return bytes(broken)

    def _drop(self, end: socket.socket) -> None:
        for one in (end, self._ends[end]):
            if one in self._selector.get_map():
                self._selector.unregister(one)
            self._ends.pop(one, None)
            self._from_server.discard(one)
            one.close()

    def _hang_up(self) -> None:
        while self._ends:
            self._drop(next(iter(self._ends)))


def _bind(port: int) -> socket.socket:
    """Take a port of loopback that other sockets made here may share; 0 for any."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(("127.0.0.1", port))
    return made
