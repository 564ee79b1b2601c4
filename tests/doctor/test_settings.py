"""What the environment sets: obeyed, unknown, wrong, and never a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.board import SysRoot
from edge.cli.doctor import _settings
from edge.doctor.check import Place
from edge.doctor.settings import check_settings

KNOWN = frozenset(_settings())


def settings(**environment):
    place = Place(SysRoot(Path("/")), None, {"HOME": "/root", **environment}, KNOWN)
    return list(check_settings(place))


@pytest.mark.parametrize(
    ("name", "value", "status", "detail"),
    [
        ("EDGE_ENGINE", "openvino", "ok", "openvino"),
        ("EDGE_ENGINE", "null:20", "ok", "null:20"),
        ("EDGE_ENGINE", "cuda", "broken", "cuda: no such engine"),
        ("EDGE_MODEL", "squeezenet8", "ok", "squeezenet8"),
        ("EDGE_MODEL", "squeezenet9", "broken", "squeezenet9: no such model file or name"),
        ("EDGE_MODEL", "/no/such.onnx", "broken", "/no/such.onnx: no such file"),
        ("EDGE_HOME", "/", "ok", "/"),
        ("EDGE_ENGINE", "", "ok", "empty, which counts as not set"),
        ("EDGE_MQTT", "mqtt://user:S3cret@host:1883/x", "ok", "mqtt://host:1883/x"),
        ("EDGE_MQTT_PASSWORD", "S3cret", "ok", "set, not shown"),
        ("EDGE_MQTT_USERNAME", "camera", "ok", "camera"),
        ("EDGE_MQTT_CA", "ca.pem", "ok", "ca.pem"),
        ("EDGE_WEB_TOKEN", "S3cret", "ok", "set, not shown"),
        ("EDGE_ENGIN", "openvino", "warning", "set, and nothing obeys it"),
    ],
)
def test_setting_is_judged(name, value, status, detail):
    (check,) = settings(**{name: value})
    assert (check.name, check.status, check.detail) == (name, status, detail)
    assert bool(check.mend) == (status != "ok")


def test_unknown_setting_names_the_nearest():
    (check,) = settings(EDGE_ENGIN="openvino")
    assert check.mend == "Did you mean EDGE_ENGINE?"


def test_empty_environment_says_so():
    (check,) = settings()
    assert (check.status, check.detail) == ("ok", "no EDGE_* variable is set")
