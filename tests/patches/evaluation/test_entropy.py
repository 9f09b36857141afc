from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weightpatch.patches.evaluation.entropy import ngram_entropy


def test_entropy_is_that_computed_by_hand():
    # pairs: ab bc ca ab bc; triples: abc bca cab abc
    h2 = 2 * (2 / 5 * log2(5 / 2)) + 1 / 5 * log2(5)
    h3 = 2 / 4 * log2(4 / 2) + 2 * (1 / 4 * log2(4))
    expected = ((2 / 3) * h2 + (4 / 3) * h3) / 2
    assert ngram_entropy("a b c a b c") == pytest.approx(expected, abs=1e-15)


def test_different_words_only_give_the_logarithm_of_how_many_there_are():
    assert ngram_entropy("one two three four five six") == (2 / 3 * log2(5) + 4 / 3 * log2(4)) / 2


@pytest.mark.parametrize("text", ["", "word", "word word word word word"])
def test_a_text_that_says_one_thing_has_no_entropy(text):
    assert ngram_entropy(text) == 0.0


def test_words_and_punctuation_marks_are_told_apart():
    assert ngram_entropy("Łódź, Poland.") == ngram_entropy("a b c d")


@given(st.lists(st.sampled_from("abc"), max_size=40))
def test_entropy_lies_between_nothing_and_all_different(words):
    all_different = ngram_entropy(" ".join(f"w{index}" for index in range(len(words))))
    assert 0 <= ngram_entropy(" ".join(words)) <= all_different + 1e-12
