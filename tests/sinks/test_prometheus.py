"""Prometheus: what it is told, judged by its own tools, and how the run lives with it."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from shutil import which
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from samples import FULL_BOARD, FULL_POWER, ROOT, make_record, make_snapshot, make_status

from edge.errors import InputError
from edge.record import BoardReading, Clock, RunInfo, SourceCounts, Unavailable
from edge.sinks.address import Address, parse_address
from edge.sinks.listening import listen
from edge.sinks.metrics import BOUNDS_MS, TOGETHER, RunMetrics
from edge.sinks.prometheus import PrometheusSink

DEADLINE_S = 60
ANY_PORT = Address("127.0.0.1", 0)
INFO = RunInfo("scripted", "small", "null", 5, "1.2.3")
ABOUT = {"version": "1.2.3", "model": "small", "engine": "null"}
DROPPED = {"rows.jsonl": 12}
DASHBOARD = ROOT / "docs" / "grafana-edge.json"
NAME = re.compile(r"\bedge_\w+")


@contextmanager
def serving(*snapshots, records=(), address=ANY_PORT):
    with closing(
        PrometheusSink(listen(address, "--metrics"), lambda: INFO, lambda: DROPPED)
    ) as sink:
        for record in records:
            sink.take_record(record)
        for snapshot in snapshots:
            sink.take_snapshot(snapshot)
        yield sink


def scrape(sink):
    with urlopen(f"http://{sink.address}/metrics", timeout=DEADLINE_S) as answer:
        return answer.read().decode()


def full_snapshot(**changes):
    counts = SourceCounts(4, 3, 2, 1, 5, 6)
    sources = (
        make_status("rtsp://door", counts=counts),
        make_status('a "b"\n\\', state="reconnecting", problem="no route", frames=9),
    )
    return make_snapshot(
        **{"sources": sources, "power": FULL_POWER, "board": FULL_BOARD, **changes}
    )


def samples(text):
    """Give each sample as (name, labels) to value."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_figures_of_a_snapshot_are_told_in_base_units():
    with serving(full_snapshot()) as sink:
        told = samples(scrape(sink))
    door = ("source", "rtsp://door")
    total = ("total", "VDD_IN (module)")
    expected = {
        ("edge_info", tuple(sorted(ABOUT.items()))): 1,
        ("edge_run_seconds", ()): 2.5,
        ("edge_frames_total", (door,)): 75,
        ("edge_frames_total", (("source", 'a "b"\n\\'),)): 9,
        ("edge_frames_dropped_total", (door,)): 4,
        ("edge_frames_duplicate_total", (door,)): 3,
        ("edge_frames_out_of_order_total", (door,)): 2,
        ("edge_frames_unreadable_total", (door,)): 1,
        ("edge_rows_dropped_total", (("file", "rows.jsonl"),)): 12,
        ("edge_source_stalls_total", (door,)): 5,
        ("edge_source_reconnects_total", (door,)): 6,
        ("edge_source_up", (door,)): 1,
        ("edge_source_up", (("source", 'a "b"\n\\'),)): 0,
        ("edge_source_state", (door, ("state", "live"))): 1,
        ("edge_source_state", (door, ("state", "lost"))): 0,
        ("edge_power_watts", (total,)): 4.96,
        ("edge_rail_power_watts", (("rail", "VDD_CPU_GPU_CV"),)): 0.52,
        ("edge_power_idle_watts", ()): 3.5,
        ("edge_energy_joules_total", (total,)): 12.25,
        ("edge_energy_error_joules", ()): 0.125,
        ("edge_power_sampler_ratio", ()): 0.002,
        ("edge_temperature_celsius", (("zone", "cpu-thermal"),)): 48.5,
        ("edge_clock_hertz", (("clock", "gpu"),)): 918e6,
        ("edge_clock_hertz", (("clock", "emc"),)): 3199e6,
        ("edge_clock_min_hertz", (("clock", "gpu"),)): 306e6,
        ("edge_clock_max_hertz", (("clock", "gpu"),)): 1020e6,
        ("edge_gpu_load_ratio", ()): 0.35,
        ("edge_power_mode_info", (("mode", "MAXN_SUPER (2)"),)): 1,
        ("edge_clocks_locked", ()): 0,
        ("edge_throttling", (("cause", "over-current 2"),)): 1,
        ("edge_throttles_total", ()): 3,
    }
    assert {key: told.get(key) for key in expected} == expected


def test_what_is_not_known_is_absent_and_never_zero():
    dark = Unavailable("not here")
    bare = BoardReading({}, clocks=(Clock("gpu", 918.0),))
    with serving(full_snapshot(power=dark, board=dark)) as sink:
        names = {name for name, _ in samples(scrape(sink))}
        sink.take_snapshot(full_snapshot(power=replace(FULL_POWER, idle_mw=None), board=bare))
        told = samples(scrape(sink))
    measured = ("power", "energy", "temperature", "clock", "gpu", "throttl", "rail")
    assert not [name for name in names if name.startswith("edge_") and any(
        word in name for word in measured)]  # fmt: skip
    assert ("edge_rail_power_watts", (("rail", "VDD_SOC"),)) not in told
    absent = {"edge_power_idle_watts", "edge_gpu_load_ratio", "edge_power_mode_info",
              "edge_clocks_locked", "edge_clock_max_hertz", "edge_throttling"}  # fmt: skip
    assert not absent & {name for name, _ in told}


def test_name_that_is_no_utf8_is_told_with_an_escape():
    record = make_record(("apple", 1.0))
    record = replace(record, frame=replace(record.frame, source="\udcff"))
    with serving(make_snapshot(sources=(make_status("\udcff"),)), records=[record]) as sink:
        told = samples(scrape(sink))
    source = ("source", "\\udcff")
    assert told["edge_frames_total", (source,)] == 75
    assert told["edge_end_to_end_seconds_sum", (source,)] == pytest.approx(0.004321)


def test_only_the_program_and_no_figure_is_told_before_the_first_snapshot():
    with serving() as sink:
        told = samples(scrape(sink))
    edge = {name for name, _ in told if not name.startswith(("process_", "edge_stage_"))}
    assert edge == {"edge_info"}


def latencies(*age_ms):
    times = make_record(("apple", 1.0)).times
    for ms in age_ms:
        record = make_record(("apple", 1.0))
        yield replace(record, times=replace(times, age_ns=round(ms * 1e6)))


@given(st.lists(st.floats(-1, 10_000), max_size=2 * TOGETHER))
def test_histogram_counts_each_frame_under_its_bounds(ages_ms):
    metrics = RunMetrics()
    for record in latencies(*ages_ms):
        metrics.add(record)
    metrics.update(make_snapshot(), INFO, {})
    registry = CollectorRegistry()
    registry.register(metrics)
    told = samples(generate_latest(registry).decode())
    source = ("source", "scripted")
    for bound_ms in (*BOUNDS_MS, float("inf")):
        label = ("le", "+Inf" if bound_ms == float("inf") else str(bound_ms / 1000))
        below = sum(round(ms * 1e6) <= bound_ms * 1e6 for ms in ages_ms)
        assert told.get(("edge_end_to_end_seconds_bucket", (label, source)), 0) == below
    total = told.get(("edge_end_to_end_seconds_sum", (source,)), 0)
    assert total == pytest.approx(sum(max(0, ms) for ms in ages_ms) / 1000, abs=1e-6)
    assert told["edge_stage_seconds_count", (("stage", "infer"),)] == len(ages_ms)


def test_scrape_sees_all_records_up_to_the_snapshot_while_others_come():
    """Several scrapers at once, beside the loop: each sees a whole histogram."""
    seen, stop = [], threading.Event()

    def watch(sink):
        while not stop.is_set():
            told = samples(scrape(sink))
            count = told.get(("edge_end_to_end_seconds_count", (("source", "scripted"),)), 0)
            whole = ("edge_end_to_end_seconds_bucket", (("le", "+Inf"), ("source", "scripted")))
            seen.append((count, told.get(whole, 0)))

    with serving() as sink:
        watchers = [threading.Thread(target=watch, args=(sink,)) for _ in range(3)]
        for watcher in watchers:
            watcher.start()
        for record in latencies(*[1.0] * 2000):
            sink.take_record(record)
        sink.take_snapshot(make_snapshot())
        last = samples(scrape(sink))
        stop.set()
        for watcher in watchers:
            watcher.join(DEADLINE_S)
    assert last["edge_end_to_end_seconds_count", (("source", "scripted"),)] == 2000
    assert seen
    assert all(count == whole for count, whole in seen)


def test_port_is_free_again_after_close():
    with serving() as first:
        address = first.address
        scrape(first)
        first.close()
    with serving(address=address) as second:
        scrape(second)
    with pytest.raises(URLError):
        scrape(second)


def test_client_that_says_nothing_stops_neither_scrapes_nor_the_end():
    with serving(make_snapshot()) as sink:
        mute = socket.create_connection((sink.address.host, sink.address.port))
        assert "edge_frames_total" in scrape(sink)
    mute.close()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0.0.0.0:9464", Address("0.0.0.0", 9464)),
        ("127.0.0.1:0", Address("127.0.0.1", 0)),
        ("board.local:9464", Address("board.local", 9464)),
        ("[::1]:9464", Address("::1", 9464)),
    ],
)
def test_address_is_read_and_shown(text, address):
    assert parse_address(text, "--metrics") == address
    assert str(address) == text


def test_address_without_a_host_is_of_this_machine_alone():
    assert parse_address(":9464", "--metrics") == Address("127.0.0.1", 9464)


@given(st.text(alphabet="0123456789:[].ab -", max_size=20))
def test_address_is_read_or_refused(text):
    try:
        address = parse_address(text, "--metrics")
    except InputError:
        return
    assert 0 <= address.port <= 65535


@pytest.mark.parametrize(("host", "asked"), [("0.0.0.0", "127.0.0.1"), ("::1", "::1")])
def test_all_addresses_and_ipv6_are_served(host, asked):
    if host == "::1" and not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    with serving(make_snapshot(), address=Address(host, 0)) as sink:
        sink.address = Address(asked, sink.address.port)
        assert "edge_frames_total" in scrape(sink)


def dashboard_queries():
    """Give each query of the dashboard as Prometheus itself would get it."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    texts = [target["expr"] for panel in panels for target in panel["targets"]]
    return [
        text.replace("$__rate_interval", "1m").replace('instance=~"$instance"', 'job="edge"')
        for text in texts
    ]


def test_dashboard_and_page_name_the_metrics_that_are_told():
    with serving(full_snapshot(), records=latencies(1.0)) as sink:
        told = {name for name, _ in samples(scrape(sink)) if name.startswith("edge_")}
    shown = {name for text in dashboard_queries() for name in NAME.findall(text)}
    assert shown - told == set()
    families = {re.sub("_(bucket|sum|count)$", "", name) for name in told}
    page = (ROOT / "docs" / "telemetry.md").read_text()
    assert set(re.findall(r"^\| `(edge_\w+)`", page, re.MULTILINE)) == families


def test_dashboard_shows_what_matters_once_and_overlaps_nothing():
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y)
                 for x in range(place["w"]) for y in range(place["h"])}  # fmt: skip
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def need(program):
    if which(program) is None:
        pytest.skip(f"{program} is not here (apt install prometheus)")


def test_promtool_finds_nothing_to_mend():
    need("promtool")
    with serving(full_snapshot(), records=latencies(1.0, 20.0)) as sink:
        text = scrape(sink)
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


CONFIG = """
scrape_configs:
  - job_name: edge
    scrape_interval: 250ms
    static_configs:
      - targets: ["{address}"]
"""


@contextmanager
def real_prometheus(folder, address):
    """Run the real server on a free loopback port; gives what asks it a query."""
    (folder / "prometheus.yml").write_text(CONFIG.format(address=address))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = ["--config.file=prometheus.yml", "--storage.tsdb.path=data",
             f"--web.listen-address=127.0.0.1:{port}"]  # fmt: skip
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(["prometheus", *words], cwd=folder, stdout=log, stderr=log)

    def ask(query):
        try:
            url = f"http://127.0.0.1:{port}/api/v1/query?query={quote(query)}"
            with urlopen(url, timeout=DEADLINE_S) as answer:
                return json.load(answer)["data"]["result"]
        except URLError as error:
            is_up = isinstance(error, HTTPError) and error.code != HTTPStatus.SERVICE_UNAVAILABLE
            if is_up:  # and refuses the query
                raise
            assert process.poll() is None, (folder / "log").read_text()
            return []

    try:
        yield ask
    finally:
        process.terminate()
        process.wait(DEADLINE_S)


def until(answer):
    """Ask again until there is an answer."""
    deadline_s = time.monotonic() + DEADLINE_S
    while not (found := answer()):
        assert time.monotonic() < deadline_s
        time.sleep(0.1)
    return found


def test_real_prometheus_scrapes_a_run_and_answers_the_dashboard(tmp_path):
    need("prometheus")
    words = ["-v", "run", "demo", "--engine", "null", "--metrics", "127.0.0.1:0"]
    with subprocess.Popen(
        [sys.executable, "-m", "edge", *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True,
    ) as run:  # fmt: skip
        try:
            said = run.stderr.readline()
            address = re.fullmatch(r"edge: metrics at http://(.+)/metrics\n", said)[1]
            with real_prometheus(tmp_path, address) as ask:
                until(lambda: ask("rate(edge_frames_total[1m]) > 0"))
                (frames,) = ask("edge_frames_total")
                (p99,) = ask("histogram_quantile(0.99, rate(edge_end_to_end_seconds_bucket[1m]))")
                assert frames["metric"]["source"] == "demo"
                assert 0 < float(p99["value"][1]) < 5
                assert ask('edge_info{engine="null"}')
                assert (
                    ask("edge_power_watts") == []
                    or float(ask("edge_power_watts")[0]["value"][1]) > 0
                )
                for query in dashboard_queries():
                    ask(query)  # an HTTP error, where it is no PromQL
        finally:
            run.terminate()
            run.stderr.read()
    assert run.returncode == 0
