"""Which picture is of which class: every layout that is read, and every one that is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import told
from samples import LABELS, make_contract, make_picture

from edge.assets import bundled
from edge.errors import InputError
from edge.evaluate.dataset import open_pictures
from edge.model.class_names import match_names

if TYPE_CHECKING:
    from pathlib import Path

CONTRACT = make_contract()
IMAGENET = make_contract(
    labels=tuple(bundled("engines/imagenet-labels.txt").read_text().splitlines())
)


def lay(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")  # opened later, when it is decoded
    return folder


def found(folder: Path, contract=CONTRACT, **options: object) -> dict[str, int | None]:
    return dict(open_pictures(folder, contract, **options))


def refusal(source: Path, contract=CONTRACT, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        open_pictures(source, contract, **options)
    return told(caught)


def test_folders_are_named_by_label(tmp_path):
    lay(tmp_path, "Apple/1.jpg", "elk/2.PNG", "elk/notes.txt")
    assert found(tmp_path) == {"Apple/1.jpg": 0, "elk/2.PNG": 4}


def test_folders_are_named_by_number_as_gtsrb_has_it(tmp_path):
    lay(tmp_path, "00000/a.ppm", "00003/b.ppm")
    pictures = open_pictures(tmp_path, CONTRACT)
    assert (dict(pictures), pictures.named_by) == (
        {"00000/a.ppm": 0, "00003/b.ppm": 3}, "number"
    )  # fmt: skip


def test_folders_are_named_by_wordnet_id(tmp_path):
    lay(tmp_path, "n01440764/a.JPEG", "n15075141/b.JPEG")
    pictures = open_pictures(tmp_path, IMAGENET)
    assert dict(pictures) == {"n01440764/a.JPEG": 0, "n15075141/b.JPEG": 999}
    assert pictures.named_by == "WordNet id"
    assert IMAGENET.labels[0] == "tench"


def test_wordnet_ids_mean_nothing_to_another_model(tmp_path):
    lay(tmp_path, "n01440764/a.JPEG")
    assert "1 of 1 names are no class of small: n01440764. Name folders" in refusal(tmp_path)


def test_labels_come_before_numbers(tmp_path):
    """A model of digits: the folder 1 is the digit, whatever its place among the classes is."""
    lay(tmp_path, "1/a.png", "0/b.png")
    digits = make_contract(labels=("1", "0"))
    assert found(tmp_path, digits) == {"0/b.png": 1, "1/a.png": 0}


def test_folders_below_a_class_belong_to_it_as_in_torchvision(tmp_path):
    lay(tmp_path, "apple/night/1.png", "apple/2.png", "bird/deep/er/3.png")
    assert found(tmp_path) == {
        "apple/2.png": 0, "apple/night/1.png": 0, "bird/deep/er/3.png": 1
    }  # fmt: skip


def test_classes_may_lie_below_other_folders(tmp_path):
    lay(tmp_path, "val/apple/1.png", "test/cup/2.png")
    assert found(tmp_path) == {"test/cup/2.png": 2, "val/apple/1.png": 0}


def test_names_that_are_no_class_are_told(tmp_path):
    lay(tmp_path, *(f"{name}/1.png" for name in ("apple", "zebra", "yak", "bird", "cup")))
    assert refusal(tmp_path).startswith(
        f"{tmp_path}: 2 of 5 names are no class of small: yak, zebra. Name folders by label"
    )
    assert "zebra" in refusal(tmp_path, wants_classes=False)


def test_pictures_beside_the_class_folders_are_refused(tmp_path):
    lay(tmp_path, "apple/1.png", "stray.png")
    assert "1 of 2 pictures lie in no folder that names their class, stray.png" in refusal(tmp_path)


def test_pictures_without_classes_do_for_a_comparison_alone(tmp_path):
    lay(tmp_path, "night/1.png", "2.png")
    assert found(tmp_path, wants_classes=False) == {"2.png": None, "night/1.png": None}
    assert "1 of 2 pictures lie in no folder" in refusal(tmp_path)


def test_csv_names_files_from_its_own_folder_or_another(tmp_path):
    lay(tmp_path, "in/a.png", "b.jpg")
    rows = "in/a.png, apple\n\nb.jpg,elk\n"
    (tmp_path / "list.csv").write_text(rows)
    assert found(tmp_path / "list.csv") == {"in/a.png": 0, "b.jpg": 4}
    (tmp_path / "in" / "headed.csv").write_text(f"file,class_index\n{rows}")
    assert found(tmp_path / "in" / "headed.csv", root=tmp_path) == {"in/a.png": 0, "b.jpg": 4}


def test_csv_takes_a_picture_without_a_suffix_for_no_heading(tmp_path):
    lay(tmp_path, "one", "two")
    (tmp_path / "list.csv").write_text("one,apple\ntwo,bird\n")
    assert found(tmp_path / "list.csv") == {"one": 0, "two": 1}


def test_csv_keeps_its_order_and_a_quoted_comma(tmp_path):
    lay(tmp_path, "b.png", "a, really.png")
    (tmp_path / "list.csv").write_text('\ufeffb.png,1\n"a, really.png",0\n', encoding="utf-8")
    pictures = open_pictures(tmp_path / "list.csv", CONTRACT)
    assert list(pictures) == [("b.png", 1), ("a, really.png", 0)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a.png,apple\nb.png,apple\n", "list.csv, line 2: b.png: no such file. Mend the line"),
        ("a.png\n", "list.csv, line 1: is no path and class with a comma between. Mend it"),
        ("path,label\na.png,\n", "list.csv, line 2: is no path and class"),
        ("a.png,zebra\n", "list.csv: 1 of 1 names are no class of small: zebra. Name"),
        ("a.png,apple\na.png,7\n", "list.csv: 1 of 2 names are no class of small: 7. Name"),
        ("path,label\n", "list.csv: names no picture. Give a line of path,label a picture"),
        ("", "list.csv: names no picture"),
        (f"{'a' * 300}.png,apple\n", "no such file. Mend the line"),
        ('"a.png,apple\n', "list.csv: is no CSV. Give lines of path,label"),
        ("a\0.png,apple\n", "list.csv"),
    ],
)
def test_csv_that_cannot_be_used_is_refused_in_one_line(tmp_path, text, said):
    lay(tmp_path, "a.png")
    (tmp_path / "list.csv").write_text(text)
    assert said in refusal(tmp_path / "list.csv")


def test_csv_of_other_bytes_is_refused(tmp_path):
    make_picture(tmp_path / "a.png")
    assert refusal(tmp_path / "a.png").endswith("a.png: is no CSV. Give lines of path,label")


def test_what_is_not_there_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    assert refusal(tmp_path / "none").startswith(f"{tmp_path}/none: no such folder or CSV. ")
    assert refusal(tmp_path / "empty").startswith(f"{tmp_path}/empty: holds no picture. ")
    assert "File name too long" in refusal(tmp_path / ("none" * 99))
    lay(tmp_path, "apple/1.png")
    said = f"{tmp_path}: only the paths of a CSV count from another folder. Leave --pictures away"
    assert refusal(tmp_path, root=tmp_path) == said


def test_labels_that_look_alike_are_told_apart_by_their_exact_spelling_alone():
    labels = ("sea lion", "sea-lion", "crane", "crane")
    assert match_names({"sea lion", "sea-lion"}, labels).classes == {"sea lion": 0, "sea-lion": 1}
    assert match_names({"sea_lion", "crane"}, labels).unknown == ("crane", "sea_lion")


@given(words=st.sets(st.text(max_size=12), max_size=6))
def test_matching_takes_any_words_and_loses_none(words):
    matched = match_names(words, LABELS)
    assert set(matched.classes) | set(matched.unknown) == words
    assert not set(matched.classes) & set(matched.unknown)
    assert all(0 <= number < len(LABELS) for number in matched.classes.values())
