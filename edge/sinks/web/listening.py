"""The socket of the live view, who can reach it, and what a browser is given for it."""

from __future__ import annotations

import ipaddress
import socket

from edge.sinks.address import Address, explain_refusal

ELSEWHERE = ("192.0.2.1", 9)
"""An address that no machine has (RFC 5737), to ask which of ours would be used to reach it."""
WAITING = 64
"""Connections that wait to be accepted, and most that are at once."""


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
        raise explain_refusal(address, "--web", error) from error
    server = socket.socket(family, kind, protocol)
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(where)
        server.listen(WAITING)
    except OSError as error:
        server.close()
        raise explain_refusal(address, "--web", error) from error
    return server


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
