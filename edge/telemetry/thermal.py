"""How hot the machine is: the kernel's thermal zones, and the CPU's own sensors on a PC.

Source: kernel `Documentation/driver-api/thermal/sysfs-api.rst` and
`Documentation/hwmon/coretemp.rst`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edge.board import SysRoot

CPU_CHIPS = ("coretemp", "k10temp")
ASLEEP_MC = -256_000
"""What a zone without power reads on JetPack 5; later ones answer EAGAIN."""

_SUFFIX = re.compile(r"[-_]therm(al)?$")


def read_temperatures(root: SysRoot) -> dict[str, float]:
    """Give the heat in degrees Celsius by zone, named as tegrastats names them: "gpu", "tj".

    A zone that sleeps is left out, and so is PMIC, which is a constant on every Jetson.
    """
    found: dict[str, float] = {}
    for name, heat_mc in _readings(root):
        if heat_mc is None or heat_mc <= ASLEEP_MC or name.lower().startswith("pmic"):
            continue
        found[_unused(_SUFFIX.sub("", name), found)] = heat_mc / 1000
    return found


def _readings(root: SysRoot) -> Iterator[tuple[str, int | None]]:
    for zone in root.glob("sys/class/thermal/thermal_zone*"):
        yield root.read_text(zone / "type") or zone.name, root.read_int(zone / "temp")
    for chip in root.glob("sys/class/hwmon/hwmon*"):
        if root.read_text(chip / "name") in CPU_CHIPS:
            for sensor in sorted(chip.glob("temp*_input")):
                label = sensor.name.replace("_input", "_label")
                yield root.read_text(chip / label) or sensor.name, root.read_int(sensor)


def _unused(name: str, taken: Mapping[str, float]) -> str:
    """Number the second zone of a name: a PC may have several of "acpitz"."""
    number = 1
    while (numbered := name if number == 1 else f"{name} {number}") in taken:
        number += 1
    return numbered
