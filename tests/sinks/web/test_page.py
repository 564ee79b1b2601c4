"""The page in a real browser: what it shows, and what it says when the run is gone."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import urlsplit

import numpy as np
import pytest
from browser import find_chromium, open_page
from doubles import DEADLINE_S
from samples import make_record, make_snapshot, make_status
from viewers import open_view, port_of

from edge.camera.demo import list_photographs
from edge.frame import Frame
from edge.record import (
    BoardReading,
    Clock,
    PowerReading,
    SourceCounts,
    StageTimes,
    Unavailable,
)

CHROMIUM = find_chromium()
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here (apt-get install chromium-headless-shell)"
)

POWER = PowerReading(7250.0, 7000.0, 20.0, "VDD_IN", rails_mw={"VDD_SOC": 1500.0})
BOARD = BoardReading(
    {"cpu-thermal": 48.0, "gpu-thermal": 61.5},
    (Clock("cpu0", 1500.0, 100.0, 1728.0), Clock("gpu", 612.0, 306.0, 1020.0)),
    throttling=("gpu-thermal",),
    throttles=1,
)


class Run:
    """Plays a run at some ten frames a second until it is ended; a test changes what it shows."""

    def __init__(self, sink, names=("scripted",)):
        self.sink = sink
        self.changes = {name: {} for name in names}
        self.snapshot = {}
        self.label = "apple"
        self.began_s = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._play)
        self._thread.start()

    def _play(self):
        seq = 0
        while not self._stop.wait(0.1):
            seq += 1
            for name in self.changes:
                self.sink.take_record(self._record(name, seq))
            sources = [make_status(name, **changes) for name, changes in self.changes.items()]
            fields = {"sources": tuple(sources), "elapsed_s": self.began_s + seq / 2, "frames": seq}
            self.sink.take_snapshot(make_snapshot(**{**fields, **self.snapshot}))

    def _record(self, name, seq):
        pixels = np.full((48, 64, 3), (40, 90, 200), np.uint8)
        times = StageTimes(0, 0, 0, 0, 0, 0, (seq % 7 + 4) * 1_000_000)
        record = make_record((self.label, 0.75), ("bird", 0.2))
        return replace(record, frame=Frame(pixels, seq, 0, 0, name), times=times)

    def end(self):
        self._stop.set()
        self._thread.join()
        self.sink.close()


@contextmanager
def running(address=":0", **options):
    with open_view(address) as sink:
        run = Run(sink, **options)
        try:
            yield run
        finally:
            run.end()


@pytest.fixture(scope="module")
def chromium():
    with open_page(CHROMIUM) as page:
        yield page


@pytest.fixture
def page(chromium):
    """Give an empty tab that must not complain; a test that breaks the line empties the list."""
    chromium.resize(1400, 900)
    chromium.complaints.clear()
    yield chromium
    chromium.open("about:blank")
    # The browser itself notes each try to find a run that is away.
    assert [said for said in chromium.complaints if "net::ERR_" not in said] == []


def text(selector):
    return f"(document.querySelector({selector!r})?.innerText ?? '')"


def test_page_shows_picture_guesses_and_figures(page):
    with running() as run:
        run.snapshot = {"power": POWER, "board": BOARD}
        page.open(run.sink.url)
        page.wait_for(f"{text('.guesses')}.startsWith('apple\\n75.0 %\\nbird')")
        page.wait_for("document.querySelector('canvas').width === 64")
        pixel = (
            "[...document.querySelector('canvas').getContext('2d').getImageData(9, 9, 1, 1).data]"
        )
        assert np.abs(np.subtract(page.ask(pixel), (200, 90, 40, 255))).max() < 6
        assert page.ask(text("#source")) == "scripted"
        assert page.ask(text("#with")) == "small on null"
        assert page.ask(text("#fps")) == "29.9"
        assert page.ask(text("#power")) == "7.25"
        assert page.ask(text("#heat")) == "61.5"
        assert page.ask(text("#mode")) == "Throttled: gpu-thermal"
        assert page.ask("document.querySelectorAll('#stages tr').length") == 8
        assert "1500 of 1728 MHz" in page.ask(text("#machine"))
        assert "1.50 W" in page.ask(text("#readings"))
        page.wait_for("document.querySelectorAll('rect.throttled').length > 3")
        assert page.ask(text("#link")) == "Connected"
        run.label = "cup"
        page.wait_for(f"{text('.guesses')}.startsWith('cup')")


def test_page_says_what_is_not_available(page):
    with running() as run:
        run.snapshot = {"board": Unavailable("no thermal zone here")}
        page.open(run.sink.url)
        page.wait_for(f"{text('#energy')} === 'no power rail and no RAPL on this machine'")
        assert page.ask(text("#power")) == "\u2013"
        assert page.ask(text("#mode")) == "no thermal zone here"
        page.wait_for("document.querySelector('.chart[data-kind=age] .line')")
        assert page.ask("document.querySelector('.chart[data-kind=power]').hidden") is True


def test_page_shows_each_of_several_sources(page):
    with running(names=("door", "gate", "roof")) as run:
        lost = {"state": "reconnecting", "problem": "no route to host", "frames": 0}
        run.changes["gate"] = {**lost, "counts": SourceCounts(reconnects=2)}
        page.open(run.sink.url)
        page.wait_for("document.querySelectorAll('.source').length === 3")
        page.wait_for(f"{text('.source:nth-child(2)')}.includes('no route to host')")
        tile = page.ask(text(".source:nth-child(2)"))
        assert "gate" in tile
        assert "reconnecting" in tile
        assert "2\u00a0reconnects" in tile
        page.wait_for("document.querySelector('.source:nth-child(3) canvas').width === 64")
        run.changes["gate"] = {}
        page.wait_for(f"{text('#said')}.startsWith('gate: live')")


def test_page_says_that_the_run_has_ended_and_shows_the_next_one(page):
    with running() as run:
        port = port_of(run.sink)
        page.open(run.sink.url)
        page.wait_for(f"{text('.guesses')}.startsWith('apple')")
    page.wait_for(f"{text('#notice')}.startsWith('The run has ended')")
    assert page.ask(text("#link")) == "Ended"
    assert page.ask(text(".guesses")).startswith("apple")
    with running(f"127.0.0.1:{port}") as run:
        run.label = "cup"
        page.wait_for(f"{text('.guesses')}.startsWith('cup')")
        assert page.ask("document.getElementById('notice').hidden") is True


@contextmanager
def edge_run(address):
    """Give the URL and the process of a real run of the demo."""
    command = [sys.executable, "-m", "edge", "run", "demo", "--web", address]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            line = process.stderr.readline()
            assert line.startswith("edge: live view at http://127.0.0.1:"), line
            yield line.split()[-1], process
        finally:
            process.kill()


def test_page_follows_a_run_that_is_killed_started_again_and_stopped(page):
    with edge_run(":0") as (url, process):
        page.open(url)
        labels = [photograph.label for photograph in list_photographs()]
        page.wait_for(f"{labels}.some((one) => {text('.guesses')}.startsWith(one))")
        page.wait_for("document.querySelector('canvas').width === 640")
        assert page.ask(text("#with")) == "squeezenet8-int8 on openvino"
        assert page.complaints == []
        process.kill()
        page.wait_for(f"{text('#link')} === 'Connection lost'")
        assert page.ask(text("#notice")).startswith("The connection is lost")
    with edge_run(urlsplit(url).netloc) as (_, process):
        page.wait_for(f"{text('#link')} === 'Connected'")
        process.send_signal(signal.SIGINT)
        page.wait_for(f"{text('#link')} === 'Ended'")
        assert process.wait(DEADLINE_S) == 0


def test_token_leaves_the_address_bar_and_stays_in_a_cookie(page):
    with running("0.0.0.0:0") as run:
        page.open(run.sink.url)
        page.wait_for(f"{text('.guesses')}.startsWith('apple')")
        assert page.ask("location.pathname + location.search") == "/"
        assert page.ask("document.cookie") == ""
        page.open(run.sink.url.split("?")[0])
        page.wait_for(f"{text('.guesses')}.startsWith('apple')")


def test_whoever_comes_without_the_token_is_asked_for_it(page):
    with running("0.0.0.0:0") as run:
        url, token = run.sink.url.split("?token=")
        page.open(url)
        page.wait_for(f"{text('h1')} === 'This view needs a token'")
        page.complaints.clear()  # of the status 401
        page.ask(f"document.getElementById('token').value = {token!r}")
        page.ask("document.querySelector('button').click()")
        page.wait_for(f"{text('.guesses')}.startsWith('apple')")


@pytest.mark.parametrize("width", [380, 820, 1400])
def test_page_fits_and_nothing_jumps_while_figures_change(page, width):
    """The places of all parts are the same before and after the figures grew."""
    places = (
        "[...document.querySelectorAll('.card, .value, .guesses li, .chart, tr')]"
        ".map((one) => { const box = one.getBoundingClientRect();"
        " return [box.x, box.y, box.width, box.height].map(Math.round).join() }).join(' ')"
    )
    with running() as run:
        run.snapshot = {"power": POWER, "board": BOARD, "fps": 9.5, "dropped": 0}
        page.resize(width, 900)
        page.open(run.sink.url)
        page.wait_for("document.querySelector('.chart[data-kind=heat] .line')")
        page.wait_for(f"{text('#fps')} === '9.5'")
        before = page.ask(places)
        assert page.ask("document.documentElement.scrollWidth <= innerWidth") is True
        hot = BoardReading({"cpu-thermal": 101.0, "gpu-thermal": 99.0}, BOARD.clocks, throttles=12)
        power = replace(POWER, power_mw=12_345.6)
        run.snapshot = {"power": power, "board": hot, "fps": 1234.5, "dropped": 12_345}
        run.changes["scripted"] = {"counts": SourceCounts(dropped=12_345, reconnects=3)}
        run.label = "a label that is much longer than any other one and does not fit into its place"
        page.wait_for(f"{text('#fps')} === '1234.5'")
        page.wait_for(f"{text('.guesses')}.startsWith('a label')")
        assert page.ask(places) == before


def test_chart_is_read_with_the_keyboard(page):
    with running() as run:
        run.snapshot = {"board": BOARD}
        page.open(run.sink.url)
        page.wait_for("document.querySelectorAll('rect.throttled').length > 2")
        page.ask("document.getElementById('timeline').focus()")
        page.press("Home")
        page.wait_for(f"{text('#at')}.startsWith('at 0:00:0')")
        assert "throttled by gpu-thermal" in page.ask(
            "document.getElementById('reading').textContent"
        )
        page.press("Escape")
        page.wait_for(f"{text('#at')} === ''")


def test_chart_begins_anew_when_the_run_does_with_another_engine(page):
    with running() as run:
        run.began_s = 7_200.0
        page.open(run.sink.url)
        page.wait_for("document.querySelector('.chart .line')")
        run.began_s = 0.0
        page.ask("document.getElementById('timeline').focus()")
        at = "document.getElementById('at').textContent"
        for key in ("End", "Home"):
            event = f"new KeyboardEvent('keydown', {{key: {key!r}, bubbles: true}})"
            page.wait_for(
                f"(document.activeElement.dispatchEvent({event}), {at}.startsWith('at 0:00:'))"
            )
