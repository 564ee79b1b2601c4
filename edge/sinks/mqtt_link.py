"""Carries messages to an MQTT broker from a thread of its own, and comes back when it is lost."""

from __future__ import annotations

import logging
import select
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from paho.mqtt.client import MQTT_ERR_SUCCESS, Client
from paho.mqtt.enums import CallbackAPIVersion

from edge.backoff import Backoff
from edge.errors import InputError
from edge.sinks.outbox import Message, Outbox

if TYPE_CHECKING:
    from paho.mqtt.client import ConnectFlags, DisconnectFlags
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

    from edge.sinks.mqtt_url import Broker

log = logging.getLogger(__name__)

IN_FLIGHT = 20
"""Messages that the broker has not confirmed; as many again as `BrokerOptions.buffer` may wait."""

KEEP_ALIVE_S = 30
CONNECT_S = 5.0
LEAVE_S = 1.5
AWAY_S = 0.2
"""How long the owner waits at the end for what is still to be sent; the second where the broker is
known to be away, and gets one more try."""

LOOK_S = 0.02
"""How often the thread looks into the outbox: the loop would pay for waking it at every frame."""

WAITS = Backoff(first_s=0.5, most_s=30.0)
NOT_AUTHORIZED = (134, 135)
"""Wrong user name or password, and not authorised, as paho numbers them."""


class MQTTLink:
    """Sends what an outbox holds, in order, for as long as it takes.

    Only its own thread talks to the broker. What the broker did not confirm is sent again after a
    loss, so that it may come twice; with QoS 0 it is lost and counted.

    Args:
        broker: where to.
        outbox: what to send.
        status_topic: tells "online", and by the broker itself "offline" once the line is lost.
        backoff: how long to wait between two tries.

    Raises:
        InputError: a certificate or key cannot be used.
    """

    def __init__(
        self, broker: Broker, outbox: Outbox, status_topic: str, backoff: Backoff = WAITS
    ) -> None:
        self._broker = broker
        self._outbox = outbox
        self._status_topic = status_topic
        self._backoff = backoff
        self._connected = False
        self._said_farewell = False
        self._reason = ""
        self._told = ""
        self._unconfirmed: dict[int, Message] = {}
        self.sent = 0
        self.error: Exception | None = None
        self._closing = threading.Event()
        self._deadline_s = float("inf")
        self._client = self._make_client()
        self._thread = threading.Thread(target=self._work, name="mqtt", daemon=True)

    def start(self) -> None:
        """Begin to connect; does not wait for it."""
        self._thread.start()

    def close(self) -> None:
        """Send what is left as far as that goes in time; what cannot be sent counts as lost."""
        leave_s = AWAY_S if self._told else LEAVE_S
        self._deadline_s = time.monotonic() + leave_s
        self._closing.set()
        # A name server or a handshake may take longer; the thread dies with the process then.
        self._thread.join(leave_s + AWAY_S)

    @property
    def unconfirmed(self) -> int:
        """Frames that were sent, and of which the broker said nothing."""
        return sum(not message.retained for message in self._unconfirmed.copy().values())

    def _make_client(self) -> Client:
        broker = self._broker
        client = Client(CallbackAPIVersion.VERSION2, client_id=f"edge-{uuid4().hex[:12]}")
        client.max_inflight_messages_set(IN_FLIGHT)
        client.connect_timeout = CONNECT_S
        client.will_set(self._status_topic, b"offline", qos=1, retain=True)
        if broker.user is not None:
            client.username_pw_set(broker.user, broker.password)
        if broker.encrypted:
            client.tls_set_context(_open_trust(broker))
        client.on_connect = self._note_connection
        client.on_publish = self._note_confirmation
        client.on_disconnect = self._note_loss
        client.connect_async(broker.host, broker.port, KEEP_ALIVE_S)
        return client

    def _work(self) -> None:
        try:
            self._carry()
        except Exception as error:  # noqa: BLE001 - the owner raises it in its own thread
            self.error = error

    def _carry(self) -> None:
        failures = 0
        while not self._is_over():
            self._reason, was_connected = "no answer", False
            try:
                self._client.reconnect()
                was_connected = self._serve()
            except OSError as error:
                self._reason = _explain(error)
            if self._said_farewell:
                return
            if self._told != self._reason:
                self._told = self._reason
                log.warning("%s: %s. Trying again", self._broker, self._reason)
            failures = 1 if was_connected else failures + 1
            self._pause(self._backoff.wait_s(failures))

    def _pause(self, wait_s: float) -> None:
        """Wait before the next try; the end of the run cuts this short once."""
        if self._closing.is_set():
            time.sleep(min(wait_s, max(0.0, self._deadline_s - time.monotonic())))
        else:
            self._closing.wait(wait_s)

    def _is_over(self) -> bool:
        return time.monotonic() >= self._deadline_s

    def _serve(self) -> bool:
        """Move messages until the connection ends; gives whether there was one."""
        was_connected = False
        while self._client.socket() is not None:
            if self._connected:
                was_connected = True
                self._feed()
                if self._closing.is_set():
                    self._leave()
            if self._is_over():
                break
            self._sleep()
            self._client.loop(0)
        return was_connected

    def _sleep(self) -> None:
        """Wait until the broker has something new, or the outbox may have."""
        line = self._client.socket()
        if line is None or (isinstance(line, ssl.SSLSocket) and line.pending()):
            return
        writing = [line.fileno()] if self._client.want_write() else []
        select.select([line.fileno()], writing, [], LOOK_S)

    def _feed(self) -> None:
        """Hand over as much as may be in flight."""
        while len(self._unconfirmed) < IN_FLIGHT and (message := self._outbox.take()):
            self._publish(message)

    def _publish(self, message: Message) -> None:
        qos = 1 if message.retained else self._broker.options.qos
        info = self._client.publish(message.topic, message.payload, qos, message.retained)
        if qos == 0 and info.rc != MQTT_ERR_SUCCESS:
            self._outbox.count_lost(1)
        elif qos == 0 and info.is_published():
            self.sent += 1
        else:
            self._unconfirmed[info.mid] = message

    def _leave(self) -> None:
        """Leave in good order once all is sent or time is over.

        The broker does not tell the last will of a client that leaves so.
        """
        is_over = self._is_over()
        is_done = not self._unconfirmed and self._outbox.empty
        if self._said_farewell and is_done:
            self._client.disconnect()
        elif not self._said_farewell and (is_done or is_over):
            self._said_farewell = True
            self._publish(Message(self._status_topic, b"offline", retained=True))
        if is_over:
            self._client.disconnect()

    def _note_connection(
        self, _client: Client, _userdata: Any, _flags: ConnectFlags,  # noqa: ANN401 - paho's own
        code: ReasonCode, _properties: Properties | None,
    ) -> None:  # fmt: skip
        if code.is_failure:
            self._reason = f"refused: {code.getName().lower()}"
            if code.value in NOT_AUTHORIZED:
                self._reason += ". Check EDGE_MQTT_USERNAME and EDGE_MQTT_PASSWORD"
            return
        self._connected, self._reason, self._told = True, "the connection was lost", ""
        log.info("%s: connected", self._broker)
        self._outbox.keep(self._status_topic, b"online")

    def _note_confirmation(
        self, _client: Client, _userdata: Any, mid: int,  # noqa: ANN401 - paho's own
        _code: ReasonCode, _properties: Properties | None,
    ) -> None:  # fmt: skip
        message = self._unconfirmed.pop(mid, None)
        if message is not None and not message.retained:
            self.sent += 1

    def _note_loss(
        self, _client: Client, _userdata: Any, _flags: DisconnectFlags,  # noqa: ANN401 - paho's own
        _code: ReasonCode, _properties: Properties | None,
    ) -> None:  # fmt: skip
        self._connected = False
        if self._broker.options.qos == 0:
            frames = [mid for mid, message in self._unconfirmed.items() if not message.retained]
            for mid in frames:
                del self._unconfirmed[mid]
            self._outbox.count_lost(len(frames))


def _open_trust(broker: Broker) -> ssl.SSLContext:
    """Say whom to trust, and who we are."""
    path: str | None = broker.ca
    try:
        context = ssl.create_default_context(cafile=path)
        if broker.cert is not None:
            path = broker.cert
            context.load_cert_chain(broker.cert, broker.key)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: cannot be used as a certificate ({_explain(error)})",
            hint="Check the files that EDGE_MQTT_CA, EDGE_MQTT_CERT and EDGE_MQTT_KEY name",
        ) from error
    return context


def _explain(error: Exception) -> str:
    """Say in a few words why a connection failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"no TLS connection ({(error.reason or 'no reason told').replace('_', ' ').lower()})"
    if isinstance(error, socket.gaierror):
        return "no such host"
    if isinstance(error, TimeoutError):
        return "no answer"
    return (getattr(error, "strerror", None) or str(error)).lower()
