"""The socket of the live view: which one is refused, and who can reach it."""

from __future__ import annotations

import socket

import pytest

from edge.errors import InputError
from edge.sinks.address import Address
from edge.sinks.web.listening import address_of, is_loopback, listen


def test_taken_port_is_refused():
    with listen(Address("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        with pytest.raises(InputError, match=f"--web 127.0.0.1:{port}: the port is taken"):
            listen(Address("127.0.0.1", port))


@pytest.mark.parametrize(
    ("host", "said"),
    [("192.0.2.77", "this machine has no such address"), ("no-such.invalid", "no such host")],
)
def test_address_of_elsewhere_is_refused(host, said):
    with pytest.raises(InputError, match=said):
        listen(Address(host, 0))


@pytest.mark.parametrize(("host", "alone"), [("127.0.0.1", True), ("0.0.0.0", False)])
def test_loopback_is_told_by_the_socket(host, alone):
    with listen(Address(host, 0)) as server:
        assert is_loopback(server) is alone


def test_address_for_a_browser_is_one_that_answers():
    with listen(Address("0.0.0.0", 0)) as server:
        shown = address_of(server, Address("0.0.0.0", 0))
        assert shown.host != "0.0.0.0"
        with socket.create_connection((shown.host, shown.port), timeout=30):
            pass
