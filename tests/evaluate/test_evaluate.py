"""Real networks on real picture files, against answers that were worked out another way."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest
from networks import make_classifier, make_int8, run_onnx, told
from samples import LABELS, make_contract, make_picture

from edge.engine.base import open_engine
from edge.errors import InputError
from edge.evaluate.dataset import open_pictures
from edge.evaluate.evaluate import evaluate
from edge.evaluate.lanes import Contender
from edge.image import Fitter, decode
from edge.model.fold import fold

PICTURES = 15


@pytest.fixture(scope="module")
def model():
    return make_classifier(make_contract())


@pytest.fixture
def folder(tmp_path):
    for number in range(PICTURES):
        home = tmp_path / LABELS[number % 5]
        home.mkdir(exist_ok=True)
        make_picture(home / f"{number:02}.png", seed=number)
    return tmp_path


def judge(folder, model, against=None, *, engine="openvino", **options):
    with ExitStack() as stack:
        contenders = [
            Contender(stack.enter_context(open_engine(engine, one, "throughput")), one.contract)
            for one in (model, against)
            if one is not None
        ]
        pictures = open_pictures(folder, model.contract, **options)
        return evaluate(pictures, contenders[0], contenders[1] if against else None)


def answers(folder, model) -> dict[str, int]:
    """Run the network node by node in ONNX Runtime, a picture at a time."""
    fitter, found = Fitter(model.contract), {}
    for path in sorted(folder.rglob("*.png")):
        view = np.empty((64, 64, 3), np.uint8)
        fitter.fit(decode(path), view)
        found[str(path.relative_to(folder))] = int(run_onnx(fold(model), view[np.newaxis]).argmax())
    return found


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_accuracy_is_that_of_answers_worked_out_one_by_one(folder, model, engine):
    wanted = np.zeros((5, 5), int)
    for name, said in answers(folder, model).items():
        wanted[LABELS.index(name.split("/")[0]), said] += 1
    found = judge(folder, model, engine=engine)
    np.testing.assert_array_equal(found.accuracy.matrix, wanted)
    assert found.n == PICTURES
    assert found.accuracy.top1.value == wanted.trace() / PICTURES
    assert len(found.accuracy.worst) == PICTURES - wanted.trace()


def test_model_agrees_with_itself_and_diverges_by_nothing(folder, model):
    found = judge(folder, model, model).comparison
    assert found.agreement.value == 1
    assert found.kl.value == pytest.approx(0, abs=1e-9)
    assert found.gain.value == 0


def test_int8_is_near_its_float_model(folder, model):
    found = judge(folder, make_int8(model), model)
    assert (found.model.precision, found.comparison.other.precision) == ("int8", "fp32")
    assert 0 < found.comparison.kl.value < 0.05
    assert found.comparison.agreement.value > 0.7
    assert found.comparison.top1.value == judge(folder, model).accuracy.top1.value


def test_pictures_without_classes_give_agreement_alone(picture_folder, model):
    found = judge(picture_folder, model, model, wants_classes=False)
    assert (found.n, found.accuracy, found.comparison.top1) == (6, None, None)
    assert found.comparison.agreement.value == 1


def test_damaged_pictures_are_named_and_count_nowhere(folder, model):
    whole = judge(folder, model)
    make_picture(folder / "apple" / "a.jpg", seed=99)
    coded = (folder / "apple" / "a.jpg").read_bytes()
    (folder / "apple" / "a.jpg").write_bytes(coded[: len(coded) // 2])
    (folder / "bird" / "b.png").write_text("no picture")
    found = judge(folder, model)
    assert found.unreadable == ("apple/a.jpg", "bird/b.png")
    assert (found.n, found.accuracy.top1) == (whole.n, whole.accuracy.top1)


def test_nothing_but_damaged_pictures_is_refused(tmp_path, model):
    (tmp_path / "apple").mkdir()
    (tmp_path / "apple" / "1.jpg").write_text("no picture")
    with pytest.raises(InputError) as caught:
        judge(tmp_path, model)
    assert told(caught).startswith(f"{tmp_path}: none of its 1 pictures can be decoded. ")


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (LABELS[:4], "other: has 4 classes, small has 5. Compare two models"),
        (
            ("apple", "bird", "mug", "door", "elk"),
            "other: calls class 2 'mug', small calls it 'cup",
        ),
    ],
)
def test_models_of_other_classes_are_not_compared(folder, model, labels, said):
    other = make_classifier(make_contract(name="other", labels=labels))
    with pytest.raises(InputError) as caught:
        judge(folder, model, other)
    assert told(caught).startswith(said)
