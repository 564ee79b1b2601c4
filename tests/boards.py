"""Machines as folders: the files of /proc, /etc and /sys that edge reads, built from a table.

Values come from public samples (see ../shared/data/jetson); hwmon numbers differ between boots and
are chosen to be out of order. In real life `in4` to `in7` of an INA3221 are shunt voltages.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.board import SysRoot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOBODY = 65534
HWMON = "sys/class/hwmon"
IIO = "sys/bus/i2c/drivers/ina3221x"
RAPL = "sys/class/powercap/intel-rapl:0"
RELEASE = "# R36 (release), REVISION: 4.7, GCID: 42132812, BOARD: generic, EABI: aarch64\n"


def ina3221(number: int, *rails: tuple[str, int, int]) -> dict[str, str]:
    """Give the files of a monitor chip; rails are (label, millivolt, milliampere)."""
    chip = f"{HWMON}/hwmon{number}"
    files = {f"{chip}/name": "ina3221\n", f"{chip}/in7_label": "sum of shunt voltages\n"}
    for channel, (label, voltage_mv, current_ma) in enumerate(rails, start=1):
        files[f"{chip}/in{channel}_label"] = f"{label}\n"
        files[f"{chip}/in{channel}_input"] = f"{voltage_mv}\n"
        files[f"{chip}/curr{channel}_input"] = f"{current_ma}\n"
        files[f"{chip}/in{channel + 3}_input"] = "3\n"
    return files


def iio(address: str, device: int, *rails: tuple[str, int]) -> dict[str, str]:
    """Give the files of a monitor chip of JetPack 4; rails are (label, milliwatt)."""
    chip = f"{IIO}/{address}/iio:device{device}"
    files = {}
    for channel, (label, power_mw) in enumerate(rails):
        files[f"{chip}/rail_name_{channel}"] = f"{label}\n"
        files[f"{chip}/in_power{channel}_input"] = f"{power_mw}\n"
        files[f"{chip}/in_voltage{channel}_input"] = "5000\n"
        files[f"{chip}/in_current{channel}_input"] = f"{power_mw // 5}\n"
        files[f"{chip}/crit_current_limit_{channel}"] = "32760 ma\n"
    return files


@dataclass(frozen=True)
class FakeBoard:
    """One row of the table.

    Attributes:
        files: path below the root to content.
        module: what `detect_board` should say, None for a PC.
        total: which total the power meter should name, None where there is none.
        power_mw: its reading.
    """

    files: dict[str, str]
    module: str | None
    total: str | None
    power_mw: float | None


def jetson(compatible: str, *chips: dict[str, str]) -> dict[str, str]:
    files = {
        "proc/device-tree/compatible": compatible.replace(";", "\0") + "\0",
        "etc/nv_tegra_release": RELEASE,
        f"{HWMON}/hwmon0/name": "cpu_thermal\n",
    }
    for chip in chips:
        files |= chip
    return files


ORIN_NANO = "nvidia,p3768-0000+p3767-0005-super;nvidia,p3767-0005;nvidia,tegra234"
AGX_ORIN = "nvidia,p3737-0000+p3701-0000;nvidia,p3701-0000;nvidia,tegra234"
THOR_RAILS = ina3221(
    4, ("VDD_GPU", 19864, -20), ("VDD_CPU_SOC_MSS", 19856, 300), ("VIN_SYS_5V0", 5000, 800)
)
THOR_INPUT = {
    f"{HWMON}/hwmon6/name": "ina238\n",
    f"{HWMON}/hwmon6/label": "VIN\n",
    f"{HWMON}/hwmon6/power1_input": "20986000\n",
    f"{HWMON}/hwmon5/name": "ucsi_source_psy_USBC000:001\n",
    f"{HWMON}/hwmon5/power1_input": "140000000\n",
}

BOARDS = {
    "orin_nano": FakeBoard(
        jetson(
            ORIN_NANO,
            ina3221(
                1, ("VDD_IN", 5000, 960), ("VDD_CPU_GPU_CV", 5000, 104), ("VDD_SOC", 5000, 295)
            ),
        ),
        "Orin Nano 8GB",
        "VDD_IN (module)",
        4800.0,
    ),
    "agx_orin": FakeBoard(
        jetson(
            AGX_ORIN,
            ina3221(9, ("VDD_GPU_SOC", 5000, 482), ("VDD_CPU_CV", 5000, 321), ("NC", 5000, 999)),
            ina3221(10, ("NC", 0, 0), ("VDDQ_VDD2_1V8AO", 5000, 140), ("VIN_SYS_5V0", 5000, 941)),
        ),
        "AGX Orin",
        "VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0 (module)",
        5.0 * (482 + 321 + 941),
    ),
    "thor": FakeBoard(
        jetson("nvidia,p3971-0080+p3834-0008;nvidia,tegra264", THOR_RAILS, THOR_INPUT),
        "AGX Thor",
        "VIN (board input)",
        20986.0,
    ),
    "thor_without_input": FakeBoard(
        jetson("nvidia,tegra264", THOR_RAILS),
        "tegra264",
        "VDD_GPU + VDD_CPU_SOC_MSS + VIN_SYS_5V0 (module)",
        (19864 * -20 + 19856 * 300 + 5000 * 800) / 1000,
    ),
    "nano": FakeBoard(
        jetson(
            "nvidia,p3449-0000-b00+p3448-0000-b00;nvidia,jetson-nano;nvidia,tegra210",
            iio("6-0040", 0, ("POM_5V_IN", 1022), ("POM_5V_GPU", 0), ("POM_5V_CPU", 204)),
        ),
        "Nano",
        "POM_5V_IN (module)",
        1022.0,
    ),
    "tx2": FakeBoard(
        jetson(
            "nvidia,quill;nvidia,tegra186",
            iio("0-0040", 1, ("VDD_SYS_GPU", 152), ("VDD_SYS_SOC", 687), ("VDD_4V0_WIFI", 0)),
            iio("0-0041", 0, ("VDD_IN", 3056), ("VDD_SYS_CPU", 152), ("VDD_SYS_DDR", 883)),
            iio("0-0042", 2, ("VDD_MUX", 1900), ("VDD_5V0_IO_SYS", 700), ("VDD_3V3_SYS", 400)),
        ),
        "tegra186",
        "VDD_IN (module)",
        3056.0,
    ),
    "xavier_nx": FakeBoard(
        jetson(
            "nvidia,p3449-0000+p3668-0001;nvidia,tegra194",
            iio("7-0040", 0, ("VDD_IN", 4067), ("VDD_CPU_GPU_CV", 738), ("VDD_SOC", 1353)),
        ),
        "Xavier NX",
        "VDD_IN (module)",
        4067.0,
    ),
    "agx_xavier": FakeBoard(
        jetson(
            "nvidia,galen;nvidia,jetson-xavier;nvidia,p2822-0000+p2888-0001;nvidia,tegra194",
            iio("1-0040", 0, ("GPU", 467), ("CPU", 467), ("SOC", 1245)),
            iio("1-0041", 1, ("CV", 0), ("VDDRQ", 311), ("SYS5V", 2768)),
        ),
        "AGX Xavier",
        "GPU + CPU + SOC + CV + VDDRQ + SYS5V (module)",
        5258.0,
    ),
    "jetson_without_rails": FakeBoard(jetson(ORIN_NANO), "Orin Nano 8GB", None, None),
    "pc": FakeBoard(
        {f"{RAPL}/energy_uj": "1000000\n", f"{RAPL}/max_energy_range_uj": "262143328850\n"},
        None,
        "RAPL package (CPU only)",
        None,
    ),
    "bare": FakeBoard({}, None, None, None),
}


def make_board(root: Path, name: str) -> SysRoot:
    """Write a machine's files below `root`."""
    for file, content in BOARDS[name].files.items():
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return SysRoot(root)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Lose root's rights over files for a moment."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


def close_to_others(file: Path) -> None:
    """Leave a file to root alone, or to nobody where the tests do not run as root."""
    file.chmod(0o400 if os.geteuid() == 0 else 0o000)
