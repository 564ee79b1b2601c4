"""A real Mosquitto on loopback that a test kills and starts again, and who listens to it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING
from uuid import uuid4

from doubles import DEADLINE_S
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Self

PROGRAM = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
WHY_NOT = None if PROGRAM else "mosquitto is not here, a broker of MQTT"
USER, PASSWORD = "camera", "S3cret"


class Mosquitto:
    """A broker that a test starts, hangs, kills and starts again on the same port.

    Args:
        folder: empty; holds its settings and its sessions.
        secured: it wants `USER` with `PASSWORD`.
        certificates: its certificate and key as "server.pem" and "server.key"; None for no TLS.
    """

    def __init__(
        self, folder: Path, *, secured: bool = False, certificates: Path | None = None
    ) -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as holder:
            self.port = holder.getsockname()[1]
        lines = [
            f"listener {self.port} 127.0.0.1", "persistence true",
            f"persistence_location {folder}/", "autosave_interval 0",
            "max_inflight_messages 0", "max_queued_messages 0", "queue_qos0_messages true",
            "log_dest stderr",  # its stdout is kept back in a pipe
        ]  # fmt: skip
        if os.geteuid() == 0:
            lines.append("user root")  # it would lose its folder otherwise
        if secured:
            passwords = folder / "passwords"
            command = ["mosquitto_passwd", "-b", "-c", str(passwords), USER, PASSWORD]
            subprocess.run(command, check=True, capture_output=True)
            lines.append(f"password_file {passwords}")
        lines.append(f"allow_anonymous {str(not secured).lower()}")
        if certificates:
            lines += [f"certfile {certificates}/server.pem", f"keyfile {certificates}/server.key"]
        self._saved = folder / "mosquitto.db"
        self._settings = folder / "mosquitto.conf"
        self._settings.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it on its port and wait until it listens."""
        self._process = subprocess.Popen(
            [PROGRAM, "-c", str(self._settings)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        said = []
        while line := self._process.stdout.readline():
            said.append(line)
            if line.rstrip().endswith(" running"):
                threading.Thread(target=self._drain, args=[self._process], daemon=True).start()
                return
        raise RuntimeError("".join(said))

    @staticmethod
    def _drain(process: subprocess.Popen[str]) -> None:
        """Keep its pipe from filling."""
        with process.stdout as pipe:
            for _ in pipe:
                pass

    def save(self) -> None:
        """Let it write its sessions to the disk, for the next `start`."""
        self._saved.unlink(missing_ok=True)
        self._process.send_signal(signal.SIGUSR1)
        deadline_s = time.monotonic() + DEADLINE_S
        while not self._saved.exists():
            assert time.monotonic() < deadline_s
            time.sleep(0.01)

    def hang(self) -> None:
        """Stop it in the middle of its work."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `hang`."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it by SIGKILL; a second call does nothing."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


class Listener:
    """A subscriber that keeps all it hears, over restarts of the broker too.

    It listens with QoS 0, so that the broker has passed on whatever it confirmed to a publisher.
    With QoS 1 there would be more under way between broker and listener, which goes down with the
    broker and says nothing of the publisher.
    """

    def __init__(self, port: int, topics: str = "#") -> None:
        self.heard: list[tuple[str, str]] = []
        self._changed = threading.Condition()
        self._subscribed = threading.Event()
        self._topics = topics
        self._client = Client(
            CallbackAPIVersion.VERSION2, client_id=f"ear-{uuid4().hex[:8]}", clean_session=False
        )
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe(self._topics, 0)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._hear
        self._port = port

    def _hear(self, _client: Client, _userdata: object, message) -> None:
        with self._changed:
            self.heard.append((message.topic, message.payload.decode()))
            self._changed.notify_all()

    def wait_for(self, is_enough) -> list[tuple[str, str]]:
        """Give what was heard as soon as `is_enough` says so of it."""
        with self._changed:
            come = self._changed.wait_for(lambda: is_enough(self.heard), DEADLINE_S)
            assert come, self.heard[-3:]
            return list(self.heard)

    def wait_for_last(self, topic: str, payload: str) -> None:
        """Wait until this is the newest of a topic."""
        self.wait_for(
            lambda heard: [text for name, text in heard if name == topic][-1:] == [payload]
        )

    def payloads(self, topic: str) -> list[dict]:
        """Give what was heard of a topic so far, as JSON."""
        return [json.loads(text) for name, text in list(self.heard) if name == topic]

    def __enter__(self) -> Self:
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        assert self._subscribed.wait(DEADLINE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        # Its last socket is closed with it, and in a cycle with us that may come after the socket's
        # own end, which Python then complains of.
        del self._client


def make_certificates(folder: Path) -> Path:
    """Make an authority (ca.pem) and a server's certificate and key for 127.0.0.1."""
    folder.mkdir()
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "2"]  # fmt: skip
    ca = ["-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority"]
    server = ["-keyout", "server.key", "-out", "server.pem", "-subj", "/CN=broker",
              "-addext", "subjectAltName=IP:127.0.0.1", "-CA", "ca.pem", "-CAkey", "ca.key",
              "-addext", "basicConstraints=critical,CA:FALSE"]  # fmt: skip
    for words in (ca, server):
        subprocess.run([*make, *words], cwd=folder, check=True, capture_output=True)
    return folder
