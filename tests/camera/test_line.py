"""The line that the tests of cameras cut and mend does so itself."""

from __future__ import annotations

import socket
import threading

import pytest
from doubles import DEADLINE_S
from servers.line import Line


@pytest.fixture
def echo():
    """A server that sends back what it gets; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(client,), daemon=True).start()

        def answer(client):
            with client:
                while data := client.recv(4096):
                    client.sendall(data)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(DEADLINE_S)


def connect(line):
    return socket.create_connection(("127.0.0.1", line.port), timeout=DEADLINE_S)


def test_line_relays_then_is_cut_and_mended(echo):
    with Line(echo) as line:
        with connect(line) as end:
            end.sendall(b"hello")
            assert end.recv(5) == b"hello"
            line.set_fault("cut")
            assert end.recv(5) == b""
        line.set_fault("none")
        with connect(line) as end:
            end.sendall(b"again")
            assert end.recv(5) == b"again"
        assert line.connections >= 2


def test_stalled_line_keeps_what_was_sent_until_it_is_mended(echo):
    with Line(echo) as line, connect(line) as end:
        end.sendall(b"one")
        assert end.recv(3) == b"one"
        line.set_fault("stall")
        end.sendall(b"two")
        line.set_fault("none")
        assert end.recv(3) == b"two"


def test_garbled_line_changes_bytes_but_not_their_number(echo):
    sent = bytes(200_000)
    with Line(echo, seed=1) as line, connect(line) as end:
        line.set_fault("garble")
        sender = threading.Thread(target=end.sendall, args=(sent,))
        sender.start()
        got = b""
        while len(got) < len(sent):
            got += end.recv(65_536)
        sender.join()
    assert len(got) == len(sent)
    assert got != sent
