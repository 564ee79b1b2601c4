"""A run that publishes to a real Mosquitto, which is absent, locked, killed and started again."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest
from doubles import DEADLINE_S
from samples import make_picture, make_record, make_snapshot
from servers.mosquitto import PASSWORD, USER, WHY_NOT, Listener, Mosquitto, make_certificates

from edge.backoff import Backoff
from edge.errors import InputError
from edge.record import Summary
from edge.schema import frame_row, snapshot_row, summary_row
from edge.sinks.homeassistant import discovery, discovery_topic
from edge.sinks.mqtt import MQTTSink
from edge.sinks.mqtt_link import IN_FLIGHT
from edge.sinks.mqtt_url import parse_broker

pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))

SOON = Backoff(first_s=0.05, most_s=0.2)


@pytest.fixture
def broker(tmp_path_factory):
    with Mosquitto(tmp_path_factory.mktemp("broker")) as started:
        yield started


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("tls") / "certificates")


def open_sink(address, **environment):
    return closing(MQTTSink(parse_broker(address, environment), SOON))


def record_of(number):
    record = make_record(("apple", 0.75))
    return replace(record, frame=replace(record.frame, seq=number))


def seqs_of(heard):
    return [json.loads(text)["seq"] for topic, text in heard if topic == "door/frame"]


def url_of(broker, query=""):
    return f"mqtt://127.0.0.1:{broker.port}/door{query}"


@contextmanager
def free_port():
    with closing(socket.create_server(("127.0.0.1", 0))) as holder:
        yield holder.getsockname()[1]


@pytest.mark.parametrize("qos", [0, 1])
def test_frames_state_and_summary_arrive_as_the_schema_has_them(broker, qos):
    snapshot = make_snapshot()
    with Listener(broker.port) as ear, open_sink(url_of(broker, f"?qos={qos}")) as sink:
        for number in range(50):
            sink.take_record(record_of(number))
        sink.take_snapshot(snapshot)
        sink.take_summary(Summary(snapshot, ()))
        sink.close()
        ear.wait_for_last("door/status", "offline")
        heard = ear.heard
    assert seqs_of(heard) == list(range(50))
    assert json.loads(dict(heard)["door/frame"]) == frame_row(record_of(49))
    state, summary = (json.loads(dict(heard)[f"door/{name}"]) for name in ("snapshot", "summary"))
    assert state == snapshot_row(snapshot)
    assert summary == summary_row(Summary(snapshot, ()))
    assert dict(heard)["door/dropped"] == "0"
    assert [text for topic, text in heard if topic == "door/status"] == ["online", "offline"]


def test_who_comes_later_gets_state_summary_and_status_at_once(broker):
    with open_sink(url_of(broker, "?discovery=homeassistant")) as sink:
        sink.take_record(record_of(1))
        sink.take_snapshot(make_snapshot())
        sink.take_summary(Summary(make_snapshot(), ()))
    with Listener(broker.port) as ear:
        heard = dict(ear.wait_for(lambda heard: len(heard) == 5))
    found = discovery_topic("door")
    assert set(heard) == {"door/snapshot", "door/summary", "door/status", "door/dropped", found}
    told = json.loads(heard[found])
    assert told == discovery("door", ["scripted"], told["origin"]["sw_version"])
    assert (told["availability_topic"], heard["door/status"]) == ("door/status", "offline")


def test_state_is_published_once_a_second(broker):
    with Listener(broker.port) as ear, open_sink(url_of(broker)) as sink:
        for quarter in range(9):
            sink.take_snapshot(make_snapshot(elapsed_s=quarter / 4))
            count = quarter // 4 + 1
            ear.wait_for(lambda heard, n=count: [t for t, _ in heard].count("door/snapshot") == n)
    times = [state["elapsed_s"] for state in ear.payloads("door/snapshot")]
    assert times == [0.0, 1.0, 2.0]


def test_state_goes_on_when_the_run_does_with_another_engine(broker):
    with Listener(broker.port) as ear, open_sink(url_of(broker)) as sink:
        for elapsed_s in (7_200.0, 0.25):
            sink.take_snapshot(make_snapshot(elapsed_s=elapsed_s))
            ear.wait_for(lambda heard, told_s=elapsed_s: any(
                topic == "door/snapshot" and json.loads(text)["elapsed_s"] == told_s
                for topic, text in heard))  # fmt: skip


def test_killed_broker_loses_nothing_that_fits_into_the_buffer(broker, caplog):
    """The broker dies in the middle of the frames, and most of them are made while it is dead."""
    with Listener(broker.port) as ear, open_sink(url_of(broker)) as sink:
        broker.save()  # it knows the listener then, and keeps for it what comes before it
        for number in range(300):
            sink.take_record(record_of(number))
        ear.wait_for(lambda heard: len(seqs_of(heard)) > 100)
        broker.kill()
        for number in range(300, 2000):
            sink.take_record(record_of(number))
        broker.start()
        heard = ear.wait_for(lambda heard: 1999 in seqs_of(heard))
        sink.close()
    seqs = seqs_of(heard)
    first_times = list(dict.fromkeys(seqs))
    assert first_times == list(range(2000))
    assert len(seqs) - len(first_times) <= IN_FLIGHT  # sent again, for nothing had confirmed them
    assert "dropped" not in caplog.text
    assert caplog.messages.count(f"{url_of(broker)}: the connection was lost. Trying again") == 1


def test_oldest_frames_are_dropped_and_counted_where_the_buffer_is_too_small(tmp_path, caplog):
    (tmp_path / "broker").mkdir()
    broker = Mosquitto(tmp_path / "broker")
    with open_sink(url_of(broker, "?buffer=100")) as sink:
        for number in range(250):
            sink.take_record(record_of(number))
            sink.take_snapshot(make_snapshot())
        sink.take_summary(Summary(make_snapshot(), ()))
        with broker, Listener(broker.port, "door/#") as ear:
            heard = ear.wait_for(lambda heard: 249 in seqs_of(heard))
            ear.wait_for_last("door/dropped", "150")
            sink.take_snapshot(make_snapshot())
            sink.close()
    # The listener may have come after the first of them, which are gone then.
    assert seqs_of(heard) == list(range(250))[-len(seqs_of(heard)) :]
    assert seqs_of(heard)[0] >= 150
    name = url_of(broker)
    assert [text for text in caplog.messages if "refused" not in text] == [
        f"{name}: the buffer of 100 frames is full, the oldest are dropped",
        f"{name}: 150 frames dropped so far",
        f"{name}: 100 frames sent, 150 dropped, 0 left unsent at the end",
    ]


def test_broker_that_hangs_holds_up_nobody_and_gets_all_when_it_goes_on(broker):
    with Listener(broker.port) as ear, open_sink(url_of(broker)) as sink:
        sink.take_record(record_of(0))
        ear.wait_for(lambda heard: 0 in seqs_of(heard))
        broker.hang()
        for number in range(1, 1000):
            sink.take_record(record_of(number))
        assert sink._outbox.waiting > 900
        broker.resume()
        heard = ear.wait_for(lambda heard: 999 in seqs_of(heard))
    assert seqs_of(heard) == list(range(1000))


def test_run_ends_in_time_at_a_broker_that_hangs(broker, caplog):
    with Listener(broker.port) as ear:
        with open_sink(url_of(broker)) as sink:
            sink.take_record(record_of(0))
            ear.wait_for(lambda heard: 0 in seqs_of(heard))
            broker.hang()
            for number in range(1, 101):
                sink.take_record(record_of(number))
        broker.resume()
        ear.wait_for_last("door/status", "offline")
    assert f"{url_of(broker)}: 1 frames sent, 0 dropped, 100 left unsent at the end" in (
        caplog.messages
    )


def test_absent_broker_is_told_once_and_holds_up_nobody(caplog):
    with free_port() as port:
        holder = port
    with open_sink(f"mqtt://127.0.0.1:{holder}/door") as sink:
        for number in range(30):
            sink.take_record(record_of(number))
    name = f"mqtt://127.0.0.1:{holder}/door"
    assert caplog.messages == [
        f"{name}: connection refused. Trying again",
        f"{name}: 0 frames sent, 0 dropped, 30 left unsent at the end",
    ]


def test_password_opens_a_locked_broker(tmp_path):
    with Mosquitto(tmp_path, secured=True) as broker:
        address = url_of(broker).replace("//", f"//{USER}@")
        with open_sink(address, EDGE_MQTT_PASSWORD=PASSWORD) as sink:
            sink.take_record(record_of(0))
            sink.close()
            assert (sink._link.sent, sink._outbox.waiting) == (1, 0)


def test_wrong_password_is_told_in_one_line_without_it(tmp_path, caplog):
    with Mosquitto(tmp_path, secured=True) as broker:
        environment = {"EDGE_MQTT_USERNAME": USER, "EDGE_MQTT_PASSWORD": "wr0ng"}
        with open_sink(url_of(broker), **environment) as sink:
            sink.take_record(record_of(0))
        told, left = caplog.messages
        assert told == (
            f"{url_of(broker)}: refused: not authorized."
            " Check EDGE_MQTT_USERNAME and EDGE_MQTT_PASSWORD. Trying again"
        )
        assert left == f"{url_of(broker)}: 0 frames sent, 0 dropped, 1 left unsent at the end"
        assert "wr0ng" not in caplog.text


def test_frames_go_through_tls_to_a_broker_that_is_trusted(tmp_path, certificates):
    with Mosquitto(tmp_path, certificates=certificates) as broker:
        address = url_of(broker).replace("mqtt:", "mqtts:")
        with open_sink(address, EDGE_MQTT_CA=str(certificates / "ca.pem")) as sink:
            for number in range(2000):
                sink.take_record(record_of(number))
            sink.close()
            assert (sink._link.sent, sink._outbox.dropped) == (2000, 0)


# paho leaves the socket of a failed handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_stranger_s_certificate_is_refused_in_one_line(tmp_path, certificates, caplog):
    with Mosquitto(tmp_path, certificates=certificates) as broker:
        address = url_of(broker).replace("mqtt:", "mqtts:")
        with open_sink(address) as sink:
            sink.take_record(record_of(0))
    told, left = caplog.messages
    assert told == (
        f"{address}: its certificate is refused: unable to get local issuer certificate."
        " Trying again"
    )
    assert left.endswith("1 left unsent at the end")


@pytest.mark.parametrize("name", ["CA", "CERT"])
def test_file_that_is_no_certificate_is_refused_at_once(tmp_path, name):
    (tmp_path / "x.pem").write_text("none")
    environment = {f"EDGE_MQTT_{name}": str(tmp_path / "x.pem")}
    with pytest.raises(InputError, match=r"x\.pem: cannot be used as a certificate"):
        MQTTSink(parse_broker("mqtts://127.0.0.1/door", environment))


def start(*words, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "edge", "run", "demo", "--engine", "null", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **environment},
    )  # fmt: skip


def test_last_will_tells_that_a_run_was_killed(broker):
    with Listener(broker.port) as ear:
        with start("--mqtt", url_of(broker)) as process:
            ear.wait_for(lambda heard: len(seqs_of(heard)) > 3)
            ear.wait_for_last("door/status", "online")
            process.kill()
        ear.wait_for_last("door/status", "offline")


def test_run_publishes_and_says_in_its_summary_what_it_saw(broker, edge, tmp_path):
    make_picture(tmp_path / "one.png")
    with Listener(broker.port) as ear:
        done = edge("run", "one.png", "--engine", "null", "--mqtt", url_of(broker))
        ear.wait_for_last("door/status", "offline")
    assert (done.returncode, done.stderr) == (0, "")
    (row,), (summary,) = ear.payloads("door/frame"), ear.payloads("door/summary")
    assert (row["file"], row["source"]) == ("one.png", "one.png")
    assert (summary["frames"], summary["seen"][0]["what"]) == (1, "one.png")


def test_run_goes_on_without_its_broker_and_publishes_when_it_comes(tmp_path):
    broker = Mosquitto(tmp_path)
    with start("--mqtt", url_of(broker)) as process:
        assert "connection refused. Trying again" in process.stderr.readline()
        with broker, Listener(broker.port) as ear:
            ear.wait_for(lambda heard: len(seqs_of(heard)) > 3)
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=DEADLINE_S)
            ear.wait_for_last("door/status", "offline")
    assert process.returncode == 0


def test_password_in_the_address_is_refused_by_the_command(edge):
    done = edge("run", "demo", "--engine", "null", "--mqtt", "mqtt://me:S3cret@host/door")
    assert done.returncode == 1
    assert done.stderr.startswith("edge: mqtt://host/door: a password in the address")
    assert "S3cret" not in done.stderr
