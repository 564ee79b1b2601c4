"""The page of an evaluation says what it leaves out, and holds names of any length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.evaluate.dataset import Pictures
from edge.evaluate.page import SHOWN, make_page
from edge.evaluate.report import Accuracy, EvalReport, Judged
from edge.stats import Reliability, wilson_interval


def page_of(matrix: np.ndarray, labels=None) -> str:
    """Give the page of an evaluation that never was."""
    pytest.importorskip("matplotlib")
    n, right = int(matrix.sum()), int(matrix.trace())
    reliability = Reliability(15)
    for number in range(n):
        reliability.add(0.5, is_right=number < right)
    accuracy = Accuracy("label", wilson_interval(right, n), None, matrix, reliability.error(),
                        reliability.bins(), ())  # fmt: skip
    labels = labels or tuple(f"class {number}" for number in range(len(matrix)))
    judged = Judged("small", "null", "none", "fp32", labels)
    report = EvalReport(judged, "pictures", n, (), accuracy, None)
    return make_page(report, Pictures("pictures", Path(), ())).to_html()


def test_tables_that_were_cut_say_so():
    matrix = np.eye(60, dtype=np.int64) * 4
    matrix[:25, 30] = 2
    matrix[59] = 0
    text = page_of(matrix)
    assert f"The {SHOWN} classes whose interval ends lowest, of 59 with more than one" in text
    assert f"The {SHOWN} most frequent of 25 pairs." in text
    assert text.count("<td>class ") == 2 * SHOWN
    assert "1 of the model&#x27;s 60 classes have no picture here." in text


def test_few_classes_have_a_row_each():
    text = page_of(np.eye(12, dtype=np.int64) * 3)
    assert text.count("<td>class ") == 12
    assert "whose interval" not in text


def test_one_class_and_one_picture_make_a_page():
    assert "20.7 to 100.0" in page_of(np.ones((1, 1), np.int64))


def test_long_names_leave_room_for_the_matrix():
    """matplotlib warns where they do not, which fails a test."""
    assert (
        "confusion"
        in page_of(np.eye(30, dtype=np.int64), tuple("long name " * 20 for _ in range(30))).lower()
    )
