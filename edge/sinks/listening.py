"""The port of a server of ours: taken in one way, and refused in one line."""

from __future__ import annotations

import errno
import ipaddress
import socket
from dataclasses import dataclass

from edge.errors import InputError
from edge.sinks.address import Address

ELSEWHERE = ("192.0.2.1", 9)
"""An address that no machine has (RFC 5737), to ask which of ours would be used to reach it."""
WAITING = 64
"""Connections that wait to be accepted, and most that are at once."""


@dataclass(frozen=True, slots=True)
class Port:
    """A TCP port that is ours. Who comes before the server does is kept waiting.

    Attributes:
        socket: that the server accepts from.
        asked: where a person wanted it.
    """

    socket: socket.socket
    asked: Address

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return ipaddress.ip_address(self.socket.getsockname()[0]).is_loopback

    @property
    def address(self) -> Address:
        """The address under which others reach it; its port is the real one."""
        host, port = self.socket.getsockname()[:2]
        if ipaddress.ip_address(host).is_unspecified:
            return Address(_own_address(), port)
        return Address(self.asked.host, port)

    def close(self) -> None:
        """Let it go; a second call does nothing."""
        self.socket.close()


def listen(address: Address, option: str) -> Port:
    """Take a port.

    Args:
        address: where.
        option: that it was given for, named in the error.

    Raises:
        InputError: there is no such address here, or the port is taken or not ours to take.
    """
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        server = socket.socket(family, kind, protocol)
        try:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(where)
            server.listen(WAITING)
        except OSError:
            server.close()
            raise
    except (OSError, UnicodeError) as error:
        raise _explain(address, option, error) from error
    return Port(server, address)


def _explain(address: Address, option: str, error: OSError | UnicodeError) -> InputError:
    """Say in one line why nobody can listen there."""
    known = {
        errno.EADDRINUSE: (
            "the port is taken",
            f"Give another one, or see who has it: ss -ltnp sport = :{address.port}",
        ),
        errno.EACCES: ("a port so low is for root alone", "Give one above 1023"),
        errno.EADDRNOTAVAIL: (
            "this machine has no such address",
            "Give one that `ip address` lists, or 0.0.0.0 for all",
        ),
    }  # fmt: skip
    if isinstance(error, (socket.gaierror, UnicodeError)):  # the latter: no name can be so
        wrong, mend = "no such host", "Give an address of this machine, or 0.0.0.0 for all"
    else:
        wrong, mend = known.get(error.errno or 0, (str(error), "Give another address"))
    return InputError(f"{option} {address}: {wrong}", hint=mend)


def _own_address() -> str:
    """Give this machine's address in its network, or its name where it is in none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(ELSEWHERE)  # sends nothing
        except OSError:
            return socket.gethostname()
        host: str = probe.getsockname()[0]
        return host
