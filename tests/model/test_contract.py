"""The contract: written and read back, and refused in one line when it is wrong."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from networks import told
from samples import make_contract
from strategies import JSON_VALUES, QUICK, contracts

from edge.errors import ModelError
from edge.model.contract import CONTRACT_VERSION, parse_contract

GOOD = json.loads(make_contract().to_json())


@QUICK
@given(contract=contracts())
def test_contract_comes_back_equal_when_read_from_its_json(contract):
    assert parse_contract(contract.to_json(), "model.onnx") == contract


@QUICK
@given(value=JSON_VALUES)
def test_contract_refuses_any_json_that_is_not_one(value):
    with pytest.raises(ModelError) as caught:
        parse_contract(json.dumps(value), "model.onnx")
    assert told(caught).startswith("model.onnx: its contract ")


@QUICK
@given(value=JSON_VALUES)
@pytest.mark.parametrize("field", sorted(GOOD))
def test_contract_is_refused_in_words_when_one_field_holds_anything(field, value):
    """Whatever stands in a field, the answer is a contract or one line, never a Python error."""
    with suppress(ModelError):
        contract = parse_contract(json.dumps({**GOOD, field: value}), "model.onnx")
        assert parse_contract(contract.to_json(), "model.onnx") == contract


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        "[" * 100_000,
        json.dumps(GOOD)[:-5],
        json.dumps({**GOOD, "colour": "blue"}),
        json.dumps({name: value for name, value in GOOD.items() if name != "labels"}),
        json.dumps({**GOOD, "input_hw": [float("inf"), 64]}),
        json.dumps({**GOOD, "mean": [10**400, 0, 0]}),
    ],
    ids=["empty", "text", "nested", "cut", "extra", "missing", "infinite", "huge"],
)
def test_contract_cannot_be_read_when_its_text_is_garbage(text):
    with pytest.raises(ModelError) as caught:
        parse_contract(text, "model.onnx")
    assert told(caught) == (
        "model.onnx: its contract cannot be read. Import the model again with edge models import"
    )


@pytest.mark.parametrize("fields", [GOOD, {"input": {"size": 224}}], ids=["same", "other"])
def test_contract_of_a_newer_edge_is_refused_by_its_version(fields):
    """Also when the newer one has other fields: to import again would not help."""
    text = json.dumps({**fields, "version": CONTRACT_VERSION + 1})
    with pytest.raises(ModelError) as caught:
        parse_contract(text, "model.onnx")
    assert told(caught) == (
        "model.onnx: its contract has version 2, this edge reads 1. Update edge"
    )


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("input_hw", (64,), "input size (64,) is not a height and a width"),
        ("input_hw", (), "input size () is not a height and a width"),
        ("input_hw", (0, 64), "input size (0, 64) is not a height and a width"),
        ("resize_short_px", 63, "resize to 63 px is below the input size (64, 64)"),
        ("channel_order", "GRB", "channel order 'GRB' is not BGR or RGB"),
        ("mean", (1.0, 2.0), "mean and std want three values each"),
        ("mean", (1.0, 2.0, float("inf")), "mean and std must be finite"),
        ("std", (1.0, 2.0), "mean and std want three values each"),
        ("std", (1.0, 0.0, 1.0), "std (1.0, 0.0, 1.0) is not positive"),
        ("std", (1.0, float("nan"), 1.0), "mean and std must be finite"),
        ("labels", (), "no labels"),
        ("resize", "crop", "resize rule 'crop' is not short or stretch"),
        ("output", "odds", "output 'odds' is not logits or probabilities"),
    ],
)
def test_contract_is_refused_by_name_when_a_value_cannot_work(field, value, words):
    with pytest.raises(ModelError) as caught:
        make_contract(**{field: value})
    assert told(caught).startswith(f"small: contract: {words}. ")


def test_contract_lets_stretch_ignore_the_short_side():
    assert make_contract(resize="stretch", resize_short_px=0).resize == "stretch"


def test_contract_keeps_everything_else_when_renamed():
    contract = make_contract()
    renamed = contract.renamed("other")
    assert renamed.name == "other"
    assert replace(renamed, name=contract.name) == contract
