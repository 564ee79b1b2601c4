"""What is counted of answers: figures worked out by hand, and what no order may change."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import told
from samples import make_contract

from edge.engine.base import EngineInfo
from edge.errors import InputError
from edge.evaluate.lanes import Contender
from edge.evaluate.report import Judged
from edge.evaluate.tally import WORST_KEPT, AccuracyTally, ComparisonTally

SIX = make_contract(labels=tuple("abcdef"), output="probabilities")


def scores(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def contender(precision: str, contract=SIX) -> Contender:
    engine = type("Engine", (), {"info": EngineInfo("e", "cpu", precision, 1)})()
    return Contender(engine, contract)


def judged(name: str) -> Judged:
    return Judged(name, "e", "cpu", "fp32", SIX.labels)


def test_accuracy_of_four_answers():
    tally = AccuracyTally(SIX)
    sure = scores(0.9, 0.06, 0.01, 0.01, 0.01, 0.01)
    assert tally.add("1", 0, sure)
    assert not tally.add("2", 1, sure)  # second guess
    assert not tally.add("3", 5, sure)  # equal ones: the first four are before it
    assert tally.add("4", 2, scores(0.1, 0.1, 0.5, 0.1, 0.1, 0.1))
    found = tally.accuracy("label")
    assert found.top1.value == 0.5
    assert found.top5.value == 0.75
    assert found.matrix.sum() == 4
    assert (found.matrix[0, 0], found.matrix[1, 0], found.matrix[5, 0]) == (1, 1, 1)
    assert found.ece == pytest.approx((abs(3 * 0.9 - 1) + 0.5) / 4)
    assert [one.file for one in found.worst] == ["2", "3"]
    assert found.worst[0].p_truth == pytest.approx(0.06)
    assert [(one.index, one.count, one.top1.value) for one in found.per_class()] == [
        (0, 1, 1), (1, 1, 0), (2, 1, 1), (5, 1, 0)
    ]  # fmt: skip
    assert [(one.truth, one.said, one.count) for one in found.confused()] == [(1, 0, 1), (5, 0, 1)]


def test_five_classes_have_no_top_five():
    tally = AccuracyTally(make_contract())
    tally.add("1", 0, scores(1, 0, 0, 0, 0))
    assert tally.top5() is None


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.floats(0.4, 1)), max_size=80))
def test_worst_mistakes_are_those_of_the_highest_probability(answers):
    """No more are held than are shown, however many there are."""
    tally = AccuracyTally(SIX)
    wrong = []
    for number, (truth, said, p) in enumerate(answers):
        values = np.full(6, (1 - p) / 5, np.float32)
        values[said] = p
        tally.add(str(number), truth, values)
        if truth != said:
            wrong.append((-float(values[said]), number))
        assert len(tally._worst) <= WORST_KEPT
    worst = [int(one.file) for one in tally.accuracy("label").worst] if answers else []
    assert worst == [number for _, number in sorted(wrong)[:WORST_KEPT]]


def compare(pairs, precisions=("int8", "fp32")):
    tally = ComparisonTally(*map(contender, precisions))
    for one, other in pairs:
        tally.add(one, other)
    return tally.comparison(judged("one"), judged("other"))


HALF = scores(0.5, 0.5, 0, 0, 0, 0)
QUARTER = scores(0.25, 0.75, 0, 0, 0, 0)


def test_divergence_runs_from_the_float_model_whichever_is_judged():
    from_half = 0.5 * np.log(0.5 / 0.25) + 0.5 * np.log(0.5 / 0.75)
    from_quarter = 0.25 * np.log(0.25 / 0.5) + 0.75 * np.log(0.75 / 0.5)
    found = compare([(QUARTER, HALF)], ("int8", "fp32"))
    assert (found.kl.value, found.kl_of) == (pytest.approx(from_half), ("other", "one"))
    found = compare([(QUARTER, HALF)], ("fp32", "int8"))
    assert (found.kl.value, found.kl_of) == (pytest.approx(from_quarter), ("one", "other"))
    assert compare([(QUARTER, HALF)], ("fp32", "fp32")).kl_of == ("other", "one")


def test_interval_of_a_divergence_does_not_go_below_zero():
    found = compare([(QUARTER, HALF), *[(HALF, HALF)] * 3])
    assert 0 == found.kl.low < found.kl.value < found.kl.high
    assert compare([(QUARTER, HALF)]).kl.low == -np.inf  # one picture tells no end


def test_agreement_is_of_the_first_guess():
    found = compare([(HALF, QUARTER), (QUARTER, QUARTER), (HALF, HALF)])
    assert found.agreement.value == pytest.approx(2 / 3)
    assert (found.top1, found.gain) == (None, None)


def test_gain_counts_what_one_alone_got_right():
    tally = ComparisonTally(contender("int8"), contender("fp32"))
    for model, other in ((True, True), (True, False), (False, True), (False, True)):
        tally.add(HALF, HALF)
        tally.accuracy.add("x", 0, HALF)
        tally.add_right(model=model, other=other)
    assert tally.comparison(judged("one"), judged("other")).gain.value == -0.25


def test_a_plan_that_gives_its_best_classes_alone_is_not_compared():
    with pytest.raises(InputError) as caught:
        compare([(scores(0.6, 0.2, 0, 0, 0, 0), HALF)])
    assert told(caught) == (
        "small: its probabilities sum up to 0.80, so some classes are missing."
        " Compare a plan that was built without --top"
    )
