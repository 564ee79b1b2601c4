"""Answers Prometheus while a run goes on."""

from __future__ import annotations

import logging
import sys
import threading
from http.server import ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, MetricsHandler, ProcessCollector

from edge.sinks.metrics import RunMetrics

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

    from edge.record import FrameRecord, RunInfo, Snapshot
    from edge.sinks.listening import Port

POLL_S = 0.1
"""So long may a stop take to be seen."""

_LOGGER = logging.getLogger(__name__)


class PrometheusSink:
    """Serves the newest snapshot and the latency histograms at http://HOST:PORT/metrics.

    A scrape is answered by a thread of its own, and what goes wrong in it is its own failure: the
    run goes on.

    Args:
        port: where others come; closed with this.
        describe: says what runs now.
        dropped_rows: gives how many rows each file was too slow for so far.
    """

    def __init__(
        self,
        port: Port,
        describe: Callable[[], RunInfo],
        dropped_rows: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._metrics = RunMetrics()
        self._describe = describe  # asked again and again: a lost engine is replaced by another one
        self._dropped_rows = dropped_rows
        self._metrics.update(None, describe(), dropped_rows())
        registry = CollectorRegistry()
        registry.register(self._metrics)
        ProcessCollector(registry=registry)
        handler: type[MetricsHandler] = type("_Scrape", (_Scrape,), {"registry": registry})
        self._server = _Server(port.socket, handler)
        self.address = port.address
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(POLL_S,), name="metrics", daemon=True
        )
        self._thread.start()
        _LOGGER.info("metrics at http://%s/metrics", self.address)

    def take_record(self, record: FrameRecord) -> None:
        """Take its times."""
        self._metrics.add(record)

    def take_snapshot(self, snapshot: Snapshot) -> None:
        """Keep it for the next scrape."""
        self._metrics.update(snapshot, self._describe(), self._dropped_rows())

    def close(self) -> None:
        """Free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Scrape(MetricsHandler):
    timeout = 10  # seconds: who connects and says nothing holds no thread for ever


class _Server(ThreadingHTTPServer):
    daemon_threads = True  # a scraper that hangs does not keep the process

    def __init__(self, listening: socket.socket, handler: type[MetricsHandler]) -> None:
        super().__init__(listening.getsockname()[:2], handler, bind_and_activate=False)
        self.socket.close()  # made for whoever has none yet
        self.socket = listening

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002 - the library's signature
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            _LOGGER.debug("a scraper went away: %s", error)
        else:
            _LOGGER.warning("a scrape failed: %s", error)
