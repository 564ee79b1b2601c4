"""Where a server of ours listens: HOST:PORT as a person writes it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edge.errors import InputError

LOOPBACK = "127.0.0.1"
_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.%\w]+\]|[^:\[\]\s]*):(\d{1,5})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a TCP port.

    Attributes:
        host: a name or an address of this machine, without brackets.
        port: 0 lets the system choose.
    """

    host: str
    port: int

    def __str__(self) -> str:
        """Give it as it stands in a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_address(text: str, option: str) -> Address:
    """Read HOST:PORT, [IPV6]:PORT, or :PORT for this machine alone.

    Args:
        text: as given.
        option: that it was given for, named in the error.

    Raises:
        InputError: it is none of them.
    """
    found = _ADDRESS.fullmatch(text)
    if not found or int(found[2]) > 65535:
        raise InputError(
            f"{option} {text}: is no address to listen on",
            hint="Give :PORT for this machine alone, 0.0.0.0:PORT for its network",
        )
    return Address(found[1].strip("[]") or LOOPBACK, int(found[2]))
