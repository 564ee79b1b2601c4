"""L7 on the rig: `edge selftest` with the real pycuda and a stand-in of TensorRT."""

from __future__ import annotations

import json

import pytest

from edge.selftest.networks import VARIANTS

pytestmark = [pytest.mark.rig, pytest.mark.timeout(400)]  # the command alone has 300 s

ANY_NETWORK = {"frames in flight", "another thread", "several engines", "memory", "demo"}
"""Checks that want a network and no particular one."""


def by_status(done) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {"passed": set(), "failed": set(), "not tested": set()}
    for check in json.loads(done.stdout)["checks"]:
        found[check["status"]].add(check["name"])
    return found


def test_whole_jetson_passes_every_check_of_a_network(gpu):
    done = gpu("selftest", "--engine", "tensorrt", "--json", "-", rig_mode={"RIG_INTEGRATED": "1"})
    found = by_status(done)
    assert (done.returncode, found["failed"]) == (0, set()), done.stderr
    assert found["passed"] >= {variant.title for variant in VARIANTS} | ANY_NETWORK | {
        "GPU", "shared memory",
    }  # fmt: skip
    ran = json.loads(done.stdout)["ran"]
    assert ran == {
        "engine": "tensorrt", "device": "stand-in", "version": "10.3.0", "on_gpu": True,
    }  # fmt: skip
    assert "on a GPU" not in done.stderr


def test_gpu_that_is_lost_fails_that_check_and_stops_no_other(gpu):
    """The next engine gets a context of its own, so one lost frame spoils one check."""
    done = gpu(
        "selftest", "--engine", "tensorrt", "--json", "-",
        rig_mode={"RIG_FAIL": "cuEventSynchronize:1:700"},
    )  # fmt: skip
    found = by_status(done)
    assert (done.returncode, found["failed"]) == (3, {"squeezenet8-int8"})
    assert found["passed"] >= ANY_NETWORK
    assert found["not tested"] >= {"shared memory"}  # this GPU has memory of its own
    first = json.loads(done.stdout)["checks"][2]
    assert first["detail"].startswith("cuda: the GPU failed")
    assert done.stderr.endswith(" checks failed: squeezenet8-int8. The table says why\n")
