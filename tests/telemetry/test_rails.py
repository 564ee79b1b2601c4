"""The right total of each board: a wrong rail or a rail counted twice is a wrong claim."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from boards import BOARDS, HWMON, RAPL, make_board
from hypothesis import given
from hypothesis import strategies as st

from edge.board import SysRoot
from edge.record import Unavailable
from edge.telemetry.rails import RaplMeter, find_meter, find_rails

WITH_RAILS = [name for name, board in BOARDS.items() if board.power_mw is not None]
NOBODY = 65534


@contextmanager
def as_nobody():
    """Lose root's rights over files for a moment."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.fixture
def open_folder():
    """Give a folder that every user may enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.mark.parametrize("name", WITH_RAILS)
def test_meter_reads_the_right_total_of_a_board(name, tmp_path):
    meter = find_meter(make_board(tmp_path, name))
    assert meter.total == BOARDS[name].total
    assert meter.read_mw(0) == pytest.approx(BOARDS[name].power_mw)


def test_rails_leave_out_what_is_not_connected_and_shunt_voltages(tmp_path):
    rails = find_rails(make_board(tmp_path, "agx_orin"))
    assert sorted(rails) == ["VDDQ_VDD2_1V8AO", "VDD_CPU_CV", "VDD_GPU_SOC", "VIN_SYS_5V0"]


def test_total_leaves_out_the_rail_that_another_one_feeds(tmp_path):
    """VDDQ_VDD2_1V8AO is fed by VIN_SYS_5V0: its power is in that rail already."""
    root = make_board(tmp_path, "agx_orin")
    before_mw = find_meter(root).read_mw(0)
    (tmp_path / HWMON / "hwmon10" / "curr2_input").write_text("99999\n")
    assert find_meter(root).read_mw(0) == before_mw


def test_usb_power_contract_is_not_a_measurement(tmp_path):
    rails = find_rails(make_board(tmp_path, "thor"))
    assert rails["VIN"].read_mw() == 20986.0
    assert len(rails) == 4


def test_rail_without_a_label_is_the_input_of_thor(tmp_path):
    root = make_board(tmp_path, "thor")
    (tmp_path / HWMON / "hwmon6" / "label").unlink()
    assert find_meter(root).total == "VIN (board input)"


@pytest.mark.parametrize("content", ["", "n/a\n", None])
def test_meter_gives_none_while_one_rail_of_its_sum_cannot_be_read(tmp_path, content):
    root = make_board(tmp_path, "agx_orin")
    meter = find_meter(root)
    current = tmp_path / HWMON / "hwmon9" / "curr2_input"
    kept = current.read_text()
    if content is None:
        current.unlink()
    else:
        current.write_text(content)
    assert meter.read_mw(0) is None
    current.write_text(kept)
    assert meter.read_mw(1) == BOARDS["agx_orin"].power_mw


def test_zero_and_negative_power_are_readings(tmp_path):
    root = make_board(tmp_path, "orin_nano")
    current = tmp_path / HWMON / "hwmon1" / "curr1_input"
    for current_ma in (0, -12):
        current.write_text(f"{current_ma}\n")
        assert find_meter(root).read_mw(0) == 5.0 * current_ma


def test_reason_names_the_board_when_it_has_no_rails(tmp_path):
    found = find_meter(make_board(tmp_path, "jetson_without_rails"))
    assert found == Unavailable("Orin Nano 8GB: none of its power rails was found")


def test_reason_is_given_when_a_machine_measures_nothing(tmp_path):
    found = find_meter(make_board(tmp_path, "bare"))
    assert found == Unavailable("no power rail and no RAPL on this machine")


def test_reason_names_the_command_when_rapl_is_for_root(open_folder):
    root = make_board(open_folder, "pc")
    (open_folder / RAPL / "energy_uj").chmod(0o400 if os.geteuid() == 0 else 0o000)
    with as_nobody():
        found = find_meter(root)
    assert found == Unavailable(
        f"RAPL is for root only here: sudo chmod a+r {open_folder / RAPL}/energy_uj"
    )


def test_reason_names_the_command_when_a_rail_is_for_root(open_folder):
    """AGX Orin with JetPack 5: a reading that never comes is not 0 W and not "not yet"."""
    root = make_board(open_folder, "orin_nano")
    file = open_folder / HWMON / "hwmon1" / "curr1_input"
    file.chmod(0o400 if os.geteuid() == 0 else 0o000)
    with as_nobody():
        found = find_meter(root)
    assert found == Unavailable(f"VDD_IN (module) is for root only here: sudo chmod a+r {file}")


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("energy_uj", "broken", "RAPL is here, but gives no reading"),
        ("max_energy_range_uj", "", "RAPL is here, but gives no reading"),
        ("max_energy_range_uj", "0", "RAPL is here, but its counter has no range"),
    ],
)
def test_reason_is_given_when_rapl_gives_no_number(tmp_path, file, content, reason):
    root = make_board(tmp_path, "pc")
    (tmp_path / RAPL / file).write_text(content)
    assert find_meter(root) == Unavailable(reason)


def test_rapl_gives_the_mean_since_the_last_reading(tmp_path):
    meter = find_meter(make_board(tmp_path, "pc"))
    counter = tmp_path / RAPL / "energy_uj"
    assert meter.total == BOARDS["pc"].total
    assert meter.read_mw(1_000_000_000) is None
    counter.write_text("4000000\n")
    assert meter.read_mw(3_000_000_000) == 1500.0
    assert meter.read_mw(3_000_000_000) is None, "no time went by"
    counter.unlink()
    assert meter.read_mw(4_000_000_000) is None


@pytest.fixture(scope="module")
def counter(tmp_path_factory):
    return tmp_path_factory.mktemp("rapl") / "energy_uj"


@given(
    start_uj=st.integers(0, 999_999),
    spent_uj=st.lists(st.integers(0, 999_999), min_size=1, max_size=6),
    step_ns=st.integers(1, 10**10),
)
def test_rapl_counts_over_the_wrap(counter, start_uj, spent_uj, step_ns):
    meter = RaplMeter(counter, wrap_uj=1_000_000)
    energy_uj = start_uj
    counter.write_text(str(energy_uj))
    assert meter.read_mw(0) is None
    for number, spent in enumerate(spent_uj, start=1):
        energy_uj = (energy_uj + spent) % 1_000_000
        counter.write_text(str(energy_uj))
        assert meter.read_mw(number * step_ns) == pytest.approx(spent / step_ns * 1e6)


def test_real_machine_gives_a_meter_or_a_reason():
    found = find_meter(SysRoot(Path("/")))
    assert found.reason if isinstance(found, Unavailable) else found.total
