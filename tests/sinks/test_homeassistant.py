"""What Home Assistant is told: the golden, and what its templates make of real states."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment
from samples import ROOT, make_record, make_snapshot, make_status

from edge.record import BoardReading, PowerReading
from edge.schema import snapshot_row
from edge.sinks.homeassistant import device_id, discovery, discovery_topic

GOLDEN = ROOT / "tests" / "golden" / "homeassistant.json"
POWER = PowerReading(8720.0, 8600.0, 21.5, "VDD_IN (module)")
BOARD = BoardReading({"cpu": 48.5, "gpu": 51.25})


def golden_text():
    payload = discovery("yard/door", ["demo"], "1.2.3")
    return json.dumps(payload, indent=2, ensure_ascii=False) + "\n"


def shown(snapshot, sources=("demo",)):
    """Give what each sensor shows, as Home Assistant renders it."""
    jinja = Environment(autoescape=False)
    row = json.loads(json.dumps(snapshot_row(snapshot)))
    components = discovery("yard/door", sources, "1.2.3")["components"]
    return {
        name: jinja.from_string(component["value_template"]).render(value_json=row)
        for name, component in components.items()
    }


def test_payload_is_as_the_golden_says():
    """To make it again: PYTHONPATH=. python tests/sinks/test_homeassistant.py (and say why)."""
    assert golden_text() == GOLDEN.read_text("utf-8")


def test_sensors_show_what_the_snapshot_tells():
    assert shown(make_snapshot(power=POWER, board=BOARD)) == {
        "label": "apple",
        "fps": "29.9",
        "latency_p99": "24.75",
        "power": "8.72",
        "temperature": "51.25",
    }


def test_sensors_show_nothing_where_there_is_nothing():
    """Home Assistant takes the text None of a sensor as unknown."""
    away = make_status(state="connecting", problem="away", frames=0, latest=None)
    assert shown(make_snapshot(frames=0, stages={}, sources=(away,), latest=None)) == {
        "label": "None", "fps": "29.9", "latency_p99": "None", "power": "None",
        "temperature": "None",
    }  # fmt: skip


def test_each_of_several_sources_has_a_label_of_its_own():
    other = make_status("yard", latest=make_record(("bird", 0.9)))
    labels = shown(make_snapshot(sources=(make_status("door"), other)), ("door", "yard"))
    assert (labels["label_1"], labels["label_2"]) == ("apple", "bird")
    named = discovery("t", ["door", "yard"], "1")["components"]
    assert (named["label_1"]["name"], named["label_2"]["name"]) == ("Label door", "Label yard")


def test_label_is_cut_to_what_a_state_may_hold():
    long = make_status(latest=make_record(("x" * 400, 1.0)))
    assert shown(make_snapshot(sources=(long,)))["label"] == "x" * 255


@given(st.text(min_size=1))
def test_device_is_named_with_what_home_assistant_allows(topic):
    assert re.fullmatch(r"[A-Za-z0-9_]{1,60}", device_id(topic))
    assert discovery_topic(topic) == f"homeassistant/device/{device_id(topic)}/config"


@pytest.mark.parametrize("other", ["a_b", "a/b/", "A/b", "a//b"])
def test_topics_that_look_alike_are_different_devices(other):
    assert device_id("a/b") != device_id(other)


if __name__ == "__main__":
    Path(*sys.argv[1:2] or [GOLDEN]).write_text(golden_text(), encoding="utf-8")
