"""A page that needs nothing beside it: what it escapes, holds and writes."""

from __future__ import annotations

import builtins
import re
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import InputError, MissingExtraError
from edge.report import COLORS, Page, check_plotting, shorten

TRICKY = '<b>"x" & y</b>'


def draw_line(figure, colors):
    axes = figure.add_subplot()
    axes.plot([1, 2, 3], [2.0, 1.0, 4.0], label=TRICKY)
    axes.axvline(2, color=colors.warning)
    axes.legend()


def make_page():
    page = Page(TRICKY, "lead")
    page.add_heading(TRICKY)
    page.add_text(TRICKY)
    page.add_warnings([TRICKY])
    page.add_warnings([])
    page.add_figures({TRICKY: TRICKY})
    page.add_table([TRICKY, "p50"], [[TRICKY, "1.0"]])
    page.add_plot("line", TRICKY, draw_line)
    return page


def test_page_escapes_all_words():
    assert "<b>" not in make_page().to_html()


def test_page_loads_nothing_from_elsewhere():
    text = make_page().to_html()
    links = re.findall(r'(?:src|srcset|href)="([^"]{0,30})', text)
    assert len(links) == 2
    assert all(link.startswith("data:image/svg+xml;base64,") for link in links)
    assert "url(" not in text


def test_plot_is_drawn_in_the_colours_of_both_looks():
    drawn = []
    page = Page("title", "lead")
    page.add_plot("line", "caption", lambda figure, colors: drawn.append((figure, colors)))
    assert {colors.paper for _, colors in drawn} == {one.paper for one in COLORS.values()}


def test_page_is_light_on_paper_whatever_the_screen_is():
    text = make_page().to_html()
    dark = re.findall(r"[^{}\"]*prefers-color-scheme: dark", text)
    assert len(dark) == 2
    assert all("screen and (" in one for one in dark)


def test_what_is_too_wide_is_named_and_reached_by_keyboard():
    text = make_page().to_html()
    assert text.count("tabindex=0") == 2
    assert 'role=region aria-label="&lt;b&gt;&quot;x&quot; &amp; y&lt;/b&gt;"' in text


@given(st.text(), st.integers(3, 100))
def test_name_is_shortened_to_what_is_allowed_and_keeps_its_ends(name, most):
    short = shorten(name, most)
    if len(name) <= most:
        assert short == name
    else:
        head, _, tail = short.partition("…") if "…" not in name else (short[:1], "", short[-1:])
        assert len(short) == most
        assert name.startswith(head)
        assert name.endswith(tail)


def test_same_figures_give_the_same_page():
    assert make_page().to_html() == make_page().to_html()


def test_write_makes_the_folder_with_the_page_and_its_pictures(tmp_path):
    file = make_page().write(tmp_path / "a" / "b")
    assert file.read_text(encoding="utf-8") == make_page().to_html()
    pixels = cv2.imread(str(file.parent / "line.png"))
    assert pixels.shape[1] > 1000
    assert np.ptp(pixels) > 100  # something is drawn


def test_write_is_refused_where_there_is_no_room(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file"):
        make_page().write(tmp_path / "file")


def test_plot_names_the_extra_where_matplotlib_is_missing(monkeypatch):
    real = builtins.__import__

    def without(name, *args):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"matplotlib: not installed.*edge\[report\]"):
        Page("title", "lead").add_plot("line", "caption", draw_line)


def test_report_that_could_not_be_drawn_is_refused_before_the_work(monkeypatch):
    check_plotting()
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as Python marks what is not there
    with pytest.raises(MissingExtraError, match=r"matplotlib: not installed"):
        check_plotting()
