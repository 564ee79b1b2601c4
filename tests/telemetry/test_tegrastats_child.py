"""NVIDIA's program as a source: a child that is watched, reaped, and never started again."""

from __future__ import annotations

import os
import signal
import stat
import threading
from pathlib import Path

import pytest
from boards import make_board
from doubles import DEADLINE_S
from tegrastats_lines import NANO, ORIN, THOR, TX1

from edge.board import SysRoot
from edge.record import PowerReading, Unavailable
from edge.telemetry.power import PowerSampler

HERE = SysRoot(Path("/"))


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Give a function that puts a `tegrastats` on the path, a shell script; gives its folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def write(script):
        file = folder / "tegrastats"
        file.write_text(f"#!/bin/sh\ncd {folder}\n{script}\n")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
        return folder

    return write


def play(*lines, then="sleep 1000"):
    """Give a script that prints lines, tells its number and arguments, and goes on."""
    said = "\n".join(f"echo '{line}'" for line in lines)
    return f'echo "$$ $*" > started\n{said}\n{then}'


def is_alive(number):
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("line", "total", "power_mw"),
    [
        (NANO, "POM_5V_IN (module)", 1000.0),
        (ORIN, "VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0 (module)", 8700.0),
        (f"{THOR} VIN 16802mW/8401mW", "VIN (board input)", 16_802.0),
    ],
)
def test_lines_are_read_as_they_come(program, line, total, power_mw):
    """The second figure of a rail, a mean since the program began, is not used."""
    folder = program(play("warming up", line))
    with PowerSampler(HERE, source="tegrastats", hz=20) as sampler:
        reading = sampler.wait_for_reading(DEADLINE_S)
        number, *words = (folder / "started").read_text().split()
    assert (reading.total, reading.power_mw) == (total, power_mw)
    assert words == ["--interval", "50"]
    assert not is_alive(int(number)), "reaped"


def test_all_rails_are_told_and_one_that_a_line_lacks_is_none(program):
    lines = ["CPU [1%@9] VDD_IN 5000/1 VDD_SOC 900/1", "CPU [1%@9] VDD_IN 7000/1"]
    program(play(*lines))
    with PowerSampler(HERE, source="tegrastats") as sampler:
        with sampler._changed:
            assert sampler._changed.wait_for(
                lambda: getattr(sampler.read(), "power_mw", 0) == 7000.0, DEADLINE_S
            )
        reading = sampler.read()
    assert reading.rails_mw == {"VDD_IN": 7000.0, "VDD_SOC": None}
    assert reading.energy_j == pytest.approx(6.0 * reading.covered_s)
    assert reading.energy_error_j == pytest.approx(1.0 * reading.covered_s)


def test_line_that_lacks_a_summand_does_not_make_another_total(program):
    lines = [ORIN, ORIN[: ORIN.index("VIN_SYS_5V0")]]
    program(play(*lines))
    with PowerSampler(HERE, source="tegrastats") as sampler:
        with sampler._changed:
            assert sampler._changed.wait_for(
                lambda: getattr(sampler.read(), "rails_mw", {}).get("VIN_SYS_5V0", 0) is None,
                DEADLINE_S,
            )
        reading = sampler.read()
    assert reading.total == "VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0 (module)"
    assert reading.power_mw == 8700.0


@pytest.mark.parametrize(
    ("then", "reason"),
    [
        ("exit 3", 'tegrastats ended with code 3: "sorry"'),
        ("exit 0", 'tegrastats ended with code 0: "sorry"'),
        ("kill -KILL $$", 'tegrastats was ended by SIGKILL: "sorry"'),
    ],
)
@pytest.mark.parametrize("line", [ORIN, ""])
def test_death_is_told_with_its_last_words_and_nothing_is_started_again(
    program, line, then, reason
):
    folder = program(f"echo >> starts\necho '{line}'\necho sorry >&2\n{then}")
    with PowerSampler(HERE, source="tegrastats") as sampler:
        sampler._thread.join(DEADLINE_S)
        assert sampler.wait_for_reading(DEADLINE_S) == Unavailable(reason)
        assert sampler.over
    assert (folder / "starts").read_text() == "\n"


def test_board_that_shows_no_rail_to_a_user_has_a_reason(program):
    program(play(TX1))
    with PowerSampler(HERE, source="tegrastats") as sampler:
        with sampler._changed:
            assert sampler._changed.wait_for(lambda: sampler._last is not None, DEADLINE_S)
        assert "root alone" in sampler.read().reason


def test_program_that_does_not_obey_is_killed_with_what_it_started(program):
    """A wrapper's child would hold the pipe open, and the thread with it."""
    folder = program("trap '' TERM\n" + play(NANO, then="sleep 1000 & echo $! > child\nwait"))
    with PowerSampler(HERE, source="tegrastats") as sampler:
        assert isinstance(sampler.wait_for_reading(DEADLINE_S), PowerReading)
        ended = threading.Event()
        (number, *_) = (folder / "started").read_text().split()
        while not (folder / "child").exists() or not (folder / "child").read_text():
            assert not ended.wait(0.01)
    assert not is_alive(int(number))


def test_program_that_is_missing_or_cannot_run_has_a_reason(tmp_path, program, monkeypatch):
    folder = program("")
    (folder / "tegrastats").write_bytes(b"\x7fELF nothing")
    with PowerSampler(HERE, source="tegrastats") as sampler:
        assert sampler.read().reason.startswith("tegrastats cannot be started: ")
    monkeypatch.setenv("PATH", str(tmp_path))
    with PowerSampler(HERE, source="tegrastats") as sampler:
        assert sampler.read() == Unavailable(
            "tegrastats is not on this machine: it comes with JetPack"
        )
        assert sampler.over


def test_cost_of_the_program_is_counted_too(program):
    work = "n=0; while [ $n -lt 20000 ]; do n=$((n + 1)); done"
    program(f"{work}\n" + play(NANO))
    with PowerSampler(HERE, source="tegrastats") as sampler:
        sampler.wait_for_reading(DEADLINE_S)
        elsewhere_ns = sampler._source.elsewhere_ns()
        assert sampler._cpu_ns > elsewhere_ns / 2 > 1_000_000
    assert sampler._source.elsewhere_ns() == 0, "reaped"


def test_kernel_is_asked_unless_it_is_said_otherwise(tmp_path, program):
    folder = program(play(NANO))
    with PowerSampler(make_board(tmp_path / "root", "orin_nano")) as sampler:
        assert sampler.wait_for_reading(DEADLINE_S).power_mw == 4800.0
    assert not (folder / "started").exists()


def test_ctrl_c_of_the_terminal_is_not_the_childs(program):
    """It goes to all of a process group; ours answers it with a whole summary."""
    folder = program(play(NANO))
    with PowerSampler(HERE, source="tegrastats") as sampler:
        sampler.wait_for_reading(DEADLINE_S)
        number = int((folder / "started").read_text().split()[0])
        assert os.getpgid(number) == number != os.getpgid(0)
        os.killpg(number, signal.SIGTERM)
        sampler._thread.join(DEADLINE_S)
        assert "SIGTERM" in sampler.read().reason
