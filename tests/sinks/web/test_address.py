"""Where the live view listens: what a person may write, and what is refused."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import InputError
from edge.sinks.web.address import Address, address_of, is_loopback, listen, parse_address

PORTS = st.integers(0, 65535)


@pytest.mark.parametrize(
    ("word", "address"),
    [
        (":8080", Address("127.0.0.1", 8080)),
        ("0.0.0.0:80", Address("0.0.0.0", 80)),
        ("[::1]:8080", Address("::1", 8080)),
        ("[::]:0", Address("::", 0)),
        ("board.local:8080", Address("board.local", 8080)),
    ],
)
def test_address_is_taken_apart(word, address):
    assert parse_address(word) == address


@given(st.sampled_from(["127.0.0.1", "0.0.0.0", "::1", "fe80::1", "board"]), PORTS)
def test_address_reads_back_as_it_is_written(host, port):
    assert parse_address(str(Address(host, port))) == Address(host, port)


@pytest.mark.parametrize(
    "word", ["", ":", "8080", "host", ":65536", ":-1", ":8o8o", ":²", "a/b:80", "u@h:80", "[]:80x"]
)
def test_what_is_no_address_is_refused(word):
    with pytest.raises(InputError, match="not an address and port"):
        parse_address(word)


@given(st.text(max_size=20))
def test_any_text_is_an_address_or_refused(word):
    try:
        address = parse_address(word)
    except InputError:
        return
    assert 0 <= address.port <= 65535


def test_ipv6_without_brackets_is_refused_with_them():
    with pytest.raises(InputError, match=r"Write \[::1\]:80"):
        parse_address("::1:80")


def test_taken_port_is_refused():
    with listen(Address("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        with pytest.raises(InputError, match=f"--web 127.0.0.1:{port}: the port is taken"):
            listen(Address("127.0.0.1", port))


@pytest.mark.parametrize(
    ("host", "said"),
    [("192.0.2.77", "not an address of this machine"), ("no-such.invalid", "no such address")],
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
