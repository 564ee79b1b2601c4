"""What the doctor says of boards, their JetPack, their state, and rights that are missing."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from board_states import STATES, alert, make_whole_board, over_current, write
from boards import RAPL, make_board

from edge.board import SysRoot, detect_board
from edge.doctor.check import Place
from edge.doctor.machine import _check_group, check_machine, check_state


def looked_at(root, check):
    place = Place(root, detect_board(root), {})
    return {found.name: found for found in check(place)}


@pytest.mark.parametrize("name", STATES)
def test_jetpack_is_named_and_an_old_one_warned_of(tmp_path, name):
    state = STATES[name]
    found = looked_at(make_whole_board(tmp_path, name), check_machine)
    assert state.model in found["device"].detail
    assert found["JetPack"].detail.startswith(f"{state.jetpack}, L4T {state.l4t}")
    is_old = int(state.l4t.partition(".")[0]) < 36
    assert found["JetPack"].status == ("warning" if is_old else "ok")


@pytest.mark.parametrize(
    ("name", "mend"),
    [
        ("nano", "JetPack 4 is the last for this module; use --engine openvino, on its CPU"),
        ("xavier_nx", "JetPack 5 is the last for this module; use --engine openvino, on its CPU"),
        ("agx_orin", "Flash JetPack 6 or newer"),
    ],
)
def test_old_jetpack_says_what_this_board_can_get(tmp_path, name, mend):
    assert looked_at(make_whole_board(tmp_path, name), check_machine)["JetPack"].mend == mend


@pytest.mark.parametrize(
    ("release", "detail", "status"),
    [
        (None, "unknown: no /etc/nv_tegra_release here", "warning"),
        ("# R36 (release), REVISION: 9.9,", "unknown JetPack, L4T 36.9.9", "ok"),
    ],
)
def test_jetpack_is_not_guessed(tmp_path, release, detail, status):
    root = make_whole_board(tmp_path, "orin_nano")
    file = tmp_path / "etc/nv_tegra_release"
    file.unlink() if release is None else file.write_text(release)
    check = looked_at(root, check_machine)["JetPack"]
    assert (check.detail, check.status) == (detail, status)


@pytest.mark.parametrize("name", STATES)
def test_mode_and_clocks_of_a_board_are_told(tmp_path, name):
    found = looked_at(make_whole_board(tmp_path, name), check_state)
    assert (found["power mode"].status, found["power mode"].detail) == ("ok", STATES[name].mode)
    assert found["clocks"].detail.startswith(
        "held by jetson_clocks" if name == "orin_nx" else "not held"
    )
    assert "°C" in found["heat and clocks"].detail


def test_throttling_now_and_before_is_warned_of(tmp_path):
    root = make_whole_board(tmp_path, "orin_nx")
    write(tmp_path, alert(1, "cpu-throttle-alert", 1))
    found = looked_at(root, check_state)
    assert found["throttling"].detail == "now: cpu too hot"
    assert found["throttled before"].detail == "since boot: under-voltage 2 times"
    assert "stronger supply" in found["throttled before"].mend
    write(tmp_path, alert(1, "cpu-throttle-alert", 0) | over_current(oc1=0, oc2=0, oc3=0))
    found = looked_at(root, check_state)
    assert found["throttling"].status == "ok"
    assert "throttled before" not in found


def test_meter_that_is_closed_names_the_command_that_opens_it():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        root = make_board(folder, "pc")
        second = f"{RAPL.removesuffix('0')}1"
        write(folder, {f"{second}/name": "package-1\n", f"{second}/energy_uj": "1\n"})
        counters = [folder / package / "energy_uj" for package in (RAPL, second)]
        for counter in counters:
            counter.chmod(0o400 if os.geteuid() == 0 else 0o000)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            check = looked_at(root, check_state)["power"]
        finally:
            os.seteuid(user)
    assert (check.status, check.detail) == (
        "warning", "RAPL package is for root only here; RAPL package-1 is for root only here",
    )  # fmt: skip
    assert check.mend == "Run: " + " && ".join(f"sudo chmod a+r {counter}" for counter in counters)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user without groups")
def test_user_outside_of_group_video_is_told_how_to_join_it():
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(65534)
    os.seteuid(65534)
    try:
        check = _check_group()
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)
    assert check.status == "warning"
    assert "usermod -aG video" in check.mend


def test_machine_without_meter_and_sensors_is_well(tmp_path):
    found = looked_at(SysRoot(tmp_path), check_state)
    assert {check.status for check in found.values()} == {"ok"}
    assert found["power"].detail == "no power rail, no RAPL and no NVIDIA GPU on this machine"
