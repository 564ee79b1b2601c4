"""Compiles the stand-in driver and loads it where pycuda looks for libcuda."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

RIG = Path(__file__).resolve().parent
WORK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
"""What a stream can be given to do; keep it alive until it is done."""


class Live(NamedTuple):
    """How many things are alive on the stand-in GPU."""

    memory: int
    streams: int
    events: int


class Rig:
    """The stand-in driver, loaded into this process.

    Args:
        folder: gets libcuda.so.1; a child process with it on LD_LIBRARY_PATH loads the same.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lib = ctypes.CDLL(str(compile_driver(folder)), mode=os.RTLD_GLOBAL)
        self._lib.cuLaunchHostFunc.argtypes = [ctypes.c_void_p, WORK, ctypes.c_void_p]
        self._lib.rig_holds.argtypes = [ctypes.c_void_p, ctypes.c_size_t]

    def queue(self, stream: int, work) -> None:
        """Queue a Python call on a stream."""
        assert self._lib.cuLaunchHostFunc(stream, work, None) == 0

    def holds(self, address: int, size: int) -> bool:
        """Tell whether memory of the GPU lies there, whole."""
        return bool(self._lib.rig_holds(address, size))

    def live(self) -> Live:
        """Count what was not let go of."""
        counts = [ctypes.c_int() for _ in Live._fields]
        self._lib.rig_live(*(ctypes.byref(count) for count in counts))
        return Live(*(count.value for count in counts))

    def count_anew(self) -> None:
        """Count calls, for RIG_FAIL, from one on again."""
        self._lib.rig_count_anew()

    def reset(self) -> None:
        """Forget everything, a lost GPU too."""
        self._lib.rig_reset()


def compile_driver(folder: Path) -> Path:
    """Compile libcuda.so.1 with every function that this pycuda links to.

    Those that `libcuda.c` does not have answer 801, not supported: their names change with the
    CUDA headers that pycuda was built with, so they are read from it.
    """
    package = Path(find_spec("pycuda").origin).parent
    extension = next(package.glob("_driver*.so"))
    listed = subprocess.run(
        ["nm", "-D", "--undefined-only", extension], check=True, capture_output=True, text=True
    )
    wanted = set(re.findall(r"\bcu[A-Z]\w+", listed.stdout))
    source = RIG / "libcuda.c"
    have = set(re.findall(r"^int (cu[A-Z]\w+)\(", source.read_text(), re.MULTILINE))
    rest = folder / "rest.c"
    rest.write_text("".join(f"int {name}(void) {{ return 801; }}\n" for name in wanted - have))
    library = folder / "libcuda.so.1"
    command = ["gcc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-g", "-shared", "-fPIC"]
    named = ["-Wl,-soname,libcuda.so.1", "-o", library, source, rest, "-lpthread"]
    subprocess.run([*command, *named], check=True)
    return library
