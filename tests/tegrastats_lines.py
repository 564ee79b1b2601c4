"""Lines in each format of tegrastats with figures of our own, and ways to spoil them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

NANO = (
    "RAM 500/3964MB (lfb 9x4MB) SWAP 5/1982MB (cached 1MB) IRAM 0/252kB(lfb 252kB)"
    " CPU [16%@204,9%@204,off] EMC_FREQ 7%@204 GR3D_FREQ 3%@76 APE 25 PLL@34C CPU@36.5C PMIC@100C"
    " POM_5V_IN 1000/1100 POM_5V_GPU 0/0"
)
XAVIER = (
    "RAM 7/9MB (lfb 1x4MB) CPU [2%@1190,off] EMC_FREQ 0% GR3D_FREQ 39% MTS fg 0% bg 1%"
    " GPU@37.5C CPU@38C GPU 0/10 CPU 300/310 SOC 900/930 CV 0/0 VDDRQ 600/620 SYS5V 1400/1480"
)
ORIN = (
    "05-09-2026 18:42:06 RAM 18207/62841MB (lfb 466x4MB)  SWAP 86/31420MB (cached 0MB) "
    " CPU [14%@2188,5%@2112] EMC_FREQ 3%@2133 GR3D_FREQ 12%@[305,306] NVENC 79%@166 NVDEC off"
    " NVJPG1 729 VIC_FREQ 115 APE 174 CV0@-256C cpu@52.5C VDD_GPU_SOC 2400mW/2500mW"
    " VDD_CPU_CV 1600mW/1607mW VIN_SYS_5V0 4700mW/4707mW NC 0mW/0mW VDDQ_VDD2_1V8AO 301mW/301mW"
    " NC 0mW/0mW"
)
THOR = (
    "07-23-2026 15:29:27 RAM 9/12MB (lfb 19x512kB) CPU [40%@972] EMC_FREQ 7%@3200"
    " GR3D_FREQ @[0,0,0] NVENC0_FREQ @1556 PVA0_FREQ off cpu@34.3C/34.8C gpu@-256C/35C"
    " VDD_GPU -392mW/0mW/10mW VDD_CPU_SOC_MSS 7953mW/8332mW/8710mW VIN_SYS_5V0 6667mW/6717mW/6767mW"
)
TX1 = (
    "RAM 277/3854MB (lfb 700x4MB) SWAP 0/0MB (cached 0MB) cpu [0%,4%]@1912 EMC 0%@1600"
    " AVP 5%@115 VDE 0 GR3D 0%@76 EDP limit 1912"
)
LINES = (NANO, XAVIER, ORIN, THOR, TX1)


def spoil(line: str, dice: random.Random) -> str:
    """Give the line with something cut out, doubled, replaced or put in."""
    start, end = sorted(dice.randrange(len(line) + 1) for _ in range(2))
    strange = "".join(dice.choice("0123456789@%/[](),.- CmWoffkMB\0é٣\u2028") for _ in range(8))
    return dice.choice(
        (
            line[:end],
            line[start:],
            line[:start] + line[end:],
            line[:end] + line[start:],
            line[:start] + strange + line[start:],
            line[:start] + strange[:1] + line[start + 1 :],
            strange * dice.randrange(40),
        )
    )
