"""What the live view costs a run: no view, a view that nobody opened, one viewer, ten viewers.

    python benchmarks/web_viewers.py VIDEO [--engine openvino] [--seconds 5] [--rounds 5]

Each round runs `edge run VIDEO` over and over in every way, in turn, so that a noisy machine hurts
all alike. A viewer is a process that does what the page does: it reads the events and fetches each
picture it hears of. Printed are medians over the rounds, with the least and the most; the frame
rate, the latency of the loop, and what one frame costs the sink itself.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import statistics
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from edge.camera.base import connect
from edge.camera.capture import Capture
from edge.camera.round_robin import RoundRobin
from edge.camera.url import parse_source
from edge.engine.base import open_engine
from edge.loop import LoopOptions, run_loop
from edge.model.zoo import resolve_model
from edge.record import Unavailable
from edge.sinks.web.address import parse_address
from edge.sinks.web.sink import WebSink
from edge.sinks.web.state import RunInfo

if TYPE_CHECKING:
    from edge.record import FrameRecord, Snapshot
