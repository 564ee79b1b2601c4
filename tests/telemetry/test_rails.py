"""The right total of each board: a wrong rail or a rail counted twice is a wrong claim."""

from __future__ import annotations

import csv
import errno
import os
import tempfile
from pathlib import Path

import pytest
from boards import BOARDS, HWMON, IIO, as_nobody, close_to_others, make_board

from edge.board import SysRoot
from edge.record import Unavailable
from edge.telemetry.meter import find_meter
from edge.telemetry.rails import _explain, find_rails, list_totals

WITH_RAILS = [name for name, board in BOARDS.items() if board.power_mw is not None]
ORIN_CHIP = f"{HWMON}/hwmon1"


def read_total(root):
    meter = find_meter(root)
    return meter.totals[0].add_up(meter.read().rails_mw)


@pytest.fixture
def open_folder():
    """Give a folder that every user may enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.mark.parametrize("name", WITH_RAILS)
def test_meter_reads_the_right_total_of_a_board(name, tmp_path):
    root = make_board(tmp_path, name)
    assert find_meter(root).total == BOARDS[name].total
    assert read_total(root) == pytest.approx(BOARDS[name].power_mw)


@pytest.mark.shared_data
def test_every_board_of_the_table_has_its_total(shared_data, tmp_path):
    """What is a total, a summand or neither was written down by others, rail by rail."""
    table = (shared_data / "jetson/sysfs_rails.csv").read_text()
    rows = list(csv.DictReader(table.splitlines()))
    boards = {(row["board"], row["jetpack"]): [] for row in rows}
    for row in rows:
        boards[row["board"], row["jetpack"]].append(row)
    for (board, jetpack), channels in boards.items():
        root = SysRoot(tmp_path / f"{board}-{jetpack}")
        for row in channels:
            write_channel(root.path, row)
        roles = {row["label"]: row["role"] for row in channels if row["label"] != "NC"}
        found = find_rails(root)
        assert set(found.by_label) == set(roles), board
        total, *others = list_totals(found.by_label)
        wanted = {label for label, role in roles.items() if role == "total"}
        summands = {label for label, role in roles.items() if role == "summand"}
        assert set(total.parts) == (wanted or summands), board
        if board in {"tx1", "tx2"}:
            assert others[0].parts == ("VDD_IN", "VDD_MUX")
        if board == "thor":
            assert set(others[0].parts) == summands
        examples_mw = {row["label"]: float(row["example_mw"] or 1000) for row in channels}
        expected_mw = sum(examples_mw[part] for part in total.parts)
        assert read_total(root) == expected_mw, board


def write_channel(root, row):
    """Write one row of the table as files; the chip's folder has another number than there."""
    power_mw = float(row["example_mw"] or 1000)
    if row["kind"] == "iio":
        folder = root / row["dir"].replace("?", "1").lstrip("/")
    else:
        chip = row["dir"].split("/")[-1].replace("X", "7")
        folder = root / HWMON / f"{chip}0"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / row["label_file"]).write_text(f"{row['label']}\n")
    if row["kind"] == "hwmon-ina238":
        (folder / "name").write_text("ina238\n")
        (folder / "power1_input").write_text(f"{power_mw * 1000:.0f}\n")
    elif row["kind"] == "iio":
        (folder / row["power_file"]).write_text(f"{power_mw:.0f}\n")
    else:
        (folder / "name").write_text("ina3221\n")
        (folder / row["voltage_file"]).write_text("1000\n")
        (folder / row["current_file"]).write_text(f"{power_mw:.0f}\n")


def test_rails_leave_out_what_is_not_connected_and_shunt_voltages(tmp_path):
    rails = find_rails(make_board(tmp_path, "agx_orin"))
    assert sorted(rails.by_label) == ["VDDQ_VDD2_1V8AO", "VDD_CPU_CV", "VDD_GPU_SOC", "VIN_SYS_5V0"]
    assert sorted(rails.not_connected) == ["hwmon10/in1_label", "hwmon9/in3_label"]


def test_total_leaves_out_the_rail_that_another_one_feeds(tmp_path):
    """VDDQ_VDD2_1V8AO is fed by VIN_SYS_5V0: its power is in that rail already."""
    root = make_board(tmp_path, "agx_orin")
    before_mw = read_total(root)
    (tmp_path / HWMON / "hwmon10" / "curr2_input").write_text("99999\n")
    assert read_total(root) == before_mw


def test_module_and_board_of_a_tx2_are_both_told(tmp_path):
    meter = find_meter(make_board(tmp_path, "tx2"))
    rails_mw = meter.read().rails_mw
    assert {total.name: total.add_up(rails_mw) for total in meter.totals} == {
        "VDD_IN (module)": 3056.0,
        "VDD_IN + VDD_MUX (board)": 4956.0,
    }


def test_oldest_kernels_name_the_folder_otherwise(tmp_path):
    root = make_board(tmp_path, "nano")
    chip = tmp_path / IIO / "6-0040"
    (chip / "iio:device0").rename(chip / "iio_device0")
    assert read_total(root) == 1022.0


def test_label_that_two_chips_have_is_kept_apart(tmp_path):
    root = make_board(tmp_path, "orin_nano")
    second = tmp_path / HWMON / "hwmon2"
    second.mkdir()
    for file in (tmp_path / ORIN_CHIP).iterdir():
        (second / file.name).write_text(file.read_text())
    (second / "curr1_input").write_text("1\n")
    rails = find_rails(root).by_label
    assert rails["VDD_IN"].measure(0) == 4800.0
    assert rails["VDD_IN (hwmon2)"].measure(0) == 5.0


def test_usb_power_contract_is_not_a_measurement(tmp_path):
    rails = find_rails(make_board(tmp_path, "thor")).by_label
    assert rails["VIN"].measure(0) == 20986.0
    assert len(rails) == 4


def test_rail_without_a_label_is_the_input_of_thor(tmp_path):
    root = make_board(tmp_path, "thor")
    (tmp_path / HWMON / "hwmon6" / "label").unlink()
    assert find_meter(root).total == "VIN (board input)"


def test_zero_and_negative_power_are_readings(tmp_path):
    root = make_board(tmp_path, "orin_nano")
    for current_ma in (0, -12):
        (tmp_path / ORIN_CHIP / "curr1_input").write_text(f"{current_ma}\n")
        assert read_total(root) == 5.0 * current_ma


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda file: file.write_text(""), "gives no number: b'' in {file}"),
        (lambda file: file.write_text("n/a\n"), "gives no number: b'n/a\\n' in {file}"),
        (Path.unlink, "is gone: {file}"),
        (
            lambda file: (file.unlink(), file.symlink_to("/proc/self/mem")),
            "cannot be read: Input/output error ({file})",
        ),
    ],
)
def test_rail_that_cannot_be_read_says_why_and_comes_back(tmp_path, spoil, reason):
    root = make_board(tmp_path, "agx_orin")
    meter = find_meter(root)
    file = tmp_path / HWMON / "hwmon9" / "curr2_input"
    kept = file.read_text()
    spoil(file)
    sample = meter.read()
    why = reason.format(file=file)
    assert sample.rails_mw["VDD_CPU_CV"] == Unavailable(why)
    assert sample.rails_mw["VDD_GPU_SOC"] == 2410.0, "the others are read"
    assert meter.totals[0].add_up(sample.rails_mw) == Unavailable(f"VDD_CPU_CV {why}")
    file.unlink(missing_ok=True)
    file.write_text(kept)
    assert meter.totals[0].add_up(meter.read().rails_mw) == BOARDS["agx_orin"].power_mw


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EAGAIN, "sleeps: it has no power now (EAGAIN)"),
        (errno.ENODATA, "is disabled: echo 1 | sudo tee /sys/class/hwmon/hwmon3/in2_enable"),
        (errno.ENODEV, "is gone: /sys/class/hwmon/hwmon3/curr2_input"),
        (errno.EACCES, "is for root only here: sudo chmod a+r /sys/class/hwmon/hwmon3/*"),
        (errno.EIO, "cannot be read: Input/output error (/sys/class/hwmon/hwmon3/curr2_input)"),
    ],
)
def test_each_failure_of_a_channel_has_its_own_words(number, said):
    file = Path("/sys/class/hwmon/hwmon3/curr2_input")
    assert _explain(file, OSError(number, os.strerror(number))) == said


def test_reason_names_the_board_when_it_has_no_rails(tmp_path):
    found = find_meter(make_board(tmp_path, "jetson_without_rails"))
    assert found == Unavailable("Orin Nano 8GB: none of its power rails was found")


def test_reason_names_the_rails_that_make_no_total(tmp_path):
    root = make_board(tmp_path, "agx_orin")
    (tmp_path / HWMON / "hwmon9" / "name").write_text("other\n")
    assert find_meter(root) == Unavailable(
        "AGX Orin: none of its power rails was found (only VDDQ_VDD2_1V8AO, VIN_SYS_5V0)"
    )


@pytest.mark.parametrize(
    ("board", "folders", "file"),
    [
        ("orin_nano", [ORIN_CHIP], "curr1_input"),
        ("agx_orin", [f"{HWMON}/hwmon9", f"{HWMON}/hwmon10"], "curr*_input"),
        ("tx2", [f"{IIO}/0-0041/iio:device0"], "in_power0_input"),
    ],
)
def test_reason_names_one_command_when_rails_are_for_root(open_folder, board, folders, file):
    """AGX Orin with JetPack 5: a reading that never comes is not 0 W and not "not yet"."""
    root = make_board(open_folder, board)
    for folder in folders:
        for closed in (open_folder / folder).glob(file):
            close_to_others(closed)
    with as_nobody():
        found = find_meter(root)
    command = " ".join(f"{open_folder / folder}/*" for folder in folders)
    assert found == Unavailable(
        f"{BOARDS[board].total} is for root only here: sudo chmod a+r {command}"
    )


def test_reason_names_the_command_when_even_labels_are_for_root(open_folder):
    root = make_board(open_folder, "xavier_nx")
    chip = open_folder / IIO / "7-0040" / "iio:device0"
    for file in chip.iterdir():
        close_to_others(file)
    with as_nobody():
        found = find_meter(root)
    assert found == Unavailable(f"the power rails are for root only here: sudo chmod a+r {chip}/*")


def test_rail_that_is_for_root_does_not_hide_the_total(open_folder):
    root = make_board(open_folder, "orin_nano")
    close_to_others(open_folder / ORIN_CHIP / "curr2_input")
    with as_nobody():
        sample = find_meter(root).read()
    assert sample.rails_mw["VDD_IN"] == 4800.0
    assert "is for root only here: sudo chmod a+r" in sample.rails_mw["VDD_CPU_GPU_CV"].reason


def test_real_machine_gives_a_meter_or_a_reason():
    found = find_meter(SysRoot(Path("/")))
    if isinstance(found, Unavailable):
        assert found.reason
    else:
        assert found.total
        found.close()
