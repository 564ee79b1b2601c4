"""Energy is a sum over time; the sampler has one thread, which ends."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager

import pytest
from boards import HWMON, RAPL, make_board
from doubles import DEADLINE_S
from hypothesis import given
from hypothesis import strategies as st

from edge.record import PowerReading, Unavailable
from edge.telemetry.power import EnergyIntegral, PowerSampler

SECOND_NS = 1_000_000_000


def test_energy_of_a_ramp_is_exact():
    """0 to 10 W in 10 s are 50 J, whatever the steps."""
    integral = EnergyIntegral()
    for second in (0, 1, 2, 2.5, 7, 10):
        integral.add(second * 1000, int(second * SECOND_NS))
    assert integral.energy_j == pytest.approx(50.0, rel=1e-12)
    assert integral.mean_mw() == pytest.approx(5000.0, rel=1e-12)
    assert integral.power_mw == 10_000


@given(
    st.floats(-1e3, 1e5),
    st.lists(st.integers(0, 10**10), min_size=1, max_size=30),
    st.integers(0, 2**62),
)
def test_mean_of_a_constant_is_that_constant(power_mw, steps_ns, start_ns):
    integral = EnergyIntegral()
    now_ns = start_ns
    integral.add(power_mw, now_ns)
    for step_ns in steps_ns:
        now_ns += step_ns
        integral.add(power_mw, now_ns)
    assert integral.mean_mw() == pytest.approx(power_mw, rel=1e-6, abs=1e-6)


def test_mean_of_one_sample_is_that_sample():
    integral = EnergyIntegral()
    assert integral.mean_mw() == 0.0
    integral.add(4321.0, 0)
    assert (integral.mean_mw(), integral.energy_j) == (4321.0, 0.0)


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


def test_sampler_sums_what_the_rail_gives(gated_sampler):
    sampler, chip = gated_sampler
    with sampler:
        assert sampler.read() == Unavailable("VDD_IN (module): no reading yet")
        for _ in range(3):
            give(chip, 1000)
        with last_reading_open(chip):
            reading = sampler.read()
            assert isinstance(reading, PowerReading)
            assert (reading.power_mw, reading.total) == (5000.0, "VDD_IN (module)")
            assert reading.mean_mw == pytest.approx(5000.0)
            assert reading.energy_j == pytest.approx(5.0 * sampler._integral.seconds)


def test_sampler_goes_on_when_a_reading_fails(gated_sampler):
    sampler, chip = gated_sampler
    with sampler:
        for current_ma in (1000, "n/a", 800):
            give(chip, current_ma)
        with last_reading_open(chip):
            assert sampler.read().power_mw == 4000.0


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
        assert sampler.read() == Unavailable("no power rail and no RAPL on this machine")


def test_sampler_says_that_there_is_no_reading_yet(tmp_path):
    """The first value of a counter has no difference to tell."""
    sampler = PowerSampler(make_board(tmp_path, "pc"))
    (tmp_path / RAPL / "energy_uj").unlink()
    with sampler:
        assert sampler.read() == Unavailable("RAPL package (CPU only): no reading yet")
