"""Answers Prometheus while a run goes on."""

from __future__ import annotations

import errno
import logging
import socket
import sys
import threading
from http.server import ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, MetricsHandler, ProcessCollector

from edge.errors import InputError
from edge.sinks.address import Address
from edge.sinks.metrics import RunMetrics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge.record import FrameRecord, Snapshot

POLL_S = 0.1
"""So long may a stop take to be seen."""

_LOGGER = logging.getLogger(__name__)


class PrometheusSink:
    """Serves the newest snapshot and the latency histograms at http://HOST:PORT/metrics.

    A scrape is answered by a thread of its own, and what goes wrong in it is its own failure: the
    run goes on.

    Args:
        address: where to listen.
        about: gives version, model and engine, the labels of `edge_info`.
        dropped_rows: gives how many rows each file was too slow for so far.

    Raises:
        InputError: nobody can listen there.
    """

    def __init__(
        self,
        address: Address,
        about: Callable[[], Mapping[str, str]],
        dropped_rows: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._metrics = RunMetrics()
        self._about = about  # asked again and again: a lost engine is replaced by another one
        self._dropped_rows = dropped_rows
        self._metrics.update(None, about(), dropped_rows())
        registry = CollectorRegistry()
        registry.register(self._metrics)
        ProcessCollector(registry=registry)
        handler: type[MetricsHandler] = type("_Scrape", (_Scrape,), {"registry": registry})
        try:
            self._server = _Server(address, handler)
        except (OSError, UnicodeError) as error:
            raise _explain(address, error) from error
        self.address = Address(address.host, self._server.server_address[1])
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
        self._metrics.update(snapshot, self._about(), self._dropped_rows())

    def close(self) -> None:
        """Free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Scrape(MetricsHandler):
    timeout = 10  # seconds: who connects and says nothing holds no thread for ever


class _Server(ThreadingHTTPServer):
    daemon_threads = True  # a scraper that hangs does not keep the process

    def __init__(self, address: Address, handler: type[MetricsHandler]) -> None:
        if ":" in address.host:
            self.address_family = socket.AF_INET6
        super().__init__((address.host, address.port), handler)

    def server_bind(self) -> None:
        # HTTPServer asks the name service for our full name here, which may take a minute.
        TCPServer.server_bind(self)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002 - the library's signature
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            _LOGGER.debug("a scraper went away: %s", error)
        else:
            _LOGGER.warning("a scrape failed: %s", error)


def _explain(address: Address, error: OSError | UnicodeError) -> InputError:
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
    return InputError(f"--metrics {address}: {wrong}", hint=mend)
