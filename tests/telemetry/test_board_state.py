"""Heat, clocks, load, mode and throttling of fake machines, and the thread that samples them."""

from __future__ import annotations

import logging
import os
import threading
import time

import pytest
from board_states import (
    CPUS,
    DEVFREQ,
    OC_CHIP,
    STATES,
    THERMAL,
    alert,
    devfreq,
    make_whole_board,
    over_current,
    write,
)
from boards import HWMON
from doubles import DEADLINE_S
from hypothesis import given
from hypothesis import strategies as st

from edge.board import SysRoot
from edge.record import BoardReading, Clock, Unavailable
from edge.telemetry.board_state import NOTHING, BoardProbe, BoardSampler
from edge.telemetry.clocks import are_locked, read_clocks, read_gpu_load
from edge.telemetry.power_mode import (
    parse_mode_names,
    parse_mode_query,
    parse_mode_status,
    read_power_mode,
)
from edge.telemetry.thermal import read_temperatures
from edge.telemetry.throttling import ThrottleWatch

LOADS = {"orin_nano": 0.412, "orin_nx": 0.0, "agx_orin": 0.125, "thor": None, "xavier_nx": 0.012,
         "nano": 0.0}  # fmt: skip
HOTTEST = {"orin_nano": ("tj", 49.906), "orin_nx": ("tj", 49.906), "agx_orin": ("CPU", 47.562),
           "thor": ("tj", 41.5), "xavier_nx": ("CPU", 38.5), "nano": ("AO", 41.5)}  # fmt: skip


@pytest.mark.parametrize("name", STATES)
def test_board_tells_its_state(tmp_path, name):
    state = STATES[name]
    reading = BoardProbe(make_whole_board(tmp_path, name)).read()
    assert isinstance(reading, BoardReading)
    zone, heat_c = HOTTEST[name]
    assert reading.temperatures_c[zone] == max(reading.temperatures_c.values()) == heat_c
    clocks = {clock.name: (clock.mhz, clock.min_mhz, clock.max_mhz) for clock in reading.clocks}
    assert clocks["gpu"] == state.gpu_mhz
    assert [clock for clock in clocks if clock.startswith("cpu")] == ["cpu0", "cpu1", "cpu2",
                                                                      "cpu10"]  # fmt: skip
    assert clocks["cpu10"] == state.cpu_mhz
    assert reading.gpu_load == LOADS[name]
    assert reading.mode == state.mode
    assert reading.locked is (name == "orin_nx")
    assert (reading.throttling, reading.throttles) == ((), 0)


def test_zone_that_sleeps_and_the_constant_one_are_left_out(tmp_path):
    found = {name: set(read_temperatures(make_whole_board(tmp_path / name, name)))
             for name in STATES}  # fmt: skip
    assert found["orin_nano"] == {"cpu", "soc0", "soc1", "soc2", "tj"}
    assert found["agx_orin"] == {"CPU", "SOC0", "tj"}
    assert found["nano"] == {"AO", "CPU", "GPU", "PLL", "thermal-fan-est"}


def test_zone_that_answers_try_again_is_left_out(tmp_path):
    """A pipe that is open for writing and empty gives EAGAIN, as a zone without power does."""
    root = make_whole_board(tmp_path, "orin_nano")
    zone = tmp_path / THERMAL / "thermal_zone1/temp"
    zone.unlink()
    os.mkfifo(zone)
    writer = os.open(zone, os.O_RDWR)
    try:
        assert "gpu" not in read_temperatures(root)
        os.write(writer, b"51000\n")
        assert read_temperatures(root)["gpu"] == 51.0
    finally:
        os.close(writer)


def test_pc_tells_heat_of_its_cores_and_of_each_zone(tmp_path):
    chip = f"{HWMON}/hwmon7"
    files = {
        f"{chip}/name": "coretemp\n",
        f"{chip}/temp1_label": "Package id 0\n", f"{chip}/temp1_input": "61000\n",
        f"{chip}/temp2_label": "Core 0\n", f"{chip}/temp2_input": "58000\n",
        f"{HWMON}/hwmon8/name": "nvme\n", f"{HWMON}/hwmon8/temp1_input": "40000\n",
    }  # fmt: skip
    for number in (0, 1):
        files[f"{THERMAL}/thermal_zone{number}/type"] = "acpitz\n"
        files[f"{THERMAL}/thermal_zone{number}/temp"] = f"{30 + number}000\n"
    write(tmp_path, files)
    assert read_temperatures(SysRoot(tmp_path)) == {
        "acpitz": 30.0, "acpitz 2": 31.0, "Package id 0": 61.0, "Core 0": 58.0
    }  # fmt: skip


def test_clock_whose_node_comes_late_is_found_then(tmp_path):
    root = make_whole_board(tmp_path, "thor")
    folder = tmp_path / DEVFREQ / "gpu-gpc-0"
    folder.rename(tmp_path / "away")
    probe = BoardProbe(root)
    assert "gpu" not in {clock.name for clock in probe.read().clocks}
    (tmp_path / "away").rename(folder)
    assert probe.read().clocks[0] == Clock("gpu", 0.0, 315.0, 1575.0)


BPMP = "sys/kernel/debug/bpmp/debug/clk/emc"
LIMITS = {f"{BPMP}/min_rate": "204000000", f"{BPMP}/max_rate": "3199000000"}


@pytest.mark.parametrize(
    ("files", "clock"),
    [
        (devfreq("bwmgr", 4266, 665.6, 4266), Clock("emc", 4266.0, 665.6, 4266.0)),
        (
            LIMITS | {f"{BPMP}/rate": "2133000000", f"{BPMP}/mrq_rate_locked": "0"},
            Clock("emc", 2133.0, 204.0, 3199.0),
        ),
        (
            LIMITS | {f"{BPMP}/rate": "3199000000", f"{BPMP}/mrq_rate_locked": "1"},
            Clock("emc", 3199.0, 3199.0, 3199.0),
        ),
        ({"sys/kernel/debug/clk/override.emc/clk_rate": "1600000000"}, Clock("emc", 1600.0)),
    ],
)
def test_memory_clock_is_found_where_the_release_keeps_it(tmp_path, files, clock):
    write(tmp_path, files)
    assert read_clocks(SysRoot(tmp_path)) == (clock,)


HELD = Clock("gpu", 918.0, 918.0, 918.0)
CPU_HELD = Clock("cpu0", 1984.0, 1984.0, 1984.0)


@pytest.mark.parametrize(
    ("clocks", "has_gpu", "locked"),
    [
        ([HELD, CPU_HELD], True, True),
        ([HELD, CPU_HELD, Clock("emc", 3199.0)], True, True),
        ([HELD, CPU_HELD, Clock("emc", 3199.0, 204.0, 3199.0)], True, False),
        ([HELD, CPU_HELD, Clock("cpu1", 1984.0, 115.0, 1984.0)], True, False),
        ([Clock("gpu", 306.0, 918.0, 918.0), CPU_HELD], True, False),
        ([Clock("gpu", 912.0, 918.0, 918.0), CPU_HELD], True, True),
        ([CPU_HELD], True, None),
        ([CPU_HELD], False, True),
        ([HELD], True, None),
        ([Clock("gpu", 0.0, 0.0, 0.0), CPU_HELD], True, True),
        ([], False, None),
    ],
)
def test_clocks_are_locked_when_all_that_tell_are_held(clocks, has_gpu, locked):
    assert are_locked(clocks, has_gpu=has_gpu) is locked


@pytest.mark.parametrize(("text", "load"), [("1200", 1.0), ("-5", 0.0), ("x", None), ("7", 0.007)])
def test_load_is_a_share(tmp_path, text, load):
    write(tmp_path, {"sys/devices/gpu.0/load": text})
    assert read_gpu_load(SysRoot(tmp_path)) == load


def test_mode_without_a_name_is_told_by_number(tmp_path):
    root = make_whole_board(tmp_path, "nano")
    (tmp_path / "etc/nvpmodel.conf").unlink()
    assert read_power_mode(root) == "mode 0"


@pytest.mark.parametrize(
    ("file", "mode"),
    [
        ("agx_xavier_user_errors", "MODE_15W_DESKTOP (7)"),
        ("fan_cool_maxn", "MAXN (0)"),
        ("nano_maxn", "MAXN (0)"),
        ("orin_nano_super_25w", "25W (1)"),
        ("thor_120w", "120W (1)"),
        ("xavier_30w_4core", "MODE_30W_4CORE (5)"),
        ("xavier_nx_15w_2core", "MODE_15W_2CORE (0)"),
        ("xavier_nx_15w_6core", "MODE_15W_6CORE (2)"),
    ],
)
def test_mode_is_read_from_what_boards_printed(shared_data, file, mode):
    text = (shared_data / "jetson/nvpmodel" / f"{file}.txt").read_text()
    assert parse_mode_query(text) == mode


NAMES = st.from_regex(r"[A-Z0-9_]{1,12}", fullmatch=True)
ERRORS = st.lists(
    st.sampled_from(["NVPM ERROR: Error opening /sys/x: 13", "NVPM WARN: no 7", ""]), max_size=3
)


@given(NAMES, st.integers(0, 99), ERRORS, ERRORS, ERRORS)
def test_mode_is_found_between_errors(name, number, before, between, after):
    lines = [*before, f"NV Power Mode: {name}", *between, str(number), *after]
    assert parse_mode_query("\n".join(lines)) == f"{name} ({number})"


@given(st.text(st.sampled_from("<>POWER_MODEL IDNAME=0123 \n#:pmode"), max_size=200))
def test_parsers_of_modes_take_any_text(text):
    for parse in (parse_mode_query, parse_mode_status, parse_mode_names):
        parse(text)


@given(st.dictionaries(st.integers(0, 99), NAMES), st.booleans())
def test_names_of_modes_are_read_in_either_order(names, swapped):
    lines = [f"< POWER_MODEL NAME={name} ID={number} >" if swapped
             else f"<POWER_MODEL ID={number} NAME={name}>"
             for number, name in names.items()]  # fmt: skip
    assert parse_mode_names("\n".join(["# < POWER_MODEL ID=100 NAME=EXAMPLE >", *lines])) == names


def test_throttling_is_told_when_it_begins_and_ends(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    watch = ThrottleWatch(make_whole_board(tmp_path, "orin_nano"))
    assert watch.look() == ()
    write(tmp_path, alert(1, "cpu-throttle-alert", 2))
    assert watch.look() == watch.look() == ("cpu too hot",)
    write(tmp_path, over_current(oc1=5, oc2=0, oc3=1))
    assert watch.look() == ("cpu too hot", "under-voltage", "instantaneous over-current")
    write(tmp_path, alert(1, "cpu-throttle-alert", 0))
    assert watch.look() == ()
    assert watch.throttles == 1 + 3 + 1
    assert [record.getMessage() for record in caplog.records] == [
        "throttled: cpu too hot",
        "throttled: under-voltage",
        "throttled: instantaneous over-current",
        "no longer throttled: cpu too hot",
        "no longer throttled: under-voltage",
        "no longer throttled: instantaneous over-current",
    ]


def test_events_before_the_run_and_a_counter_set_back_do_not_count(tmp_path):
    watch = ThrottleWatch(make_whole_board(tmp_path, "orin_nano"))
    write(tmp_path, over_current(oc1=0, oc2=0, oc3=0))
    assert (watch.look(), watch.throttles) == ((), 0)
    (tmp_path / OC_CHIP / "oc1_event_cnt").unlink()
    assert (watch.look(), watch.throttles) == ((), 0)


def test_pc_counts_an_event_of_its_package_once(tmp_path):
    def count(core, package):
        for cpu, own in enumerate(core):
            folder = f"{CPUS}/cpu{cpu}/thermal_throttle"
            write(tmp_path, {f"{folder}/core_throttle_count": f"{own}\n",
                             f"{folder}/package_throttle_count": f"{package}\n"})  # fmt: skip

    count([0, 3], 7)
    watch = ThrottleWatch(SysRoot(tmp_path))
    assert watch.look() == ()
    count([0, 3], 9)
    assert (watch.look(), watch.throttles) == (("the CPU too hot",), 2)
    count([0, 4], 9)
    assert (watch.look(), watch.throttles) == (("a CPU core too hot",), 3)
    count([2, 4], 9)  # the other core, which was well so far
    assert (watch.look(), watch.throttles) == (("a CPU core too hot",), 5)
    assert watch.look() == ()


def test_machine_that_tells_nothing_says_so(tmp_path):
    assert BoardProbe(SysRoot(tmp_path)).read() == NOTHING


def test_sampler_has_a_thread_that_ends_with_its_owner(tmp_path):
    root = make_whole_board(tmp_path, "orin_nano")
    before = threading.active_count()
    sampler = BoardSampler(root)
    assert sampler.read() == Unavailable("no reading yet")
    with sampler:
        assert threading.active_count() == before + 1
        deadline_s = time.monotonic() + DEADLINE_S
        while isinstance(sampler.read(), Unavailable) and time.monotonic() < deadline_s:
            time.sleep(0.01)
        assert sampler.read().mode == "MAXN_SUPER (2)"
    assert threading.active_count() == before


class FaultyRoot(SysRoot):
    """Fails as only a bug of ours does."""

    def read_int(self, name):
        raise ZeroDivisionError(name)


def test_bug_in_the_thread_is_raised_to_whoever_reads(tmp_path):
    make_whole_board(tmp_path, "orin_nano")
    with BoardSampler(FaultyRoot(tmp_path)) as sampler:
        sampler._thread.join(DEADLINE_S)
        with pytest.raises(ZeroDivisionError):
            sampler.read()
