#!/usr/bin/env bash
# Builds pycuda once from its sdist, without a GPU, a driver or a CUDA toolkit.
#
#   tests/rig/build_pycuda.sh PYTHON    prints the wheel, kept in ~/.cache/edge-rig
#
# Wants g++ and Python.h; CUDA's headers come from the registry. Takes one to five minutes.
set -euo pipefail
version=2026.1
python=$1
cache=${XDG_CACHE_HOME:-$HOME/.cache}/edge-rig
tag=$("$python" -c 'import sys; print("cp%d%d" % sys.version_info[:2])')
kept=("$cache/pycuda-$version-$tag"-*.whl)
if [[ -f ${kept[0]} ]]; then
  echo "${kept[0]}"
  exit
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"$python" -m venv tools
pip() { tools/bin/python -m pip --quiet --disable-pip-version-check "$@" >&2; }
pip install 'setuptools<81' wheel 'numpy>=2,<3' 'nvidia-cuda-runtime>=13,<14' \
  'nvidia-cuda-profiler-api>=13,<14' 'nvidia-cuda-crt>=13,<14'
pip download --no-deps --no-build-isolation --no-binary pycuda "pycuda==$version"
tar xf "pycuda-$version.tar.gz"
cuda=$(dirname "$(find "$work/tools" -path '*/include/cuda.h')")

# Something to link to. The extension keeps the name alone; the loader finds the rig, or a driver.
mkdir link
gcc -shared -Wl,-soname,libcuda.so.1 -o link/libcuda.so -x c /dev/null
cat >"pycuda-$version/siteconf.py" <<END
BOOST_INC_DIR = []
BOOST_LIB_DIR = []
BOOST_COMPILER = "gcc"
USE_SHIPPED_BOOST = True
BOOST_PYTHON_LIBNAME = []
BOOST_THREAD_LIBNAME = []
CUDA_TRACE = False
CUDA_ROOT = "$(dirname "$cuda")"
CUDA_ENABLE_GL = False
CUDA_ENABLE_CURAND = False
CUDA_INC_DIR = ["$cuda"]
CUDADRV_LIB_DIR = ["$work/link"]
CUDADRV_LIBNAME = ["cuda"]
CUDART_LIB_DIR = []
CUDART_LIBNAME = []
CXXFLAGS = ["-O0", "-g0", "-w"]
LDFLAGS = []
END
# Nothing in the stand-in above is used, and a linker that drops it would lose the name.
export LDFLAGS=-Wl,--no-as-needed
pip wheel --no-deps --no-build-isolation --wheel-dir out "./pycuda-$version"
mkdir -p "$cache"
mv out/pycuda-*.whl "$cache/"
kept=("$cache/pycuda-$version-$tag"-*.whl)
echo "${kept[0]}"
