"""Tempered probabilities: one factor for all scores, found where the loss is least."""

from __future__ import annotations

import sys
from importlib import import_module

import numpy as np
import pytest
from networks import make_views, run_onnx
from samples import ROOT

from edge.model.onnx_file import load_model
from edge.model.zoo import resolve_model

sys.path.append(str(ROOT / "tools"))
temper = import_module("temper")


def test_scores_become_so_many_times_larger(small_model):
    views = make_views(3).transpose(0, 3, 1, 2).astype(np.float32)
    np.testing.assert_allclose(
        run_onnx(temper.temper(small_model, 2.5), views),
        2.5 * run_onnx(small_model, views),
        rtol=1e-5,
    )


def test_weights_that_are_stored_as_int8_keep_their_bytes():
    model = load_model(resolve_model("squeezenet8"))
    found = temper.temper(model, 3.0)
    for before, after in zip(
        model.proto.graph.initializer, found.proto.graph.initializer, strict=True
    ):
        if before != after:
            assert before.name.startswith("conv10")
            assert len(before.SerializeToString()) == len(after.SerializeToString())
            assert before.data_type == after.data_type == 1  # float: a scale or a bias


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_factor_undoes_what_made_the_scores_unsure(factor):
    """Answers drawn from the probabilities of the true scores."""
    rng = np.random.default_rng(1)
    scores = rng.normal(0, 3, (4000, 5))
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    classes = np.array([rng.choice(5, p=row) for row in chances])
    modest = scores / factor
    assert temper.find_factor(modest, classes) == pytest.approx(factor, rel=0.1)
    tempered = temper.cross_checked(modest, classes)
    assert (tempered.argmax(axis=1) == scores.argmax(axis=1)).all()
    assert temper.calibration_error(tempered, classes) < 0.03
