"""The end of sd_notify's socket that systemd has."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from doubles import DEADLINE_S

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Self


class NotifySocket:
    """Hears what a service tells of itself.

    Args:
        address: a path that is free; a text that begins with @ is abstract.
        patience_s: how long to wait for a message.
    """

    def __init__(self, address: Path | str, patience_s: float = DEADLINE_S) -> None:
        self.address = str(address)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address.replace("@", "\0", 1))
        self._patience_s = patience_s
        self._socket.settimeout(patience_s)

    def hear(self) -> dict[str, str]:
        """Give the next message."""
        return dict(line.split("=", 1) for line in self._socket.recv(65536).decode().splitlines())

    def hear_until(self, name: str) -> list[dict[str, str]]:
        """Give all messages up to one that says this."""
        heard = [self.hear()]
        while name not in heard[-1]:
            heard.append(self.hear())
        return heard

    def is_silent(self, for_s: float) -> bool:
        """Tell whether nothing more comes for so long; what came before is left aside."""
        self._socket.setblocking(False)
        try:
            while True:
                self._socket.recv(65536)
        except BlockingIOError:
            self._socket.settimeout(for_s)
        try:
            self._socket.recv(65536)
        except TimeoutError:
            return True
        finally:
            self._socket.settimeout(self._patience_s)
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
