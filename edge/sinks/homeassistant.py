"""What Home Assistant wants to be told, so that it shows a run without being configured.

Source: Home Assistant documentation, MQTT integration, "Device discovery payload" (one message for
a whole device, from release 2024.11 on) and MQTT Sensor.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

PREFIX = "homeassistant"
MOST_STATE_CHARS = 255
"""A longer state is refused by Home Assistant."""

_BEST = "value_json.sources[{number}].latest"
_LABEL = (
    "{{{{ " + _BEST + ".top[0].label[:" + str(MOST_STATE_CHARS) + "]"
    " if " + _BEST + " and " + _BEST + ".top else None }}}}"
)  # fmt: skip
_FPS = "{{ value_json.fps | round(1) }}"
_LATENCY = "{{ value_json.stages.end_to_end.p99_ms if value_json.frames else None }}"
_POWER = (
    "{{ (value_json.power.power_mw / 1000) | round(2)"
    " if value_json.power.power_mw is defined else None }}"
)
_HEAT = (
    "{{ value_json.board.temperatures_c.values() | max"
    " if value_json.board.temperatures_c else None }}"
)


def device_id(topic: str) -> str:
    """Give a name of letters, digits and underscores that no other topic has."""
    plain = re.sub(r"[^A-Za-z0-9]+", "_", topic).strip("_")[:40]
    return f"edge_{plain}_{hashlib.sha256(topic.encode()).hexdigest()[:8]}"


def discovery_topic(topic: str) -> str:
    """Give the topic on which Home Assistant looks for the device of another topic."""
    return f"{PREFIX}/device/{device_id(topic)}/config"


def discovery(topic: str, sources: Sequence[str], version: str) -> dict[str, Any]:
    """Describe the sensors of a run.

    A figure that the machine does not have is None in its template, which Home Assistant shows as
    unknown.

    Args:
        topic: below which edge publishes.
        sources: their names; each has a label of its own.
        version: of edge.
    """
    device = device_id(topic)
    measured: dict[str, Any] = {"platform": "sensor", "state_class": "measurement"}
    components: dict[str, Any] = {}
    for number, source in enumerate(sources):
        several = len(sources) > 1
        components[f"label_{number + 1}" if several else "label"] = {
            "platform": "sensor",
            "name": f"Label {source}" if several else "Label",
            "icon": "mdi:image-search",
            "value_template": _LABEL.format(number=number),
        }
    components["fps"] = {
        **measured, "name": "Frame rate", "unit_of_measurement": "fps", "value_template": _FPS,
    }  # fmt: skip
    components["latency_p99"] = {
        **measured, "name": "Latency p99", "device_class": "duration", "unit_of_measurement": "ms",
        "value_template": _LATENCY,
    }  # fmt: skip
    components["power"] = {
        **measured, "name": "Power", "device_class": "power", "unit_of_measurement": "W",
        "value_template": _POWER,
    }  # fmt: skip
    components["temperature"] = {
        **measured, "name": "Temperature", "device_class": "temperature",
        "unit_of_measurement": "°C", "value_template": _HEAT,
    }  # fmt: skip
    for name, component in components.items():
        component["unique_id"] = f"{device}_{name}"
    return {
        "device": {"identifiers": [device], "name": f"edge {topic}", "sw_version": version},
        "origin": {"name": "edge", "sw_version": version},
        "availability_topic": f"{topic}/status",
        "state_topic": f"{topic}/snapshot",
        "qos": 1,
        "components": components,
    }
