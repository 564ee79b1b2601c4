"""Power of a PC: RAPL's counters, which wrap, and NVIDIA's cards beside them."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from boards import BOARDS, RAPL, as_nobody, close_to_others, make_board
from hypothesis import given
from hypothesis import strategies as st

from edge.record import Unavailable
from edge.telemetry.desktop import RaplPackage
from edge.telemetry.meter import find_meter

WANTS_TWO = Unavailable("is a counter, which wants two readings")


class FakeNVMLError(Exception):
    """What NVML raises."""


@pytest.fixture
def nvml(monkeypatch):
    """Give a stand-in of the library with two cards, which `import pynvml` then finds."""
    powers_mw = [31_500, 280_000]
    library = SimpleNamespace(
        NVMLError=FakeNVMLError, powers_mw=powers_mw, calls=[],
        nvmlInit=lambda: library.calls.append("init"),
        nvmlShutdown=lambda: library.calls.append("shutdown"),
        nvmlDeviceGetCount=lambda: len(powers_mw),
        nvmlDeviceGetHandleByIndex=lambda number: number,
        nvmlDeviceGetPowerUsage=lambda number: give(powers_mw[number]),
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "pynvml", library)
    return library


def give(power_mw):
    """Answer with a power, or with NVML's error if that is what the card has."""
    if isinstance(power_mw, str):
        raise FakeNVMLError(power_mw)
    return power_mw


def with_driver(folder, board):
    root = make_board(folder, board)
    version = folder / "proc/driver/nvidia/version"
    version.parent.mkdir(parents=True)
    version.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module\n")
    return root


def test_cards_and_packages_add_up(tmp_path, nvml):
    meter = find_meter(with_driver(tmp_path, "pc"))
    assert meter.total == "NVML + RAPL package (GPU and CPU only)"
    first = meter.read().rails_mw
    assert first == {"NVML GPU 0": 31_500.0, "NVML GPU 1": 280_000.0, "RAPL package": WANTS_TWO}
    assert meter.totals[0].add_up(first) == Unavailable(f"RAPL package {WANTS_TWO.reason}")
    second = meter.read().rails_mw
    assert meter.totals[0].add_up(second) == 311_500.0 + second["RAPL package"]
    meter.close()
    meter.close()
    assert nvml.calls == ["init", "shutdown"]


def test_cards_alone_make_a_total(tmp_path, nvml):
    meter = find_meter(with_driver(tmp_path, "bare"))
    assert (meter.total, meter.totals[0].add_up(meter.read().rails_mw)) == (
        "NVML (GPU only)", 311_500.0,
    )  # fmt: skip
    nvml.powers_mw[1] = "Unknown Error"
    assert meter.read().rails_mw["NVML GPU 1"] == Unavailable("cannot be read: Unknown Error")
    meter.close()


def test_card_that_tells_no_power_is_named_and_not_counted(tmp_path, nvml):
    nvml.powers_mw[0] = "Not Supported"
    meter = find_meter(with_driver(tmp_path, "bare"))
    sample = meter.read()
    assert sample.rails_mw["NVML GPU 0"] == Unavailable("cannot be read: Not Supported")
    assert meter.totals[0].add_up(sample.rails_mw) == 280_000.0
    meter.close()


def test_library_is_let_go_where_no_card_tells_its_power(tmp_path, nvml):
    nvml.powers_mw[:] = ["Not Supported"]
    found = find_meter(with_driver(tmp_path, "bare"))
    assert found == Unavailable("NVML GPU 0 cannot be read: Not Supported")
    assert nvml.calls == ["init", "shutdown"]


def test_driver_that_does_not_answer_has_a_reason(tmp_path, nvml):
    nvml.nvmlInit = lambda: give("Driver/library version mismatch")
    found = find_meter(with_driver(tmp_path, "bare"))
    assert found == Unavailable("NVML GPU cannot be read: Driver/library version mismatch")


def test_library_that_is_not_installed_is_named_and_the_processor_still_read(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    meter = find_meter(with_driver(tmp_path, "pc"))
    assert meter.total == "RAPL package (CPU only)"
    said = meter.read().rails_mw["NVML GPU"].reason
    assert said.startswith("is not measured: nvidia-ml-py: not installed. Install it with: ")
    assert said.endswith("-m pip install 'edge[nvml]'")


@pytest.mark.parametrize("board", ["orin_nano", "jetson_without_rails", "pc"])
def test_library_is_not_touched_on_a_jetson_nor_without_its_driver(tmp_path, nvml, board):
    root = make_board(tmp_path, "pc") if board == "pc" else with_driver(tmp_path, board)
    find_meter(root)
    assert nvml.calls == []


def test_reason_is_given_when_a_machine_measures_nothing(tmp_path):
    found = find_meter(make_board(tmp_path, "bare"))
    assert found == Unavailable("no power rail, no RAPL and no NVIDIA GPU on this machine")


def test_reason_names_the_command_when_rapl_is_for_root():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        root = make_board(folder, "pc")
        counter = folder / RAPL / "energy_uj"
        close_to_others(counter)
        with as_nobody():
            found = find_meter(root)
    assert found == Unavailable(f"RAPL package is for root only here: sudo chmod a+r {counter}")


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("energy_uj", "broken", "RAPL package gives no reading"),
        ("max_energy_range_uj", "", "RAPL package gives no reading"),
        ("max_energy_range_uj", "0", "RAPL package has a counter without a range"),
    ],
)
def test_reason_is_given_when_rapl_gives_no_number(tmp_path, file, content, reason):
    root = make_board(tmp_path, "pc")
    (tmp_path / RAPL / file).write_text(content)
    assert find_meter(root) == Unavailable(reason)


def test_packages_are_counted_and_their_parts_and_the_platform_are_not(tmp_path):
    root = make_board(tmp_path, "pc")
    for zone, name in (("0", "package-0"), ("0:0", "core"), ("1", "package-1"), ("2", "psys")):
        folder = tmp_path / "sys/class/powercap" / f"intel-rapl:{zone}"
        folder.mkdir(exist_ok=True)
        (folder / "name").write_text(f"{name}\n")
        (folder / "energy_uj").write_text("5\n")
        (folder / "max_energy_range_uj").write_text("100\n")
    assert find_meter(root).totals[0].parts == ("RAPL package-0", "RAPL package-1")


def test_rapl_gives_the_mean_since_the_last_reading(tmp_path):
    make_board(tmp_path, "pc")
    counter = tmp_path / RAPL / "energy_uj"
    package = RaplPackage("p", counter, wrap_uj=10**9)
    assert package.measure(1_000_000_000) == WANTS_TWO
    counter.write_text("4000000\n")
    assert package.measure(3_000_000_000) == 1500.0
    assert package.measure(3_000_000_000) == WANTS_TWO, "no time went by"
    counter.unlink()
    assert "No such file" in package.measure(4_000_000_000).reason
    assert find_meter(make_board(tmp_path, "pc")).total == BOARDS["pc"].total


@pytest.fixture(scope="module")
def counter(tmp_path_factory):
    return tmp_path_factory.mktemp("rapl") / "energy_uj"


@given(
    start_uj=st.integers(0, 999_999),
    spent_uj=st.lists(st.integers(0, 999_999), min_size=1, max_size=6),
    step_ns=st.integers(1, 10**10),
)
def test_rapl_counts_over_the_wrap(counter, start_uj, spent_uj, step_ns):
    package = RaplPackage("p", counter, wrap_uj=1_000_000)
    energy_uj = start_uj
    counter.write_text(str(energy_uj))
    assert package.measure(0) == WANTS_TWO
    for number, spent in enumerate(spent_uj, start=1):
        energy_uj = (energy_uj + spent) % 1_000_000
        counter.write_text(str(energy_uj))
        assert package.measure(number * step_ns) == pytest.approx(spent / step_ns * 1e6)
