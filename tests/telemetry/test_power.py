"""The sampler: one thread, which ends; every rail; energy within its bound; its own cost."""

from __future__ import annotations

import dataclasses
import os
import threading
from contextlib import contextmanager

import pytest
from boards import BOARDS, HWMON, RAPL, make_board
from doubles import DEADLINE_S
from played import PlayedBoard

from edge.record import PowerReading, Unavailable
from edge.telemetry.meter import find_meter
from edge.telemetry.power import SILENT_NS, PowerSampler


def give(chip, current_ma):
    """Answer one reading of the rail at 5 V; waits until the sampler asks for it.

    Voltage and current are pipes, read in this order: an open pipe means that the sampler is there,
    and the one before is done with.
    """

    def answer():
        (chip / "in1_input").write_text("5000\n")
        (chip / "curr1_input").write_text(f"{current_ma}\n")

    helper = threading.Thread(target=answer, daemon=True)
    helper.start()
    helper.join(DEADLINE_S)
    assert not helper.is_alive(), "the sampler does not read"


@pytest.fixture
def gated_sampler(tmp_path):
    """Give a sampler whose every reading waits for `give`, and the chip's folder."""
    sampler = PowerSampler(make_board(tmp_path, "orin_nano"))
    chip = tmp_path / HWMON / "hwmon1"
    for name in ("in1_input", "curr1_input"):
        (chip / name).unlink()
        os.mkfifo(chip / name)
    return sampler, chip


@contextmanager
def last_reading_open(chip):
    """Hold the sampler in a reading, all earlier ones being counted; afterwards it runs free."""
    with (chip / "in1_input").open("w") as voltage:
        yield
        for name in ("in1_input", "curr1_input"):
            (chip / name).unlink()
            (chip / name).write_text("5000\n")
        voltage.write("5000\n")


def wait_until(sampler, is_so):
    """Wait until a reading is as the test wants it, and give it."""
    with sampler._changed:
        assert sampler._changed.wait_for(lambda: is_so(sampler.read()), DEADLINE_S)
        return sampler.read()


def test_sampler_sums_what_the_rail_gives(gated_sampler):
    sampler, chip = gated_sampler
    with sampler:
        assert sampler.read() == Unavailable("no reading yet")
        for _ in range(3):
            give(chip, 1000)
        with last_reading_open(chip):
            reading = sampler.read()
            assert isinstance(reading, PowerReading)
            assert (reading.power_mw, reading.total) == (5000.0, "VDD_IN (module)")
            assert reading.mean_mw == pytest.approx(5000.0)
            assert reading.covered_s > 0
            assert reading.energy_j == pytest.approx(5.0 * reading.covered_s)
            assert reading.energy_error_j == 0.0


def test_sampler_goes_on_when_a_reading_fails(gated_sampler):
    sampler, chip = gated_sampler
    with sampler:
        for current_ma in (1000, "n/a"):
            give(chip, current_ma)
        give(chip, 800)
        with last_reading_open(chip):
            assert sampler.read().power_mw == 4000.0
            assert sampler.read().rails_mw["VDD_IN"] == 4000.0


def test_rail_that_cannot_be_read_now_is_none_and_says_why(tmp_path):
    """Absent, zero and negative are three different readings."""
    root = make_board(tmp_path, "thor")
    chip = tmp_path / HWMON / "hwmon4"
    (chip / "curr2_input").write_text("n/a\n")
    (chip / "curr3_input").write_text("0\n")
    with PowerSampler(root) as sampler:
        reading = sampler.wait_for_reading(DEADLINE_S)
        states = {state.name: state for state in sampler.rails()}
    assert reading.rails_mw == {
        "VIN": 20986.0, "VDD_GPU": pytest.approx(-397.28), "VDD_CPU_SOC_MSS": None,
        "VIN_SYS_5V0": 0.0,
    }  # fmt: skip
    assert states["VDD_CPU_SOC_MSS"].power_mw.reason.startswith("gives no number: b'n/a")
    assert states["VDD_CPU_SOC_MSS"].summary is None
    assert states["VIN_SYS_5V0"].summary.max_mw == 0.0
    kinds = {name: state.kind for name, state in states.items()}
    assert kinds == {
        "VIN": "counted", "VDD_GPU": "other", "VDD_CPU_SOC_MSS": "other", "VIN_SYS_5V0": "other",
        "VIN (board input)": "total",
        "VDD_GPU + VDD_CPU_SOC_MSS + VIN_SYS_5V0 (module)": "other total",
    }  # fmt: skip


def test_total_that_never_came_says_which_rail_lacks(tmp_path):
    root = make_board(tmp_path, "agx_orin")
    (tmp_path / HWMON / "hwmon9" / "curr2_input").write_text("n/a\n")
    with PowerSampler(root, hz=100) as sampler:
        reading = wait_until(sampler, lambda one: one != Unavailable("no reading yet"))
    assert reading.reason.startswith(f"{BOARDS['agx_orin'].total}: VDD_CPU_CV gives no number")


def test_reading_that_is_too_old_is_not_told_as_that_of_now(tmp_path):
    root = make_board(tmp_path, "orin_nano")
    current = tmp_path / HWMON / "hwmon1" / "curr1_input"
    with PowerSampler(root, hz=100) as sampler:
        sampler.wait_for_reading(DEADLINE_S)
        current.write_text("n/a\n")
        reading = wait_until(sampler, lambda one: one.rails_mw["VDD_IN"] is None)
        assert reading.power_mw == 4800.0, "a gap is bridged"
    last = sampler._last
    late = dataclasses.replace(last, now_ns=last.now_ns + SILENT_NS + 10**9)
    assert sampler._read(late.now_ns) == Unavailable("no reading for more than 5 s")
    sampler._last = late
    said = sampler._read(late.now_ns).reason
    assert said.startswith("VDD_IN (module): VDD_IN gives no number")


@pytest.mark.parametrize(
    ("board", "rail", "levels_mw"),
    [
        ("orin_nano", "VDD_IN", (12_000, 0, 9_000, 4_800)),
        ("agx_orin", "VDD_CPU_CV", (20_000, 5_000, 1_605)),
        ("thor", "VIN", (90_000, -300, 20_986)),
        ("agx_xavier", "CV", (7_000, 0)),
        ("tx2", "VDD_IN", (9_001, 3_056)),
    ],
)
def test_energy_of_a_played_load_lies_within_the_uncertainty(tmp_path, board, rail, levels_mw):
    played = PlayedBoard(tmp_path, board)
    with PowerSampler(played.root, hz=100) as sampler:
        sampler.wait_for_reading(DEADLINE_S)
        for level_mw in levels_mw:
            total_mw = played.set(rail, level_mw)
            reading = wait_until(sampler, lambda one, want=total_mw: one.power_mw == want)
    true_j, doubt_j = played.energy_j(reading.covered_s)
    assert reading.energy_error_j > 0
    assert abs(reading.energy_j - true_j) <= reading.energy_error_j + doubt_j


def test_idle_is_measured_between_two_new_starts(tmp_path):
    """What was before it is not in it, and it is not in the run."""
    played = PlayedBoard(tmp_path, "orin_nano")

    def set_and_wait(*levels_mw):
        for level_mw in levels_mw:
            total_mw = played.set("VDD_IN", level_mw)
            wait_until(sampler, lambda one, want=total_mw: one.power_mw == want)

    with PowerSampler(played.root, hz=100) as sampler:
        sampler.wait_for_reading(DEADLINE_S)
        set_and_wait(1_000_000, 4_800)
        idle = threading.Event()
        idling = threading.Thread(target=lambda: (set_and_wait(6_000, 4_800), idle.set()))
        idling.start()
        sampler.measure_idle(DEADLINE_S, idle)
        idling.join(DEADLINE_S)
        set_and_wait(4_700)
        reading = sampler.read()
        total = next(state for state in sampler.rails() if state.kind == "total")
    assert 4_800 < reading.idle_mw < 6_000
    assert 0 < reading.idle_error_mw < 10_000
    assert (total.summary.min_mw, total.summary.max_mw) == (4700.0, 4800.0)


def test_idle_is_not_waited_for_where_nothing_is_measured(tmp_path):
    with PowerSampler(make_board(tmp_path, "bare")) as sampler:
        assert sampler.over
        sampler.measure_idle(10_000, threading.Event())


def test_sampler_tells_its_own_share_of_a_core(tmp_path):
    with PowerSampler(make_board(tmp_path, "tx2"), hz=100) as sampler:
        reading = wait_until(sampler, lambda one: getattr(one, "covered_s", 0) > 0.2)
    assert 0 < reading.sampler_share < 1
    assert sampler._cpu_ns > 0


@pytest.mark.parametrize("name", ["orin_nano", "pc"])
def test_sampler_thread_ends_with_its_owner(tmp_path, name):
    before = threading.active_count()
    with PowerSampler(make_board(tmp_path, name)):
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


def test_sampler_starts_no_thread_when_there_is_nothing_to_read(tmp_path):
    before = threading.active_count()
    with PowerSampler(make_board(tmp_path, "bare")) as sampler:
        assert threading.active_count() == before
        assert sampler.wait_for_reading(DEADLINE_S) == Unavailable(
            "no power rail, no RAPL and no NVIDIA GPU on this machine"
        )


def test_counter_needs_a_second_reading(tmp_path):
    with PowerSampler(make_board(tmp_path, "pc"), hz=100) as sampler:
        assert sampler.wait_for_reading(DEADLINE_S).power_mw == 0.0
        (tmp_path / RAPL / "energy_uj").write_text("9000000\n")
        assert wait_until(sampler, lambda one: one.energy_j > 0).energy_j <= 8.0


class FaultySource:
    """Gives one sample, and then fails as only a bug of ours does."""

    ended = None
    not_connected = ()

    def __init__(self, meter):
        self._meter = meter

    def elsewhere_ns(self):
        return 0

    def samples(self):
        yield self._meter.read()
        raise ZeroDivisionError("ours")

    def stop(self):
        self._meter.close()


def test_bug_in_the_thread_is_raised_to_whoever_reads(tmp_path):
    root = make_board(tmp_path, "orin_nano")
    sampler = PowerSampler(root)
    sampler._source = FaultySource(find_meter(root))
    with sampler:
        sampler._thread.join(DEADLINE_S)
        assert sampler.over
        with pytest.raises(ZeroDivisionError, match="ours"):
            sampler.wait_for_reading(DEADLINE_S)
