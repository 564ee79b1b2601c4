#!/usr/bin/env bash
# Installs edge into a virtual environment: on a Jetson beside what JetPack brings, never over it.
set -euo pipefail

usage() {
  cat <<'EOF'
Usage: ./install.sh [--minimal] [--dev] [--python PATH] [--venv DIR]

  --minimal      leave out the pictures of the demo (scikit-image) and the plots of reports
                 (matplotlib)
  --dev          add what the tests and the linters need
  --python PATH  the Python to use, 3.10 to 3.13 (on a Jetson: JetPack's own)
  --venv DIR     the virtual environment (default: .venv beside this script)

Run it again to bring the environment up to date.
EOF
}

say() { printf 'install: %s\n' "$1"; }

die() {
  printf 'install: %s.\n' "$1" >&2
  exit "${2:-1}"
}

die_naming_log() {
  local kept=$log
  log=
  die "$1. The log is $kept"
}

die_of_pip() {
  local package
  package=$(sed -n 's/.*No matching distribution found for \([^ ;]*\).*/\1/p' "$log" | tail -n 1)
  if grep -q 'No space left on device' "$log"; then
    die "the disk is full. Free some space in ${venv%/*} and ${TMPDIR:-/tmp}, then run again"
  elif grep -qE "$unreachable" "$log"; then
    die "pip cannot fetch ${package:-a package}. Check the network and 'pip config list', then run again"
  fi
  die_naming_log "'pip $1' failed"
}
unreachable='NewConnectionError|ame ?[Rr]esolution|unreachable|timed out|ProxyError|versions: none'

caller=$PWD
root=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
board=${EDGE_ROOT:-} # a folder that stands for / when the board is a fake
venv=$root/.venv
python=
demo=yes
dev=

while (($#)); do
  case $1 in
    --minimal) demo= ;;
    --dev) dev=yes ;;
    --python | --venv)
      [[ -n ${2:-} ]] || die "$1 needs a value. Try --help" 2
      printf -v "${1#--}" %s "$2"
      shift
      ;;
    -h | --help) usage && exit ;;
    *) die "unknown argument $1. Try --help" 2 ;;
  esac
  shift
done

[[ $python != */* ]] || python=$(realpath -sm -- "$python")
venv=$(realpath -sm -- "$venv")
shown=${venv#"$caller"/}
# What lies in ~/.local counts for nothing: a service sees no home.
export PYTHONNOUSERSITE=1 PIP_USER=0
cd -- "$root" # a random.py in the caller's folder must not reach Python

# A run that fails leaves no half-made environment, and an old one as it was.
log=$(mktemp)
fresh=
cleanup() {
  [[ -z $log ]] || rm -f -- "$log"
  [[ -z $fresh ]] || rm -rf -- "$fresh"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# Prints an interpreter's version, and nothing for one that does not run (a pyenv shim).
version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true; }
suits() { [[ " 3.10 3.11 3.12 3.13 " == *" ${1:-none} "* ]]; }
runs() { "$py" -c "$1" &>/dev/null; }
pip() { "$py" -m pip "$@" &>"$log" || die_of_pip "$*"; }

find_python() {
  for python in python3 python3.13 python3.12 python3.11 python3.10; do
    ! suits "$(version_of "$python")" || return 0
  done
  die "no Python 3.10 to 3.13 found. Install one (sudo apt install python3 python3-venv), or name one with --python"
}

# TensorRT's binding lives in the dist-packages of JetPack's Python, so no other will do.
find_jetpack_python() {
  python=$board/usr/bin/python3
  version=$(version_of "$python")
  [[ $version != 3.[0-9] ]] ||
    die "JetPack's Python is $version, edge needs 3.10 or newer. Flash JetPack 6 or newer"
}

check_python() {
  version=$(version_of "$python")
  suits "$version" ||
    die "$python ${version:+(Python $version) }is no Python 3.10 to 3.13 that runs. Name another with --python"
}

create_venv() {
  local folder=$venv free_mb
  "$python" -c 'import ensurepip, venv' &>/dev/null ||
    die "Python $version cannot create environments. sudo apt install python$version-venv"
  until [[ -d $folder ]]; do folder=$(dirname -- "$folder"); done
  [[ -w $folder ]] ||
    die "$folder cannot be written to. Check its owner and mode, or choose another folder with --venv"
  free_mb=$(df -Pk -- "$folder" | awk 'NR == 2 { print int($4 / 1024) }')
  ((free_mb >= 2048)) ||
    die "$folder has $free_mb MB free, edge needs 2048. Free some, or choose another disk with --venv"
  say "creating $shown with Python $version"
  fresh=$venv
  "$python" -m venv ${jetson:+--system-site-packages} "$venv" &>"$log" ||
    die_naming_log "Python $version cannot create $shown"
  py=$venv/bin/python
}

use_venv() {
  local asked=${version:-}
  py=$venv/bin/python
  version=$(version_of "$py")
  if ! suits "$version" || ! runs 'import pip'; then
    die "$shown is no environment with pip and Python 3.10 to 3.13. Remove it, or choose another with --venv"
  elif [[ ! -w $venv ]]; then
    die "$shown cannot be written to. Run this as its owner, or choose another with --venv"
  elif [[ ${asked:-$version} != "$version" ]]; then
    die "$shown has Python $version, not $asked. Remove it, or choose another with --venv"
  elif [[ -n $jetson ]] && ! grep -q '^include-system-site-packages = true' "$venv/pyvenv.cfg"; then
    die "$shown does not see JetPack's packages. Remove it, or choose another with --venv"
  fi
  say "using $shown with Python $version"
}

# pycuda has no wheel: pip builds it with JetPack's CUDA.
prepare_pycuda() {
  local cuda=$board/usr/local/cuda
  [[ -e $cuda/include/cuda.h ]] || die "cuda.h is missing. sudo apt install nvidia-jetpack"
  if ! command -v g++ >/dev/null ||
    ! runs 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")'; then
    die "g++ or Python.h is missing. sudo apt install build-essential python3-dev"
  fi
  export CUDA_ROOT=$cuda PATH=$cuda/bin:$PATH CPATH=$cuda/include${CPATH:+:$CPATH}
  export LIBRARY_PATH=$cuda/lib64:$cuda/lib64/stubs${LIBRARY_PATH:+:$LIBRARY_PATH}
}

# Prints what edge needs with these extras, one a line; edge[...] among them is unfolded.
requirements() {
  "$py" - "$@" <<'EOF'
import sys
from importlib.metadata import requires
from pip._vendor.packaging.requirements import Requirement

def unfold(extras):
    for need in map(Requirement, requires("edge")):
        if need.marker and not any(need.marker.evaluate({"extra": extra}) for extra in extras):
            continue
        if need.name == "edge":
            yield from unfold(need.extras)
        else:
            need.marker = None
            yield str(need)

print(*sorted(set(unfold({"", *sys.argv[1:]}))), sep="\n")
EOF
}

jetson=
if [[ -e $board/etc/nv_tegra_release ]] ||
  grep -qs 'nvidia,tegra' "$board/proc/device-tree/compatible"; then jetson=yes; fi

if [[ -n $jetson && -z $python ]]; then
  find_jetpack_python
elif [[ -z $python && ! -e $venv ]]; then
  find_python
fi
[[ -z $python ]] || check_python
py=$python # that of the environment as soon as there is one
[[ ! -e $venv ]] || use_venv

extras=(${demo:+demo report} ${dev:+dev})
if [[ -n $jetson ]] && ! runs 'import pycuda.driver'; then
  prepare_pycuda
  extras+=(jetson)
fi
[[ -e $venv ]] || create_venv
say "installing edge${extras[*]:+ with ${extras[*]}}"
pip install --no-deps --editable "$root"
wanted=$(requirements "${extras[@]}" 2>"$log") || die_naming_log "the requirements of edge cannot be read"
opencv=$(grep '^opencv-python[^-]' <<<"$wanted")
mapfile -t needs < <(grep -v "^$opencv$" <<<"$wanted")

# A cv2 that has a reason to be here stays: JetPack's (GStreamer), or the headless one of an
# earlier run, over which pip would put opencv-python again.
if [[ -n $jetson ]] && "$python" -s -c 'import cv2' &>/dev/null; then
  say "keeping JetPack's OpenCV"
  pip uninstall --yes opencv-python opencv-python-headless
  opencv=
  # JetPack 6 builds its cv2 for NumPy 1.
  ! "$python" -s -c 'import numpy; assert numpy.__version__ < "2"' &>/dev/null || needs+=("numpy<2")
else
  [[ -z $jetson ]] || say "no OpenCV from JetPack: CSI cameras through OpenCV are off"
  if ! "$py" -m pip show --quiet opencv-python-headless &>/dev/null || ! runs 'import cv2'; then
    needs+=("$opencv")
  fi
fi
say "installing ${#needs[@]} requirements"
pip install "${needs[@]}"

load_cv2() { cv2_error=$("$py" -c 'import cv2' 2>&1); }
if ! load_cv2 && [[ -n $opencv && $cv2_error =~ lib[^\ ]*\.so[^\ ]*:\  ]]; then
  say "${BASH_REMATCH[0]%: } is missing: taking the headless OpenCV, edge run --show is off"
  pip uninstall --yes opencv-python
  pip install "${opencv/opencv-python/opencv-python-headless}"
fi
load_cv2 || die "OpenCV does not load (${cv2_error##*$'\n'}). Remove $shown and run again"
if [[ -n $jetson ]] && ! runs 'import tensorrt'; then
  say "TensorRT is not in $python: edge runs on the CPU until sudo apt install nvidia-jetpack"
fi

fresh=
[[ -n $demo || -n $dev ]] && first="run demo" || first=--help
say "done. Try $(printf %q "$shown")/bin/edge $first"
