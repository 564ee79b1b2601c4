"""The ports of our servers: which one is refused, and who can reach it."""

from __future__ import annotations

import errno
import socket
from contextlib import closing
from pathlib import Path

import pytest

from edge.errors import InputError
from edge.sinks.address import Address
from edge.sinks.listening import listen

HAS_IPV6 = Path("/proc/net/if_inet6").exists()


def taken(host):
    return closing(listen(Address(host, 0), "--web"))


def test_port_that_is_taken_is_told_in_one_line():
    with taken("127.0.0.1") as first:
        port = first.address.port
        with pytest.raises(InputError) as told:
            listen(Address("127.0.0.1", port), "--metrics")
    assert str(told.value) == (
        f"--metrics 127.0.0.1:{port}: the port is taken."
        f" Give another one, or see who has it: ss -ltnp sport = :{port}"
    )


@pytest.mark.parametrize(
    ("host", "said"),
    [("192.0.2.77", "this machine has no such address"), ("no-such.invalid", "no such host")],
)
def test_address_of_elsewhere_is_refused(host, said):
    with pytest.raises(InputError, match=said):
        listen(Address(host, 0), "--web")


def test_machine_without_ipv6_is_told_in_one_line(monkeypatch):
    def refuse(*_):
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr(socket, "socket", refuse)
    with pytest.raises(InputError, match=r"--web \[::1\]:0: .*Address family not supported"):
        listen(Address("::1", 0), "--web")


@pytest.mark.parametrize(("host", "alone"), [("127.0.0.1", True), ("0.0.0.0", False)])
def test_loopback_is_told_by_the_socket(host, alone):
    with taken(host) as port:
        assert port.is_loopback is alone


@pytest.mark.parametrize("host", ["0.0.0.0", "localhost", "::1", "::"])
def test_address_that_is_told_is_one_that_answers(host):
    if ":" in host and not HAS_IPV6:
        pytest.skip("this machine has no IPv6")
    with taken(host) as port:
        shown = port.address
        assert shown.host not in {"0.0.0.0", "::"}
        with socket.create_connection((shown.host, shown.port), timeout=30):
            pass
