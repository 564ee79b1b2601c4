"""The settings of the service: words go in and come out, and what a person wrote stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import QUICK

from edge.errors import InputError
from edge.service.settings import format_settings, parse_settings, read_words

WORDS = st.lists(st.text(st.characters(blacklist_categories=("Cc", "Cs"))), min_size=1)


@given(WORDS, WORDS)
@QUICK
def test_words_come_out_as_they_went_in_and_new_ones_take_their_place(first, second):
    text = format_settings(first)
    assert parse_settings(text) == first
    assert parse_settings(format_settings(second, text)) == second


def test_words_are_quoted_for_systemd_and_then_for_a_shell():
    """As a real systemd 252 took it apart: it knows four escapes, and no variables in a file."""
    text = format_settings(['a"b', "$x `y`", "\\z", "it's", "\u00e9"])
    assert text.splitlines()[-1] == (r'''EDGE_RUN="'a\"b' '\$x \`y\`' '\\z' 'it'\"'\"'s' 'é'"''')


def test_other_lines_stay_as_they_are():
    before = "A=1\nEDGE_RUN=old\n# EDGE_MQTT_PASSWORD=x\nEDGE_MQTT_PASSWORD=S3cret\n"
    assert format_settings(["demo"], before) == before.replace("old", '"demo"')
    assert format_settings(["demo"], "A=1") == 'A=1\nEDGE_RUN="demo"\n'


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ('"a \\"b c\\" \\$x"', ["a", "b c", "$x"]),
        ("'a \"b c\"'", ["a", "b c"]),
        ("a b", ["a", "b"]),
    ],
)
def test_value_is_read_however_a_person_quotes_it(value, words):
    assert parse_settings(f"EDGE_RUN={value}\n") == words


@pytest.mark.parametrize("text", ["", "A=1\n", "EDGE_RUN=\n", 'EDGE_RUN=""\n', "EDGE_RUN='\"a'\n"])
def test_settings_without_words_are_refused(text):
    with pytest.raises(InputError, match="EDGE_RUN: holds no arguments of edge run"):
        parse_settings(text)


def test_environment_without_words_is_refused():
    with pytest.raises(InputError, match="holds no arguments"):
        read_words({})


@pytest.mark.parametrize("word", ["a\nb", "a\0", "\udcff"])
def test_word_that_such_a_file_cannot_hold_is_refused(word):
    with pytest.raises(InputError, match="argument 2: "):
        format_settings(["demo", word])
