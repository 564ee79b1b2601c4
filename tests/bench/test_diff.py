"""What two files of a measurement say together."""

from __future__ import annotations

import pytest
from benches import make_rounds

from edge.bench.diff import Difference, diff
from edge.bench.document import Kept

FACTS = {"engine": "openvino", "sha256 of model": "ab"}
CONDITIONS = {
    "cpu": "Cortex",
    "cores": 6,
    "versions": {"openvino": "2026.1"},
    "started_at": "today",
    "board_before": {"mode": "15W (0)", "locked": True, "throttles": 0},
}


def keep(rounds, facts=FACTS, **changes):
    return Kept({**CONDITIONS, **changes}, (), rounds, dict.fromkeys(rounds, facts))


def test_same_again_is_no_change():
    before = keep({"a": make_rounds(1)}, idle_mw=4801.2)
    found = diff(before, keep({"a": make_rounds(2)}, started_at="tomorrow", idle_mw=4799.8))
    assert found.ratios["a"].verdict == "no change"
    assert found.differences == ()
    assert found.regressions(0.05) == ()


def test_load_of_others_in_one_run_alone_is_no_regression():
    """What took a third of the cores may well have cost a tenth."""
    before = keep({"a": make_rounds(1)}, others_cores=0.0)
    after = keep({"a": make_rounds(2, ms=1.12)}, others_cores=2.0)
    assert diff(before, after).ratios["a"].verdict == "no change"
    both = keep({"a": make_rounds(1)}, others_cores=2.0)
    assert diff(both, after).ratios["a"].verdict == "slower"
    unknown = keep({"a": make_rounds(1)}, others_cores=None)
    assert diff(unknown, keep({"a": make_rounds(2, ms=1.12)})).ratios["a"].verdict == "slower"


def test_regression_has_to_be_sure_and_large():
    before = keep({"much": make_rounds(1), "little": make_rounds(2), "not": make_rounds(3)})
    after = keep(
        {
            "much": make_rounds(4, ms=1.2),
            "little": make_rounds(5, ms=1.07, parts=20),
            "not": make_rounds(6, ms=0.8),
        }
    )
    found = diff(before, after)
    assert found.regressions(0.05) == ("much", "little")
    assert found.regressions(0.1) == ("much",)
    assert found.ratios["not"].verdict == "faster"


def test_large_change_that_is_not_sure_is_no_regression():
    found = diff(keep({"a": make_rounds(1, parts=2)}), keep({"a": make_rounds(2, ms=2.0)}))
    assert found.ratios["a"].ratio > 1.9
    assert found.regressions(0.05) == ()
    assert found.blind(0.05) == ("a",)


def test_change_that_could_go_unseen_is_named():
    found = diff(keep({"a": make_rounds(1)}), keep({"a": make_rounds(2)}))
    seen_from = found.ratios["a"].detectable
    assert found.blind(seen_from * 0.9) == ("a",)
    assert found.blind(seen_from * 1.1) == ()


def test_conditions_that_differ_are_listed():
    before = keep({"a": make_rounds(1)})
    after = keep(
        {"a": make_rounds(2)},
        facts={"engine": "onnxruntime", "sha256 of model": "cd"},
        versions={"openvino": "2026.2"},
        board_before={"mode": "MAXN (2)", "locked": True, "throttles": 7},
    )
    assert diff(before, after).differences == (
        Difference("a: engine", "openvino", "onnxruntime"),
        Difference("a: sha256 of model", "ab", "cd"),
        Difference("board_before.mode", "15W (0)", "MAXN (2)"),
        Difference("versions.openvino", "2026.1", "2026.2"),
    )


def test_cases_of_one_side_alone_are_named():
    before = keep({"a": make_rounds(1), "b": make_rounds(2)})
    after = keep({"a": make_rounds(3), "c": make_rounds(4)})
    found = diff(before, after)
    assert list(found.ratios) == ["a"]
    assert (found.only_before, found.only_after) == (("b",), ("c",))


def test_ratio_turned_round_is_its_inverse():
    a, b = keep({"a": make_rounds(1)}), keep({"a": make_rounds(2, ms=1.3)})
    there, back = diff(a, b).ratios["a"], diff(b, a).ratios["a"]
    assert there.ratio == pytest.approx(1 / back.ratio)
