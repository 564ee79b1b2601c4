"""Publishes frames, the state of a run and its summary to an MQTT broker."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from edge import __version__
from edge.schema import frame_row, snapshot_row, summary_row
from edge.sinks.homeassistant import discovery, discovery_topic
from edge.sinks.mqtt_link import WAITS, MQTTLink
from edge.sinks.outbox import Outbox
from edge.sinks.pace import Pace

if TYPE_CHECKING:
    from edge.backoff import Backoff
    from edge.record import FrameRecord, Snapshot, Summary
    from edge.schema import Row
    from edge.sinks.mqtt_url import Broker

log = logging.getLogger(__name__)

EVERY_S = 1.0

_to_json = json.JSONEncoder(ensure_ascii=False).encode  # `json.dumps` makes one each time


class MQTTSink:
    """Publishes below a topic, and never keeps the run waiting.

    `frame` is each classified frame; `snapshot` once a second, `summary` at the end, `status`
    ("online" or "offline") and `dropped` (frames that nobody will get) are retained, so that
    whoever comes later gets the newest at once. While the broker is away the newest frames wait,
    and are published in their order when it is back.

    Args:
        broker: where to.
        backoff: how long to wait between two tries.

    Raises:
        InputError: a certificate or key cannot be used.
    """

    def __init__(self, broker: Broker, backoff: Backoff = WAITS) -> None:
        self._broker = broker
        self._outbox = Outbox(broker.options.buffer)
        self._link = MQTTLink(broker, self._outbox, f"{broker.topic}/status", backoff)
        self._frame_topic = f"{broker.topic}/frame"
        self._pace = Pace(EVERY_S)
        self._is_discovered = broker.options.discovery is None
        self._told_dropped = 0
        self._is_dropping = False
        self._is_closed = False
        self._link.start()

    def take_record(self, record: FrameRecord) -> None:
        """Let one frame wait for the broker."""
        self._outbox.put(self._frame_topic, _encode(frame_row(record)))

    def take_snapshot(self, snapshot: Snapshot) -> None:
        """Publish the state when a second has gone by.

        Raises:
            Exception: a bug of ours stopped the thread.
        """
        if self._link.error is not None:
            raise self._link.error
        self._tell_drops()
        if not self._is_discovered:
            self._is_discovered = True
            self._discover([source.name for source in snapshot.sources])
        if self._pace.is_due(snapshot.elapsed_s):
            self._keep("snapshot", snapshot_row(snapshot))

    def take_summary(self, summary: Summary) -> None:
        """Publish how the run went."""
        self._keep("summary", summary_row(summary))

    def close(self) -> None:
        """Send what is left, for a moment, and say what was not; a second call does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        self._link.close()
        left = self._outbox.waiting + self._link.unconfirmed
        dropped = self._outbox.dropped
        if left or dropped:
            log.warning("%s: %d frames sent, %d dropped, %d left unsent at the end",
                        self._broker, self._link.sent, dropped, left)  # fmt: skip
        else:
            log.info("%s: %d frames sent", self._broker, self._link.sent)

    def _keep(self, name: str, row: Row) -> None:
        topic = self._broker.topic
        self._outbox.keep(f"{topic}/{name}", _encode(row))
        self._outbox.keep(f"{topic}/dropped", str(self._outbox.dropped).encode())

    def _tell_drops(self) -> None:
        """Say when frames begin to be dropped, and what it came to when none wait any more."""
        dropped = self._outbox.dropped
        if dropped > self._told_dropped and not self._is_dropping:
            self._is_dropping = True
            log.warning("%s: the buffer of %d frames is full, the oldest are dropped",
                        self._broker, self._broker.options.buffer)  # fmt: skip
        elif self._is_dropping and not self._outbox.waiting:
            self._is_dropping = False
            log.warning("%s: %d frames dropped so far", self._broker, dropped)
            self._told_dropped = dropped

    def _discover(self, sources: list[str]) -> None:
        topic = self._broker.topic
        self._outbox.keep(discovery_topic(topic), _encode(discovery(topic, sources, __version__)))


def _encode(row: Row) -> bytes:
    """Give JSON in UTF-8; a file name may be no text."""
    return _to_json(row).encode(errors="backslashreplace")
