"""Hypothesis strategies for the values that cross rooms."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edge.model.contract import Contract

QUICK = settings(max_examples=40)
"""No deadline: the machine may have other work, and no test is about its speed."""

_finite = st.floats(allow_nan=False, allow_infinity=False)
_positive = st.floats(min_value=0, exclude_min=True, allow_infinity=False)


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    """Draw any contract that is valid."""
    sides = (draw(st.integers(1, 4096)), draw(st.integers(1, 4096)))
    resize = draw(st.sampled_from(["short", "stretch"]))
    least = max(sides) if resize == "short" else 0
    return Contract(
        name=draw(st.text()),
        input_hw=sides,
        resize_short_px=draw(st.integers(least, 8192)),
        channel_order=draw(st.sampled_from(["BGR", "RGB"])),
        mean=draw(st.tuples(_finite, _finite, _finite)),
        std=draw(st.tuples(_positive, _positive, _positive)),
        labels=tuple(draw(st.lists(st.text(), min_size=1, max_size=20))),
        licence=draw(st.text()),
        source=draw(st.text()),
        resize=resize,
        output=draw(st.sampled_from(["logits", "probabilities"])),
    )


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
"""Anything that JSON can say, infinities and NaN as Python writes them."""


def conv_weights() -> st.SearchStrategy:
    """Draw float32 weights (O, I, k, k) of any finite size, zeros among them."""
    return arrays.arrays(
        "float32",
        st.tuples(st.integers(1, 4), st.integers(1, 4), st.just(3), st.just(3)),
        elements=st.floats(-(2.0**100), 2.0**100, width=32)
        | st.floats(-1, 1, width=32)
        | st.just(0.0),
    )


def activations() -> st.SearchStrategy:
    """Draw float32 tensors from the very small to the large."""
    return arrays.arrays(
        "float32",
        st.integers(0, 50),
        elements=st.floats(-(2.0**20), 2.0**20, width=32) | st.just(0.0),
    )
