"""`edge build`: a model becomes a TensorRT plan with its sidecar."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.cli.quant_options import quant_options, read_quant_options, say_cost

if TYPE_CHECKING:
    from edge.engine.plan import Sidecar


@click.command()
@click.argument("model")
@click.option("--precision", type=click.Choice(["int8", "fp16", "fp32"]), default="int8",
              show_default=True, help="Precision of the convolutions.")  # fmt: skip
@click.option("--calib", metavar="PICTURES",
              help="Pictures to calibrate an fp32 MODEL for INT8: a folder, a text file that lists"
                   " them, or demo.")  # fmt: skip
@click.option("--target", type=click.Choice(["tensorrt", "tensorrt-rtx"]), default="tensorrt",
              show_default=True, help="Runtime that the plan is for.")  # fmt: skip
@click.option("--compute-capability", metavar="X.Y",
              help="GPU to build for, TensorRT-RTX only; else any from Ampere on.")  # fmt: skip
@click.option("--workspace", "workspace_mib", type=click.IntRange(1), metavar="MIB",
              help="Memory limit of a kernel.")  # fmt: skip
@click.option("--optimization-level", type=click.IntRange(0, 5),
              help="0 builds fastest, 5 runs fastest.")  # fmt: skip
@click.option("--timing-cache", type=click.Path(path_type=Path),
              help="File that makes the next build faster.")  # fmt: skip
@click.option("--batch", metavar="MIN:OPT:MAX",
              help="Batch sizes, as in 1:1:8; else always 1.")  # fmt: skip
@click.option("--top", "top_k", type=click.IntRange(1), metavar="K",
              help="Let the plan pick the K best classes; else it gives every score.")  # fmt: skip
@click.option("--dla", "dla_core", type=click.IntRange(0), metavar="N",
              help="Run on DLA core N what it can, the rest on the GPU.")  # fmt: skip
@click.option("--calibrator", is_flag=True,
              help="Let TensorRT (up to 10) choose the INT8 ranges from the pictures; INT8 on a"
                   " DLA needs it.")  # fmt: skip
@quant_options
@click.option("--tensorrt-cache", type=click.Path(path_type=Path),
              help="Calibration cache of edge quantize, instead of --calib; for"
                   " --calibrator.")  # fmt: skip
@click.option("--require-int8", is_flag=True,
              help="Fail on a GPU without fast INT8 instead of building fp16.")  # fmt: skip
@click.option("--layers", is_flag=True, help="Print the layer table.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True,
              help="Plan to write; its sidecar gets .json behind it.")  # fmt: skip
@click.option(
    "--root", type=click.Path(path_type=Path), default="/", envvar="EDGE_ROOT", hidden=True
)
def build(
    model: str,
    precision: str,
    calib: str | None,
    target: str,
    compute_capability: str | None,
    workspace_mib: int | None,
    optimization_level: int | None,
    timing_cache: Path | None,
    batch: str | None,
    top_k: int | None,
    dla_core: int | None,
    calibrator: bool,
    table: Path | None,
    fast: bool,
    symmetric: bool,
    keep_float: tuple[str, ...],
    max_drop: float | None,
    held_out: str | None,
    tensorrt_cache: Path | None,
    require_int8: bool,
    layers: bool,
    output: Path,
    root: Path,
) -> None:
    """Build a TensorRT plan from MODEL (a file or a name).

    A plan runs only on the GPU and the TensorRT that it was built for, so build it where it will
    run. An INT8 build in which a convolution came out in float is refused; with --calibrator, where
    TensorRT chooses the quicker type, it is named. What the pictures of --calib decided is kept
    beside the plan, in a file that ends in .calib.json, and used again for the same model, pictures
    and options.

    \b
    Example:
      edge build squeezenet8-int8 -o squeezenet8.plan
    """
    from edge.assets import user_folder
    from edge.board import SysRoot
    from edge.build.options import BuildOptions, check_request, model_source
    from edge.build.plan import build_plan
    from edge.cli.calibration import warn_of_doubts
    from edge.cli.progress import phases
    from edge.model.batch import parse_batch
    from edge.model.onnx_file import load_model
    from edge.model.zoo import resolve_model
    from edge.quant.dataset import open_calibration_set

    quant, gate = read_quant_options(
        fast=fast, symmetric=symmetric, keep_float=keep_float, max_drop=max_drop
    )
    loaded = load_model(resolve_model(model))
    pictures = open_calibration_set(calib) if calib else None
    with phases() as progress:
        options = BuildOptions(
            target=target,  # type: ignore[arg-type] # Click checked the choice
            precision=precision,  # type: ignore[arg-type] # Click checked the choice
            workspace_mib=workspace_mib,
            optimization_level=optimization_level,
            compute_capability=compute_capability,
            timing_cache=timing_cache,
            batch=parse_batch(batch) if batch is not None else None,
            top_k=top_k,
            dla_core=dla_core,
            calibrator=calibrator,
            calibration_cache=user_folder("cache") if calibrator else None,
            tensorrt_cache=tensorrt_cache,
            model_source=model_source(model),
            require_int8=require_int8,
            quant=quant,
            gate=gate,
            held_out=open_calibration_set(held_out) if held_out else None,
            table=table,
            root=SysRoot(root),
            progress=progress,
        )
        check_request(loaded, pictures, options)
        if calib and pictures:
            warn_of_doubts(calib, pictures, loaded)
        built = build_plan(loaded, pictures, output, options)
    _tell(output, built.sidecar)
    if built.measured_before is not None:
        click.echo(f"measured before: {built.measured_before}")
    if layers:
        _tell_layers(built.sidecar)


def _tell(output: Path, sidecar: Sidecar) -> None:
    """Say what was built, what it cost, and what is not as it was asked for."""
    convolutions = sidecar.convolutions()
    types = ", ".join(sorted({layer.input_type for layer in convolutions}))
    told = (
        f"{len(convolutions)} convolutions in {types}"
        if convolutions
        else "no convolution on the GPU"
    )
    click.echo(
        f"{output}: {output.stat().st_size:,} bytes, {told},"
        f" {sidecar.product} {sidecar.tensorrt}, built in {sidecar.build_s:.1f} s"
    )
    if sidecar.int8_cost:
        click.echo(say_cost(sidecar.int8_cost))
    if sidecar.flags.keep_float:
        click.echo(f"kept in float: {', '.join(sidecar.flags.keep_float)}")
    if sidecar.gpu_fallback:
        click.echo(f"on the GPU, not the DLA: {', '.join(sidecar.gpu_fallback)}")


def _tell_layers(sidecar: Sidecar) -> None:
    for layer in sidecar.layers:
        if layer.input_type:
            onnx = ", ".join(layer.onnx)
            click.echo(f"  {layer.kind:12} {layer.input_type:7} {onnx or layer.name}")
