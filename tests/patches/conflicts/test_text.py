"""What looks alike compares alike; different letters do not."""

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weightpatch.patches.conflicts.text import MAX_WORDS, Phrases, normalised, words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Jos\u00e9", "Jose\u0301"),
        ("JOS\u00c9", "jos\u00e9"),
        ("Fra\u200bnce", "France"),
        ("\ufeffFrance", "France"),
        ("Fran\u00adce", "France"),
        ("\u202eFrance\u202c", "France"),
        ("\uff26\uff52ance", "France"),
        ("Stra\u00dfe", "STRASSE"),
        ("New\u00a0 York\n", "new york"),
        ("\u1fb3", "\u03b1\u0345"),
    ],
    ids=ascii,
)
def test_what_looks_alike_is_alike(one: str, other: str):
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Jos\u00e9", "Jose"), ("Paris", "P\u0430ris"), ("Malm\u00f6", "Malmo"), ("ni", "\u00f1i")],
    ids=ascii,
)
def test_different_letters_stay_different(one: str, other: str):
    assert normalised(one) != normalised(other)


@given(st.text(max_size=12))
def test_normalising_again_changes_nothing(text: str):
    assert normalised(normalised(text)) == normalised(text)


@given(st.text(max_size=12), st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_every_form_of_a_text_is_normalised_alike(text: str, form: str):
    assert normalised(unicodedata.normalize(form, text)) == normalised(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("o'brien's dog, 2 cats", ["o", "brien", "s", "dog", "2", "cats"]),
        ("東京の", ["東", "京", "の"]),
        ("नमस्ते", ["नमस्ते"]),
        ("...", []),
    ],
)
def test_a_text_is_split_into_words(text: str, found: list[str]):
    assert words(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("the capital of france is", ["france"]),
        ("the capital of francestan is", []),
        ("new york, new jersey", ["new york", "new jersey"]),
        ("a newyork", []),
        ("san francisco bay and san", ["san", "san francisco"]),
        ("東京都は", ["東京"]),
    ],
)
def test_phrases_are_found_as_whole_words(text: str, found: list[str]):
    phrases = Phrases(["france", "new york", "new jersey", "san", "san francisco", "東京", "!"])
    assert list(phrases.within(text)) == found


def test_phrases_of_too_many_words_are_not_looked_for():
    longest, longer = (" ".join(["very"] * count) for count in (MAX_WORDS, MAX_WORDS + 1))
    assert list(Phrases([longest, longer]).within(f"a {longer} day")) == [longest]


def test_long_phrases_are_quickly_looked_for_in_long_texts():
    phrases = Phrases(" ".join(["word"] * count) for count in range(1, 4900, 5))
    text = " ".join(["word"] * 5000)
    start = time.process_time()
    assert len(list(phrases.within(text))) == len(range(1, MAX_WORDS + 1, 5))
    assert time.process_time() - start < 4
