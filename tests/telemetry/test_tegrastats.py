"""Every format of tegrastats is read, no text raises, and each total is the right one."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tegrastats_lines import LINES, NANO, ORIN, THOR, TX1, XAVIER, spoil

from edge.record import Unavailable
from edge.telemetry.power_log import LoadSummary, read_log
from edge.telemetry.tegrastats import (
    CpuCore,
    EngineLoad,
    Iram,
    RailPower,
    Ram,
    Swap,
    Temperature,
    parse_tegrastats,
)

START = datetime.fromisoformat("2026-05-09T18:42:06")
"""Without a zone, as a board prints it: the time of `ORIN`."""

TOTALS = {
    NANO: ("POM_5V_IN (module)", 1000),
    XAVIER: ("GPU + CPU + SOC + CV + VDDRQ + SYS5V (module)", 3200),
    ORIN: ("VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0 (module)", 8700),
    THOR: ("VDD_GPU + VDD_CPU_SOC_MSS + VIN_SYS_5V0 (module)", -392 + 7953 + 6667),
    f"{THOR} VIN 16802mW/8401mW": ("VIN (board input)", 16802),
    "CPU [1%@9] VDD_IN 4824mW/4825mW VDD_SOC 1475mW/1475mW": ("VDD_IN (module)", 4824),
}


def summarize_log(lines, interval_ms):
    log = read_log(lines, interval_ms)
    return log if isinstance(log, Unavailable) else log.summary


def engine(sample, name):
    (found,) = [engine for engine in sample.engines if engine.name == name]
    return found


def stamped(second, words):
    return f"{START + timedelta(seconds=second):%m-%d-%Y %H:%M:%S} {words}"


def powers(*powers_mw):
    return [f"CPU [1%@9] VDD_IN {power_mw}/1" for power_mw in powers_mw]


@pytest.mark.parametrize("line", LINES)
def test_every_word_of_each_format_is_understood(line):
    sample = parse_tegrastats(line)
    assert sample.unknown == ()
    assert sample.is_tegrastats


def test_memory_of_a_nano_has_its_three_kinds():
    sample = parse_tegrastats(NANO)
    assert sample.ram == Ram(500, 3964, 9, 4096)
    assert sample.swap == Swap(5, 1982, 1)
    assert sample.iram == Iram(0, 252, 252)
    assert parse_tegrastats(THOR).ram == Ram(9, 12, 19, 512)


def test_cores_that_are_off_are_not_idle_ones():
    assert parse_tegrastats(NANO).cores == (
        CpuCore(16, 204),
        CpuCore(9, 204),
        CpuCore(None, None, off=True),
    )


def test_old_line_gives_one_clock_to_all_cores():
    assert parse_tegrastats(TX1).cores == (CpuCore(0, 1912), CpuCore(4, 1912))


def test_rail_and_zone_of_one_name_are_told_apart():
    sample = parse_tegrastats(XAVIER)
    assert sample.rails[:2] == (RailPower("GPU", 0, 10), RailPower("CPU", 300, 310))
    assert sample.temperatures == (Temperature("GPU", 37.5), Temperature("CPU", 38.0))


def test_zone_without_power_and_the_constant_one_are_no_temperatures():
    orin, thor = parse_tegrastats(ORIN), parse_tegrastats(THOR)
    assert (orin.powered_off, thor.powered_off) == (("CV0",), ("gpu",))
    assert orin.temperatures == (Temperature("cpu", 52.5),)
    assert thor.temperatures == (Temperature("cpu", 34.3, 34.8),)
    assert "PMIC" not in [zone.name for zone in parse_tegrastats(NANO).temperatures]
    assert parse_tegrastats("Tboard@-12.5C").temperatures == (Temperature("Tboard", -12.5),)


def test_absent_zero_and_negative_power_are_three_things():
    negative, *_ = parse_tegrastats(THOR).rails
    assert negative == RailPower("VDD_GPU", -392, 0, 10)
    assert parse_tegrastats(NANO).rails[1] == RailPower("POM_5V_GPU", 0, 0)
    assert parse_tegrastats(TX1).rails == ()


@pytest.mark.parametrize(
    ("line", "name", "expected"),
    [
        (ORIN, "GR3D", EngineLoad("GR3D", 12, (305, 306))),
        (ORIN, "NVENC", EngineLoad("NVENC", 79, (166,))),
        (ORIN, "NVDEC", EngineLoad("NVDEC", None, (), off=True)),
        (ORIN, "NVJPG1", EngineLoad("NVJPG1", None, (729,))),
        (THOR, "GR3D", EngineLoad("GR3D", None, (0, 0, 0))),
        (THOR, "NVENC0", EngineLoad("NVENC0", None, (1556,))),
        (XAVIER, "EMC", EngineLoad("EMC", 0)),
        (TX1, "VDE", EngineLoad("VDE", None, (0,))),
    ],
)
def test_engine_is_read_in_each_form(line, name, expected):
    assert engine(parse_tegrastats(line), name) == expected


def test_timestamp_is_the_boards_own():
    assert parse_tegrastats(ORIN).timestamp == START
    assert parse_tegrastats(NANO).timestamp is None
    assert parse_tegrastats("13-45-2026 18:42:06").timestamp is None


def test_what_is_not_known_or_comes_twice_is_kept_as_text():
    sample = parse_tegrastats("RAM 1/2MB WARP 9 VDD_IN 5/5 VDD_IN 6/6 cpu@3 VDD_SOC 14mW/1")
    assert sample.rails == (RailPower("VDD_IN", 5, 5),)
    unknown = ("WARP", "9", "VDD_IN", "6/6", "cpu@3", "VDD_SOC", "14mW/1")
    assert sample.unknown == unknown


def test_date_line_is_not_of_tegrastats():
    assert not parse_tegrastats("Tue Jan 26 18:22:31 UTC 2021").is_tegrastats


@pytest.mark.parametrize("digits", ["9" * 5000, "1²", "٣"])
def test_what_python_takes_for_no_number_is_unknown(digits):
    words = [f"{digits}/1", f"cpu@{digits}C", f"[{digits}%@1]", f"@{digits}"]
    sample = parse_tegrastats(f"VDD_IN {words[0]} {words[1]} CPU {words[2]} NVENC {words[3]}")
    assert sample.unknown == ("VDD_IN", words[0], words[1], "CPU", words[2], "NVENC", words[3])


@given(st.text())
def test_no_text_raises(text):
    parse_tegrastats(text)


@given(st.sampled_from(LINES), st.randoms(use_true_random=False))
def test_no_spoiled_line_raises(line, dice):
    spoiled = spoil(spoil(line, dice), dice)
    sample = parse_tegrastats(spoiled)
    assert set(sample.unknown) <= set(spoiled.split())


@given(st.integers(-99_999, 99_999), st.integers(-99_999, 99_999), st.sampled_from(["", "mW"]))
def test_any_power_is_read_as_printed(power_mw, mean_mw, unit):
    (rail,) = parse_tegrastats(f"VDD_IN {power_mw}{unit}/{mean_mw}{unit}").rails
    assert rail == RailPower("VDD_IN", power_mw, mean_mw)


@pytest.mark.parametrize("line", TOTALS)
def test_total_is_the_right_rail_or_sum(line):
    total = summarize_log([line], 1000).total
    assert (total.name, total.max_mw) == TOTALS[line]


def test_total_that_cannot_be_told_has_a_reason():
    assert "root alone" in summarize_log([TX1], 1000).total.reason
    found = summarize_log(["CPU [1%@9] VDD_GPU_SOC 1mW/1mW VDD_X 0mW/0mW"], 1000).total
    assert found == Unavailable("no known total of the rails VDD_GPU_SOC, VDD_X")


def test_curves_of_a_log_hold_each_reading_at_its_time():
    lines = [f"CPU [1%@9] VDD_IN {power_mw}/1 VDD_SOC 5/5" for power_mw in (1000, 3000)]
    log = read_log([lines[0], lines[1], "CPU [1%@9] VDD_SOC 7/7"], 500)
    soc = next(curve for curve in log.rails if curve.name == "VDD_SOC")
    assert (list(soc.times_s), list(soc.power_mw)) == ([0.0, 0.5, 1.0], [5.0, 5.0, 7.0])
    assert (log.total.name, list(log.total.times_s)) == ("VDD_IN (module)", [0.0, 0.5])
    assert log.summary.total.energy_error_j == 0.5
    assert read_log([TX1], 1000).total is None


def test_energy_of_a_ramp_is_exact():
    """0 to 10 W in 10 s are 50 J, by the interval and by the time stamps alike."""
    ramp = powers(*range(0, 10_001, 1000))
    by_interval = summarize_log(ramp, 1000)
    by_stamps = summarize_log([stamped(second, words) for second, words in enumerate(ramp)], 7)
    for summary in (by_interval, by_stamps):
        assert summary.total.energy_j == pytest.approx(50.0, rel=1e-9)
        assert (summary.total.min_mw, summary.total.max_mw) == (0, 10_000)
        assert summary.total.mean_mw == pytest.approx(5000.0)
        assert (summary.duration_s, summary.longest_step_s) == (10.0, 1.0)
    assert (by_interval.timed_by, by_stamps.timed_by) == ("interval", "timestamps")
    assert summarize_log(ramp, 100).total.energy_j == pytest.approx(5.0)


@pytest.mark.parametrize("missing", [0, 2])
def test_lines_of_one_second_are_spread_over_it(missing):
    """Five lines a second; the log begins and ends within a second."""
    words = powers(*[5000] * 20)
    lines = [stamped(number // 5, text) for number, text in enumerate(words)]
    summary = summarize_log(lines[missing : len(lines) - missing], 1000)
    assert summary.duration_s == pytest.approx((19 - 2 * missing) * 0.2)
    assert summary.longest_step_s == pytest.approx(0.2)
    assert summary.timed_by == "timestamps"


def test_stamps_that_are_all_the_same_tell_no_time():
    summary = summarize_log([stamped(0, words) for words in powers(1000, 1000, 1000)], 100)
    assert (summary.timed_by, summary.duration_s) == ("interval", 0.2)


def test_gap_is_bridged_and_told():
    first, second = powers(1000, 3000)
    summary = summarize_log([stamped(0, first), stamped(100, second)], 1000)
    assert (summary.longest_step_s, summary.total.energy_j) == (100.0, pytest.approx(200.0))


def test_clock_that_was_set_back_takes_no_energy_away():
    times = (100, 101, 50, 51)
    lines = [stamped(at, words) for at, words in zip(times, powers(*[2000] * 4), strict=True)]
    summary = summarize_log(lines, 1000)
    assert (summary.clock_set_back, summary.duration_s) == (1, 2.0)
    assert summary.total.energy_j == pytest.approx(4.0)


def test_cut_lines_neither_change_the_total_nor_the_time():
    """The end of a line may lack a rail of the sum, its start the time stamp."""
    whole = [ORIN.replace("18:42:06", f"18:42:{second:02}") for second in (6, 7, 8)]
    cut_short = whole[1][: whole[1].index("VIN_SYS_5V0")]
    summary = summarize_log(
        [whole[0][30:], "", "Tue Jan 26", whole[0], cut_short, whole[2], whole[2][25:]], 1000
    )
    assert (summary.samples, summary.unreadable_lines) == (3, 3)
    assert summary.total.readings == 2
    assert (summary.total.min_mw, summary.total.energy_j) == (8700, pytest.approx(2 * 8.7))


def test_load_that_was_not_measured_is_not_zero():
    nano, user = (
        summarize_log([NANO], 1000),
        summarize_log(["CPU [4%] EMC_FREQ 0% GR3D_FREQ 0%"], 1),
    )
    assert (nano.gpu, nano.emc) == (LoadSummary(3, 3), LoadSummary(7, 7))
    assert nano.cpu == LoadSummary(12.5, 12.5)
    assert user.gpu == user.emc == Unavailable("0% without a clock: run tegrastats as root")
    orin_user = stamped(0, "CPU [4%@9] GR3D_FREQ 0%")
    assert summarize_log([orin_user], 1).gpu == LoadSummary(0, 0)
    assert summarize_log([THOR], 1).gpu == Unavailable("tegrastats did not print it")


def test_log_without_a_line_of_tegrastats_has_a_reason():
    assert summarize_log(["hello", ""], 1000) == Unavailable("no line of tegrastats in it")


@given(st.lists(st.sampled_from(LINES) | st.text(), max_size=12), st.randoms(use_true_random=False))
def test_no_log_raises(lines, dice):
    summarize_log([spoil(line, dice) if line else line for line in lines], 1000)


def real_files(shared_data):
    folders = (shared_data / "jetson" / "tegrastats", shared_data / "jetson" / "logs")
    return [file for folder in folders for file in sorted(folder.iterdir())]


@pytest.mark.shared_data
def test_every_word_of_every_real_line_is_understood(shared_data):
    for file in real_files(shared_data):
        for number, line in enumerate(file.read_text().splitlines()):
            sample = parse_tegrastats(line)
            if (file.name, number) == ("tx2_jp4_user.log", 0):
                assert not sample.is_tegrastats, "the date at its head"
                continue
            assert sample.is_tegrastats, f"{file.name}: {line}"
            assert sample.unknown == (), f"{file.name}: {line}"
            names = {
                word.split("@")[0] for word in line.split() if "@" in word and word.endswith("C")
            } - {"PMIC"}
            found = {zone.name for zone in sample.temperatures} | set(sample.powered_off)
            assert found == names, f"{file.name}: {line}"


@pytest.mark.shared_data
def test_every_real_log_with_rails_has_a_total(shared_data):
    for file in real_files(shared_data):
        summary = summarize_log(file.read_text().splitlines(), 1000)
        assert isinstance(summary.total, Unavailable) == (not summary.rails), file.name
        if summary.rails:
            assert summary.total.min_mw > 0, file.name
