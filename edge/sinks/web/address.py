"""Where the live view listens: what a person wrote, its socket, and what a browser is given."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from dataclasses import dataclass

from edge.errors import InputError

HINT = "Write :8080 for this machine alone, 0.0.0.0:8080 for its network"
ELSEWHERE = ("192.0.2.1", 9)
"""An address that no machine has (RFC 5737), to ask which of ours would be used to reach it."""
WAITING = 64
"""Connections that wait to be accepted, and most that are at once."""


@dataclass(frozen=True, slots=True)
class Address:
    """What a person wrote, taken apart.

    Attributes:
        host: a name or an address, without brackets.
        port: 0 lets the system choose.
    """

    host: str
    port: int

    def __str__(self) -> str:
        """Write it as it stands in a URL."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(word: str) -> Address:
    """Take `:8080`, `0.0.0.0:8080`, `[::]:8080` or `name:8080` apart.

    Raises:
        InputError: it is none of these.
    """
    host, colon, port = word.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    is_whole = colon and port.isascii() and port.isdigit() and int(port) <= 65535
    is_named = bare == host or (host == f"[{bare}]" and ":" in bare)
    if not is_whole or not is_named or any(sign in bare for sign in "/@?# []"):
        raise InputError(f"--web {word}: not an address and port", hint=HINT)
    if ":" in host and bare == host:
        raise InputError(
            f"--web {word}: IPv6 is written in brackets", hint=f"Write [{host}]:{port}"
        )
    return Address(bare or "127.0.0.1", int(port))


def listen(address: Address) -> socket.socket:
    """Take the port.

    Raises:
        InputError: there is no such address here, or the port is taken or not ours to take.
    """
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as error:
        raise InputError(f"--web {address}: no such address", hint=HINT) from error
    server = socket.socket(family, kind, protocol)
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(where)
        server.listen(WAITING)
    except OSError as error:
        server.close()
        raise _explain(address, error) from error
    return server


def _explain(address: Address, error: OSError) -> InputError:
    if error.errno == errno.EADDRINUSE:
        return InputError(f"--web {address}: the port is taken", hint="Give another one")
    if error.errno == errno.EACCES:
        return InputError(
            f"--web {address}: ports below 1024 are not yours to take", hint="Give a higher one"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return InputError(f"--web {address}: not an address of this machine", hint=HINT)
    return InputError(f"--web {address}: {os.strerror(error.errno or 0)}", hint=HINT)


def is_loopback(server: socket.socket) -> bool:
    """Tell whether only this machine can reach a socket."""
    return ipaddress.ip_address(server.getsockname()[0]).is_loopback


def address_of(server: socket.socket, asked: Address) -> Address:
    """Give the address under which a socket is reached; its port is the real one."""
    host, port = server.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        return Address(_own_address(), port)
    return Address(asked.host, port)


def _own_address() -> str:
    """Give this machine's address in its network, or its name where it is in none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(ELSEWHERE)  # sends nothing
        except OSError:
            return socket.gethostname()
        host: str = probe.getsockname()[0]
        return host
