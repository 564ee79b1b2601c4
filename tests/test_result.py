"""Scores become probabilities and a top-k."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from samples import LABELS

from edge.result import Guess, classify, pick_best, softmax

SCORES = arrays(np.float32, st.integers(1, 50), elements=st.floats(-1e4, 1e4, width=32))


@given(SCORES)
def test_softmax_sums_to_one_and_keeps_the_order(scores):
    p = softmax(scores)
    assert p.sum() == pytest.approx(1.0, abs=1e-5)
    assert (p >= 0).all()
    assert p[scores.argmax()] == p.max()


def test_softmax_is_the_formula():
    p = softmax(np.array([1.0, 2.0, 3.0], np.float32))
    exact = np.exp([1.0, 2.0, 3.0]) / np.exp([1.0, 2.0, 3.0]).sum()
    assert p == pytest.approx(exact, rel=1e-6)


def test_softmax_leaves_its_input_alone():
    scores = np.array([5.0, 1.0], np.float32)
    softmax(scores)
    assert scores.tolist() == [5.0, 1.0]


@given(SCORES, st.integers(1, 60))
def test_guesses_come_most_likely_first(scores, top_k):
    labels = [f"class {index}" for index in range(scores.size)]
    top = classify(scores, labels, top_k, are_logits=True).top
    assert len(top) == min(top_k, scores.size)
    assert [guess.p for guess in top] == sorted((guess.p for guess in top), reverse=True)
    assert len({guess.index for guess in top}) == len(top)
    assert all(guess.label == labels[guess.index] for guess in top)


def test_guesses_keep_the_models_order_when_they_tie():
    """Every second class is as likely; a sort that is not stable mixes them."""
    labels = [f"class {index}" for index in range(100)]
    top = classify(np.tile([0, 9], 50).astype(np.float32), labels, 50, are_logits=True).top
    assert [guess.index for guess in top] == list(range(1, 100, 2))


def test_guesses_are_all_classes_when_more_are_asked_for():
    top = classify(np.arange(5, dtype=np.float32), LABELS, 1000, are_logits=True).top
    assert [guess.index for guess in top] == [4, 3, 2, 1, 0]


def test_probabilities_pass_through():
    p = np.array([0.1, 0.0, 0.7, 0.2, 0.0], np.float32)
    top = classify(p, LABELS, 2, are_logits=False).top
    assert top == (Guess("cup", 2, float(p[2])), Guess("door", 3, float(p[3])))


@given(SCORES, st.integers(1, 60))
def test_best_are_those_of_a_whole_stable_sort(scores, top_k):
    expected = np.argsort(-scores, kind="stable")[:top_k]
    assert pick_best(scores, top_k).tolist() == expected.tolist()


def test_best_are_given_although_the_network_gave_nonsense():
    assert len(pick_best(np.array([np.nan, 1.0, np.nan], np.float32), 2)) == 2
