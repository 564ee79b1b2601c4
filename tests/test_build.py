"""What a build refuses or says before and after TensorRT; the builder itself is in engine/."""

from __future__ import annotations

import dataclasses
import json
import logging

import pytest
from networks import make_classifier
from samples import make_contract, make_sidecar

from edge.board import SysRoot
from edge.build.options import BuildOptions, options_of
from edge.build.plan import _check_precision, _scales_path, _warn_of_little_memory, build_plan
from edge.build.prepare import Job, choose_recipe, prepare
from edge.engine.layers import Layer
from edge.engine.plan import read_sidecar
from edge.engine.trt_api import Support
from edge.engine.trt_cache import format_cache
from edge.errors import CheckFailedError, InputError
from edge.files import sha256_file
from edge.model.onnx_file import save_model
from edge.quant.dataset import open_calibration_set


def told(folder) -> dict:
    """Give what the stand-in was told."""
    return json.loads((folder / "m.plan").read_bytes())


def test_build_says_what_to_do_when_tensorrt_is_missing(edge, small_model, tmp_path):
    save_model(small_model, tmp_path / "m.onnx")
    done = edge("build", "m.onnx", "--precision", "fp32", "-o", "m.plan")
    assert done.returncode == 1
    assert done.stderr == (
        "edge: tensorrt: not on this machine."
        " On a Jetson run: sudo apt install nvidia-jetpack, then ./install.sh\n"
    )
    assert not (tmp_path / "m.plan").exists()


@pytest.mark.parametrize(
    ("model", "words", "line"),
    [
        ("squeezenet8", (), ("squeezenet8: is fp32, INT8 wants pictures to calibrate on."
         " Give --calib FOLDER, or a model of edge quantize")),
        ("squeezenet8-int8", ("--precision", "fp16"),
         "squeezenet8-int8: is INT8 already, it cannot be built as fp16. Give the fp32 model"),
        ("squeezenet8-int8", ("--compute-capability", "8.6"),
         ("--compute-capability: TensorRT builds for the GPU that it runs on."
         " Leave it away, or use --target tensorrt-rtx")),
        ("squeezenet8-int8", ("--calibrator",),
         ("--calibrator: only an fp32 model that is to become INT8 is calibrated."
         " Leave it away")),
        ("squeezenet8", ("--calibrator",),
         ("squeezenet8: is fp32, INT8 wants pictures to calibrate on."
         " Give --calib FOLDER, or a model of edge quantize")),
        ("squeezenet8", ("--tensorrt-cache", "x"),
         "--tensorrt-cache: only TensorRT's own calibration reads it. Give --calibrator too"),
        ("squeezenet8", ("--calibrator", "--calib", "demo", "--tensorrt-cache", "x"),
         ("--tensorrt-cache: stands in the place of the pictures of --calib."
          " Leave one of the two away")),
        ("squeezenet8", ("--dla", "0", "--precision", "fp32"),
         "--dla: the DLA computes in int8 and fp16 only. Use --precision fp16"),
        ("squeezenet8-int8", ("--dla", "0"),
         ("--dla: the DLA takes its INT8 ranges from TensorRT's calibrator, not from Q/DQ nodes."
         " Give the fp32 model with --calib FOLDER and --calibrator, or use --precision fp16")),
        ("squeezenet8", ("--dla", "0", "--precision", "fp16", "--batch", "1:1:8"),
         ("--batch 1:1:8: the DLA takes one number of pictures."
         " Give three equal numbers, or leave --dla away")),
        ("squeezenet8", ("--dla", "0", "--precision", "fp16", "--target", "tensorrt-rtx"),
         "--dla: TensorRT-RTX runs on no DLA. Leave it away, or use --target tensorrt"),
        ("squeezenet8-int8", ("--top", "9"),
         "--top 9: squeezenet8-int8 has 8 classes. Give 1 to 8"),
        ("squeezenet8-int8", ("--batch", "8:1:1"),
         ("--batch 8:1:1: is not MIN:OPT:MAX with 1 <= MIN <= OPT <= MAX."
         " Give, say, 1:1:8")),
    ],
)  # fmt: skip
def test_build_refuses_what_does_not_fit_together(edge, tmp_path, model, words, line):
    done = edge("build", model, *words, "-o", "m.plan")
    assert (done.returncode, done.stderr) == (1, f"edge: {line}\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [("squeezenet8-int8",), ("squeezenet8", "--precision", "fp16")])
def test_build_refuses_pictures_that_it_would_not_use(edge, picture_folder, tmp_path, words):
    """The sidecar would name a calibration that decided nothing."""
    done = edge("build", *words, "--calib", picture_folder, "-o", "m.plan")
    assert (done.returncode, done.stderr) == (
        1,
        "edge: --calib: only an fp32 model that is to become INT8 is calibrated. Leave it away\n",
    )
    assert list(tmp_path.iterdir()) == [picture_folder]


@pytest.mark.parametrize(
    ("available_kib", "swap_kib", "warns"),
    [(900_000, 0, True), (900_000, 4_000_000, False), (6_000_000, 0, False)],
)
def test_build_warns_when_memory_is_little_and_swap_is_none(
    tmp_path, caplog, available_kib, swap_kib, warns
):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "meminfo").write_text(
        f"MemTotal: 8000000 kB\nMemAvailable: {available_kib} kB\nSwapTotal: {swap_kib} kB\n"
    )
    with caplog.at_level(logging.WARNING):
        _warn_of_little_memory(SysRoot(tmp_path))
    assert bool(caplog.records) == warns


def test_build_falls_back_to_fp16_when_the_gpu_has_no_fast_int8(build, picture_folder, tmp_path):
    done = build("squeezenet8", "--calib", picture_folder, fast_int8=False)
    assert done.returncode == 0
    assert "this GPU does not multiply int8 fast, building fp16" in done.stderr
    assert "26 convolutions in Half" in done.stdout
    assert told(tmp_path)["flags"] == ["FP16"]


@pytest.mark.parametrize("words", [("squeezenet8-int8",), ("squeezenet8", "--require-int8")])
def test_build_is_refused_when_int8_is_a_must_and_the_gpu_has_none(
    build, picture_folder, tmp_path, words
):
    pictures = ("--calib", picture_folder) if words[0] == "squeezenet8" else ()
    done = build(*words, *pictures, fast_int8=False)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        1,
        ("edge: INT8: this GPU does not multiply int8 fast."
         " Build the fp32 model with --precision fp16"),
    )  # fmt: skip
    assert not (tmp_path / "m.plan").exists()


def test_crash_of_the_question_takes_nothing_along(build, tmp_path):
    """A broken driver crashes TensorRT as soon as its builder starts."""
    done = build("squeezenet8-int8", dies="SIGSEGV")
    assert (done.returncode, done.stderr) == (
        1, "edge: TensorRT: crashed (SIGSEGV). Check the GPU's driver\n"
    )  # fmt: skip
    assert not list(tmp_path.iterdir())


def test_batch_becomes_a_profile(build, tmp_path):
    assert build("squeezenet8-int8", "--batch", "1:2:8").returncode == 0
    (profile,) = told(tmp_path)["profiles"]
    assert profile == ["pixels", [1, 160, 160, 3], [2, 160, 160, 3], [8, 160, 160, 3]]
    assert json.loads((tmp_path / "m.plan.json").read_text())["flags"]["batch"] == "1:2:8"


def test_top_k_is_kept_in_the_sidecar(build, tmp_path):
    assert build("squeezenet8-int8", "--top", 3).returncode == 0
    sidecar = json.loads((tmp_path / "m.plan.json").read_text())
    assert (sidecar["flags"]["top_k"], sidecar["contract"]["output"]) == (3, "probabilities")
    assert told(tmp_path)["outputs"] == [["top", [1, 6]]]


def test_without_top_k_the_scores_stay_logits(build, tmp_path):
    assert build("squeezenet8-int8").returncode == 0
    sidecar = json.loads((tmp_path / "m.plan.json").read_text())
    assert (sidecar["flags"]["top_k"], sidecar["contract"]["output"]) == (None, "logits")
    assert told(tmp_path)["outputs"] == [["scores", [1, 8]]]


@pytest.mark.parametrize(("precision", "is_refused"), [("fp16", True), ("fp32", False)])
def test_class_numbers_that_float16_would_round_are_refused(build, tmp_path, precision, is_refused):
    """TensorRT 10 chooses the types itself."""
    contract = make_contract(labels=tuple(f"class {number}" for number in range(2049)))
    save_model(make_classifier(contract), tmp_path / "wide.onnx")
    done = build("wide.onnx", "--precision", precision, "--top", 3)
    assert done.returncode == is_refused
    if is_refused:
        assert done.stderr == (
            "edge: --top: TensorRT 10.3.0 may round class numbers above 2048, and small has 2049"
            " classes. Leave --top away\n"
        )


def test_without_batch_there_is_no_profile(build, tmp_path):
    assert build("squeezenet8-int8").returncode == 0
    assert told(tmp_path)["profiles"] == []


def test_calibrator_beside_top_is_refused(edge, picture_folder):
    """Its ranges would hold probabilities and class numbers alike."""
    words = ("--calib", picture_folder, "--calibrator", "--top", 3, "-o", "m.plan")
    done = edge("build", "squeezenet8", *words)
    assert (done.returncode, done.stderr) == (
        1,
        ("edge: --calibrator: would round the class numbers of --top to 8 bits."
         " Leave one of the two away\n"),
    )  # fmt: skip


SUPPORT = Support(
    "10.3.0", fast_int8=True, takes_float_types=False, has_calibrator=True, dla_cores=2
)


def job(model, pictures, folder, **changes: object) -> Job:
    options = BuildOptions(**{"calibrator": True, **changes})
    recipe = choose_recipe(model, pictures, folder / "m.plan", options)
    return Job(model, pictures, recipe, "int8", options, None)


def test_scales_of_the_calibrator_are_named_by_all_that_decides_it(
    small_model, picture_folder, tmp_path
):
    """Unfit ones are misused in silence."""
    pictures, keeps = open_calibration_set(picture_folder), {"calibration_cache": tmp_path}
    names = {
        _scales_path(job(small_model, calibration, tmp_path, **keeps), network, support)
        for calibration, network, support in (
            (pictures, b"network", SUPPORT),
            (dataclasses.replace(pictures, sha256="cd" * 32), b"network", SUPPORT),
            (pictures, b"other", SUPPORT),
            (pictures, b"network", dataclasses.replace(SUPPORT, version="10.7.0")),
        )
    }
    assert len(names) == 4
    assert {name.parent for name in names} == {tmp_path}
    assert _scales_path(job(small_model, pictures, tmp_path), b"network", SUPPORT) is None
    ours = job(small_model, pictures, tmp_path, **keeps, calibrator=False)
    assert _scales_path(ours, b"network", SUPPORT) is None


def test_network_for_the_calibrator_is_float(tiny_model, picture_folder, tmp_path):
    """Pictures alone would bring our own Q/DQ nodes."""
    pictures = open_calibration_set(picture_folder)
    assert not prepare(job(tiny_model, pictures, tmp_path), SUPPORT).network.is_int8
    made = prepare(job(tiny_model, pictures, tmp_path, calibrator=False), SUPPORT)
    assert made.network.is_int8


@pytest.mark.parametrize(
    ("types", "changes", "is_refused"),
    [
        (("Int8", "Half"), {"calibrator": True}, False),
        (("Int8", "Half"), {"calibrator": True, "require_int8": True}, True),
        (("Half", "Half"), {"calibrator": True}, True),
        (("Int8", "Half"), {}, True),
    ],
)
def test_float_convolutions_of_a_calibrated_plan_are_named(
    tmp_path, caplog, types, changes, is_refused
):
    """Without Q/DQ nodes the quicker type is TensorRT's choice, but nobody is left to guess."""
    layers = tuple(Layer(kind, "CaskConvolution", kind, ()) for kind in types)
    sidecar = make_sidecar(layers=layers)
    said = f"{types.count('Half')} of 2 convolutions are Half in the place of INT8: Half"
    with caplog.at_level(logging.WARNING):
        if is_refused:
            with pytest.raises(CheckFailedError, match=said):
                _check_precision(sidecar, tmp_path / "m.plan", BuildOptions(**changes))
        else:
            _check_precision(sidecar, tmp_path / "m.plan", BuildOptions(**changes))
            assert caplog.messages == [said]


def test_dla_runs_what_it_can_and_the_rest_is_named(build, tmp_path):
    done = build("squeezenet8", "--precision", "fp16", "--dla", 1)
    assert (done.returncode, done.stderr) == (0, "")
    on_gpu = ["pixels", "pixels/planes", "pool10", "scores"]
    assert done.stdout.splitlines()[1] == f"on the GPU, not the DLA: {', '.join(on_gpu)}"
    assert "no convolution on the GPU" in done.stdout
    plan, sidecar = told(tmp_path), json.loads((tmp_path / "m.plan.json").read_text())
    assert (plan["device"], plan["dla_core"]) == ("DLA", 1)
    assert sorted(plan["flags"]) == ["FP16", "GPU_FALLBACK"]
    assert sidecar["gpu_fallback"] == on_gpu
    assert sidecar["flags"]["dla_core"] == 1


def test_dla_is_built_in_int8_from_a_cache_without_pictures(build, edge, picture_folder, tmp_path):
    words = ("--calib", picture_folder, "--tensorrt-cache", "m.cache")
    assert edge("quantize", "squeezenet8", *words).returncode == 0
    done = build("squeezenet8", "--calibrator", "--tensorrt-cache", "m.cache", "--dla", 0)
    assert (done.returncode, done.stderr) == (0, "")
    plan, sidecar = told(tmp_path), json.loads((tmp_path / "m.plan.json").read_text())
    assert (plan["device"], plan["batches"]) == ("DLA", [])
    assert sorted(plan["flags"]) == ["FP16", "GPU_FALLBACK", "INT8"]
    assert plan["table"].splitlines()[:2] == [
        "TRT-100300-EntropyCalibration2", "pixels: 40008102"
    ]  # fmt: skip
    assert sidecar["calibration"] is None
    assert sidecar["calibration_sha256"] == sha256_file(tmp_path / "m.cache")
    options = options_of(read_sidecar(tmp_path / "m.plan"))
    assert (options.calibrator, options.tensorrt_cache) == (True, tmp_path / "m.cache")


def test_cache_gets_the_version_of_the_builder_that_reads_it(build, edge, picture_folder, tmp_path):
    words = ("--calib", picture_folder, "--tensorrt-cache", "m.cache")
    edge("quantize", "squeezenet8", *words)
    words = ("--calibrator", "--tensorrt-cache", "m.cache")
    assert build("squeezenet8", *words, version="8.6.1").returncode == 0
    assert told(tmp_path)["table"].startswith("TRT-8601-EntropyCalibration2\n")


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"nonsense", "m.cache: is no calibration cache of TensorRT. Write it again with"),
        (format_cache({"conv1": 1.0}, "10.3.0"),
         "m.cache: is of another network, it has no scale for fire2/squeeze1x1. Write it again"),
        (None, "m.cache: no such file or folder. Check the path"),
    ],
)  # fmt: skip
def test_unfit_cache_is_refused(build, tmp_path, data, line):
    if data is not None:
        (tmp_path / "m.cache").write_bytes(data)
    done = build("squeezenet8", "--calibrator", "--tensorrt-cache", "m.cache")
    assert done.returncode == 1
    assert done.stderr.startswith(f"edge: {line}")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "m.plan").exists()


def test_timing_cache_is_kept_for_the_next_build(build, tmp_path):
    words = ("squeezenet8", "--precision", "fp16", "--timing-cache", "t.cache")
    for _ in range(2):
        assert build(*words).returncode == 0
        assert (tmp_path / "t.cache").read_bytes() == b"timing"


def test_timing_cache_that_could_not_be_written_is_refused_before_the_build(build, tmp_path):
    done = build("squeezenet8", "--precision", "fp16", "--timing-cache", "absent/t.cache")
    assert (done.returncode, done.stderr) == (
        1, "edge: absent/t.cache: no such file or folder. Check the path\n"
    )  # fmt: skip
    assert not list(tmp_path.iterdir())


def test_plan_that_could_not_be_written_is_refused_before_the_build(small_model, tmp_path):
    """Also where edge run builds a plan again; the child that asks TensorRT would fail first."""
    options = BuildOptions(precision="fp32")
    with pytest.raises(InputError, match=r"absent/m\.plan: no such file or folder"):
        build_plan(small_model, None, tmp_path / "absent" / "m.plan", options)


def test_without_dla_everything_is_on_the_gpu(build, tmp_path):
    done = build("squeezenet8", "--precision", "fp16")
    assert len(done.stdout.splitlines()) == 1
    assert told(tmp_path)["device"] == "GPU"
    assert told(tmp_path)["flags"] == ["FP16"]


@pytest.mark.parametrize(("cores", "mend"), [(2, "Give one below 2"), (0, "Leave it away")])
def test_dla_core_that_is_not_there_is_refused(build, tmp_path, cores, mend):
    done = build("squeezenet8", "--precision", "fp16", "--dla", 2, dla_cores=cores)
    assert (done.returncode, done.stderr) == (
        1, f"edge: --dla: this board has no DLA core 2. {mend}\n"
    )  # fmt: skip
    assert not list(tmp_path.iterdir())
