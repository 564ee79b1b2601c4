"""What `boards` lacks of a machine: heat, clocks, load, power mode, throttling and its names.

Zone, node and mode names are those of ../shared/data/jetson; the numbers of zones and of hwmon are
out of order on purpose. A value of "" stands for a zone that has no power.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from boards import BOARDS, HWMON, ina3221

from edge.board import SysRoot

if TYPE_CHECKING:
    from pathlib import Path

OC_CHIP = f"{HWMON}/hwmon3"
CPUS = "sys/devices/system/cpu"
THERMAL = "sys/class/thermal"
DEVFREQ = "sys/class/devfreq"
R36_REST = "# KERNEL_VARIANT: oot\nTARGET_USERSPACE_LIB_DIR=nvidia\n"


@dataclass(frozen=True)
class State:
    """One machine of the table.

    Attributes:
        names: what /proc/device-tree/compatible holds, `;` for NUL.
        model: what /proc/device-tree/model holds.
        l4t: "36.4.7".
        jetpack: of that release.
        zones: thermal zone to milli-degC.
        gpu: its devfreq node.
        gpu_mhz: now, least, most.
        cpu_mhz: now, least, most, of every CPU.
        mode: what edge should call its power mode.
        modes: text of nvpmodel.conf; status holds the number of `mode`; empty where only the
            program tells it.
        more: further files.
    """

    names: str
    model: str
    l4t: str
    jetpack: str
    zones: dict[str, str]
    gpu: str
    gpu_mhz: tuple[float, float, float]
    cpu_mhz: tuple[float, float, float]
    mode: str
    modes: str
    more: dict[str, str] = field(default_factory=dict)

    def files(self) -> dict[str, str]:
        """Give path below the root to content."""
        files = {
            "proc/device-tree/compatible": self.names.replace(";", "\0") + "\0",
            "proc/device-tree/model": self.model + "\0",
            "etc/nv_tegra_release": self.release(),
            **devfreq(self.gpu, *self.gpu_mhz),
            **self.more,
        }
        for number, (kind, heat_mc) in enumerate(self.zones.items()):
            files[f"{THERMAL}/thermal_zone{number}/type"] = f"{kind}\n"
            files[f"{THERMAL}/thermal_zone{number}/temp"] = f"{heat_mc}\n"
        for number in (0, 1, 10, 2):
            for name, mhz in zip(("cur", "min", "max"), self.cpu_mhz, strict=True):
                path = f"{CPUS}/cpu{number}/cpufreq/scaling_{name}_freq"
                files[path] = f"{round(mhz * 1000)}\n"
        if self.modes:
            number = self.mode.split("(")[1].rstrip(")")
            files["etc/nvpmodel.conf"] = self.modes
            files["var/lib/nvpmodel/status"] = f"pmode:{int(number):04}"
        return files

    def release(self) -> str:
        """Give the text of /etc/nv_tegra_release."""
        major, _, minor = self.l4t.partition(".")
        rest = R36_REST if int(major) >= 36 else ""
        return f"# R{major} (release), REVISION: {minor}, GCID: 42132812, BOARD: generic\n{rest}"


def devfreq(node: str, now_mhz: float, min_mhz: float, max_mhz: float) -> dict[str, str]:
    """Give the files of a clock."""
    named = {"cur": now_mhz, "min": min_mhz, "max": max_mhz}
    return {f"{DEVFREQ}/{node}/{name}_freq": f"{round(mhz * 1e6)}\n" for name, mhz in named.items()}


def modes(*names: str, swapped: bool = False) -> str:
    """Give an nvpmodel.conf with these modes, numbered from 0."""
    lines = [
        f"< POWER_MODEL NAME={name} ID={number} >"
        if swapped
        else f"< POWER_MODEL ID={number} NAME={name} >"
        for number, name in enumerate(names)
    ]
    return "# FORMAT: < POWER_MODEL ID=id NAME=name >\n" + "\nCPU_ONLINE CORE_0 1\n".join(lines)


def over_current(**counts: int) -> dict[str, str]:
    """Give the counters of the chip that watches the supply."""
    files = {f"{OC_CHIP}/name": "soctherm_oc\n"}
    return files | {f"{OC_CHIP}/{name}_event_cnt": f"{count}\n" for name, count in counts.items()}


def alert(number: int, kind: str, state: int) -> dict[str, str]:
    """Give a cooling device."""
    folder = f"{THERMAL}/cooling_device{number}"
    return {f"{folder}/type": f"{kind}\n", f"{folder}/cur_state": f"{state}\n"}


ORIN_JP6 = {
    "cpu-thermal": "48687", "gpu-thermal": "", "cv0-thermal": "", "cv1-thermal": "",
    "cv2-thermal": "", "soc0-thermal": "47500", "soc1-thermal": "48031", "soc2-thermal": "47250",
    "tj-thermal": "49906",
}  # fmt: skip
ORIN_JP5 = {
    "CPU-therm": "47562", "GPU-therm": "-256000", "CV0-therm": "-256000", "SOC0-therm": "46781",
    "tj-therm": "47562",
}  # fmt: skip
ORIN_MORE = {
    **over_current(oc1=2, oc2=0, oc3=0),
    **alert(0, "pwm-fan", 3),
    **alert(1, "cpu-throttle-alert", 0),
    **alert(2, "gpu-throttle-alert", 0),
}
JP6_LOAD = "sys/devices/platform/bus@0/17000000.gpu/load"
NVPMODEL = """\
#!/bin/sh
echo 'NV Fan Mode:quiet'
echo 'NV Power Mode: MODE_15W_6CORE'
echo 2
echo 'NVPM ERROR: Error opening /sys/kernel/nvpmodel_emc_cap/emc_iso_cap: 13'
echo 'NVPM ERROR: Fan failed to set mode:quiet' >&2
"""

STATES = {
    "orin_nano": State(
        "nvidia,p3768-0000+p3767-0005-super;nvidia,p3767-0005;nvidia,tegra234",
        "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super",
        "36.4.7", "6.2.1", ORIN_JP6, "17000000.gpu", (306, 306, 1020), (1728, 729.6, 1728),
        "MAXN_SUPER (2)", modes("15W", "25W", "MAXN_SUPER", "7W"),
        {**ORIN_MORE, JP6_LOAD: "412\n"},
    ),
    "orin_nx": State(
        "nvidia,p3768-0000+p3767-0000;nvidia,p3767-0000;nvidia,tegra234",
        "NVIDIA Jetson Orin NX Engineering Reference Developer Kit",
        "36.4.3", "6.2", ORIN_JP6, "17000000.gpu", (918, 918, 918), (1984, 1984, 1984),
        "25W (3)", modes("MAXN", "10W", "15W", "25W"),
        {**ORIN_MORE, JP6_LOAD: "0\n", **ina3221(1, ("VDD_IN", 5000, 1200))},
    ),
    "agx_orin": State(
        "nvidia,p3737-0000+p3701-0000;nvidia,p3701-0000;nvidia,tegra234",
        "Jetson AGX Orin",
        "35.4.1", "5.1.2", ORIN_JP5, "17000000.ga10b", (306, 306, 1300.5), (1190.4, 729.6, 2201.6),
        "MAXN (0)", modes("MAXN", "MODE_15W", "MODE_30W", "MODE_50W"),
        {**ORIN_MORE, "sys/devices/platform/17000000.gpu/load": "125\n"},
    ),
    "thor": State(
        "nvidia,p3971-0080+p3834-0008;nvidia,tegra264",
        "NVIDIA Jetson AGX Thor Developer Kit",
        "38.2.0", "7.0",
        {"cpu-thermal": "41200", "gpu-thermal": "", "soc012-thermal": "40800",
         "tj-thermal": "41500"},
        "gpu-gpc-0", (0, 315, 1575), (2601, 972, 2601),
        "120W (1)", modes("MAXN", "120W", swapped=True),
        devfreq("bwmgr", 4266, 665.6, 4266),
    ),
    "xavier_nx": State(
        "nvidia,p3509-0000+p3668-0001;nvidia,tegra194",
        "NVIDIA Jetson Xavier NX Developer Kit",
        "35.3.1", "5.1.1",
        {"AUX-therm": "37000", "CPU-therm": "38500", "GPU-therm": "37500", "AO-therm": "37000",
         "PMIC-Die": "50000"},
        "17000000.gv11b", (114.75, 114.75, 1109.25), (1420.8, 115.2, 1420.8),
        "MODE_15W_6CORE (2)", "",
        {"sys/devices/gpu.0/load": "12\n", "usr/sbin/nvpmodel": NVPMODEL,
         **ina3221(1, ("VDD_IN", 5000, 800))},
    ),
    "nano": State(
        "nvidia,p3449-0000-b00+p3448-0000-b00;nvidia,jetson-nano;nvidia,tegra210",
        "NVIDIA Jetson Nano Developer Kit",
        "32.7.1", "4.6.1",
        {"AO-therm": "41500", "CPU-therm": "33500", "GPU-therm": "31500", "PLL-therm": "32000",
         "PMIC-Die": "100000", "thermal-fan-est": "32750"},
        "57000000.gpu", (230.4, 76.8, 921.6), (1036.8, 102, 1428),
        "MAXN (0)", modes("MAXN", "5W", swapped=True),
        {"sys/devices/gpu.0/load": "0\n"},
    ),
}  # fmt: skip


def write(root: Path, files: dict[str, str]) -> None:
    """Write some files of a machine anew."""
    for file, content in files.items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(content)


def make_whole_board(root: Path, name: str) -> SysRoot:
    """Write all that is known of a machine below `root`: its rails too, where `boards` has them."""
    rails = BOARDS[name].files if name in BOARDS else {}
    write(root, rails | STATES[name].files())
    for program in root.glob("usr/sbin/*"):
        program.chmod(0o755)
    return SysRoot(root)
