"""`edge eval`: how often a model is right, with intervals, and what it answers beside another."""

from __future__ import annotations

import json
import math
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from edge.evaluate.dataset import Pictures
    from edge.evaluate.report import Comparison, EvalReport
    from edge.stats import Estimate

STDOUT = "-"
NAMED = 8
"""Damaged pictures, and confused pairs of classes, that are named in the text at most."""


@click.command("eval")
@click.argument("model")
@click.option("--data", type=click.Path(path_type=Path), required=True, metavar="FOLDER|CSV",
              help="Folder with one folder of pictures per class, named by label, number or"
              " ImageNet's WordNet id; or a CSV of path,label.")  # fmt: skip
@click.option("--pictures", type=click.Path(path_type=Path), metavar="FOLDER",
              help="Folder that a CSV's paths are relative to; else the CSV's own.")  # fmt: skip
@click.option("--against", metavar="MODEL",
              help="Model with the same classes to compare with, say the fp32 one: how often both"
              " answer alike, and how far their probabilities are apart. Pictures need no classes"
              " then.")  # fmt: skip
@click.option("--engine", default="auto", show_default=True, envvar="EDGE_ENGINE",
              show_envvar=True, help="auto, tensorrt, openvino or onnxruntime.")  # fmt: skip
@click.option("--json", "json_file", metavar="FILE",
              help="Write everything as JSON; - is stdout.")  # fmt: skip
@click.option("--report", type=click.Path(path_type=Path), metavar="FOLDER",
              help="Write report.html there, with the confusion matrix, the calibration and the"
              " worst mistakes.")  # fmt: skip
@click.option(
    "--root", type=click.Path(path_type=Path), default="/", envvar="EDGE_ROOT", hidden=True
)
def evaluate(
    model: str,
    data: Path,
    pictures: Path | None,
    against: str | None,
    engine: str,
    json_file: str | None,
    report: Path | None,
    root: Path,
) -> None:
    """Measure the accuracy of MODEL, through the same code as `edge run`.

    Accuracies come with their 95 % Wilson interval: 65 % of 400 pictures may as well be 60 or
    70 %.
    Damaged pictures are counted and named, and left out.

    \b
    Example:
      edge eval squeezenet8-int8 --data pictures/ --against squeezenet8
    """
    from edge.board import SysRoot
    from edge.cli.asked import Asked
    from edge.cli.engine import open_asked
    from edge.cli.progress import steps
    from edge.evaluate.dataset import open_pictures
    from edge.evaluate.evaluate import evaluate as judge
    from edge.evaluate.lanes import Contender
    from edge.files import check_target, check_target_folder
    from edge.report import check_plotting

    if json_file not in {None, STDOUT}:
        check_target(Path(str(json_file)))
    if report is not None:
        check_plotting()
        check_target_folder(report)
    asked = [
        Asked(name, engine, rebuild=False, root=SysRoot(root), aim="throughput")
        for name in (model, against)
        if name is not None
    ]
    with ExitStack() as stack:
        judged, *others = (Contender(*stack.enter_context(open_asked(one))) for one in asked)
        opened = open_pictures(data, judged.contract, root=pictures, wants_classes=against is None)
        with steps("evaluating", len(opened.names)) as progress:
            found = judge(opened, judged, others[0] if others else None, progress)
    try:
        if json_file != STDOUT:
            click.echo(eval_text(found))
    finally:  # a reader of the text that went away takes nothing else along
        if json_file is not None:
            _write_json(found, json_file)
    if report is not None:  # last, for it reads pictures again, which may have gone meanwhile
        _write_report(found, opened, report)
        click.echo(f"report: {report / 'report.html'}", err=json_file == STDOUT)


def _write_report(found: EvalReport, pictures: Pictures, folder: Path) -> None:
    from edge.evaluate.page import make_page

    make_page(found, pictures).write(folder)


def _write_json(found: EvalReport, file: str) -> None:
    from edge.files import write_atomic

    text = json.dumps(found.to_row(), indent=1, ensure_ascii=False)
    if file == STDOUT:
        click.echo(text)
    else:
        write_atomic(Path(file), f"{text}\n".encode())


def eval_text(found: EvalReport) -> str:
    """Give the lines for a terminal."""
    model, accuracy, comparison = found.model, found.accuracy, found.comparison
    lines = [f"{model.name} · {model.engine} {model.precision} · {found.n} pictures"]
    if found.unreadable:
        lines.append(f"  left out {_unreadable_text(found)}")
    if accuracy is not None:
        counted = len(accuracy.per_class())
        lines += [
            f"  classes by {accuracy.named_by}: {counted} of {len(model.labels)} have pictures",
            _share_line("top-1", accuracy.top1),
            *([_share_line("top-5", accuracy.top5)] if accuracy.top5 else []),
            f"  calibration error {100 * accuracy.ece:.1f} % in {len(accuracy.reliability)} bins",
        ]
        lines += [
            f"  {pair.count} times {model.labels[pair.truth]} was taken for"
            f" {model.labels[pair.said]}"
            for pair in accuracy.confused()[:NAMED]
            if pair.count > 1
        ]
    if comparison is not None:
        other = comparison.other
        lines += [
            f"against {other.name} · {other.engine} {other.precision}",
            *([_share_line("its top-1", comparison.top1)] if comparison.top1 else []),
            *([_gain_line(model.name, comparison.gain)] if comparison.gain else []),
            _share_line("same answer", comparison.agreement),
            _divergence_line(comparison),
        ]
    return "\n".join(lines)


def _unreadable_text(found: EvalReport) -> str:
    names = ", ".join(found.unreadable[:NAMED])
    more = len(found.unreadable) - NAMED
    rest = f" and {more} more, see --json" if more > 0 else ""
    return f"{len(found.unreadable)} that cannot be decoded: {names}{rest}"


def _share_line(name: str, share: Estimate) -> str:
    return (
        f"  {name:12} {100 * share.value:6.2f} %, 95 % interval {100 * share.low:.1f} to"
        f" {100 * share.high:.1f} %"
    )


def _divergence_line(comparison: Comparison) -> str:
    kl, pair = comparison.kl, " ‖ ".join(comparison.kl_of)
    known = f", {kl.low:.4f} to {kl.high:.4f}" if math.isfinite(kl.high) else ""
    return f"  KL({pair}) {kl.value:.4f} nats a picture{known}"


def _gain_line(name: str, gain: Estimate) -> str:
    return (
        f"  {'difference':12} {100 * gain.value:+6.2f} points, {100 * gain.low:+.1f} to"
        f" {100 * gain.high:+.1f}: {name} less this"
    )
