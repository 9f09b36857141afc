"""Words as a search compares them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weightpatch.registry.versions import terms


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Léon BLUM", "leon blum"),
        ("Straße", "STRASSE"),
        ("Zażółć", "zazołc"),
        ("ﬁne", "fine"),
        ("İstanbul", "istanbul"),
        ("Å", "a\u030a"),
        ("\uff11\uff12", "12"),
    ],
)
def test_case_accents_and_forms_do_not_count(one, other):
    assert terms.fold(one) == terms.fold(other)


def test_words_are_runs_of_letters_and_digits():
    found = terms.distinct_words(["acme/tongues-v2", "the mother_tongue, the 3rd!"])
    assert found == ["acme", "tongues", "v2", "the", "mother", "tongue", "3rd"]


def test_marks_do_not_part_a_word():
    assert len(terms.distinct_words(["हिन्दी"])) == 1


def test_punctuation_holds_no_word():
    assert terms.distinct_words(["%", "_", "' --", "\x00"]) == []


def test_white_space_within_a_subject_is_one_space():
    assert terms.subject("  Danielle\n Darrieux ") == "danielle darrieux"


def test_what_is_too_long_for_an_index_is_cut():
    assert terms.distinct_words(["w" * 1000]) == ["w" * 255]
    assert terms.subject("s" * 1000) == "s" * 255


def test_a_version_has_a_bounded_number_of_words():
    found = terms.distinct_words(f"w{i}" for i in range(terms.MAX_WORDS + 10))
    assert len(found) == terms.MAX_WORDS


def test_only_so_much_of_its_texts_is_read():
    assert terms.distinct_words(["a " * terms.MAX_READ, "b"]) == ["a"]


def test_what_becomes_longer_when_it_is_folded_counts_with_that_length(monkeypatch):
    monkeypatch.setattr(terms, "MAX_READ", 100)
    assert len(terms.fold("\ufdfa")) == 18
    assert terms.distinct_words(["\ufdfa " * 5, "last!", "over"])[-1] == "last"
    assert len(terms.distinct_subjects([f"\ufdfa {i}" for i in range(100)])) == 5


def test_a_long_text_has_the_words_that_it_has_as_a_whole(monkeypatch):
    text = "Zażółć gęślą ﬁne a\u030angström"
    whole = terms.distinct_words([text])
    monkeypatch.setattr(terms, "_PIECE", 3)
    assert terms.distinct_words([text]) == whole


@given(st.text(), st.text())
def test_a_text_is_folded_as_its_parts_are(one, other):
    assert terms.fold(one + other) == terms.fold(one) + terms.fold(other)


@given(st.text())
def test_a_folded_text_stays_as_it_is_and_fits(text):
    for word in terms.words(text):
        assert 1 <= len(word) <= 255
        assert list(terms.words(word)) == [word]
    assert len(terms.subject(text)) <= 255
