"""How references are read, and which names look alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weightpatch.patches.errors import InputError, NameRefused
from weightpatch.registry.errors import RegistryError
from weightpatch.registry.versions.refs import ByDigest, ByName, fold, parse


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("acme/tongues", ByName("acme", "tongues", None)),
        ("acme/tongues@12", ByName("acme", "tongues", 12)),
        ("acme/tongues@stable", ByName("acme", "tongues", None, "stable")),
        ("acme/tongues@1.2", ByName("acme", "tongues", None, "1.2")),
        ("sha256:0123ab", ByDigest("0123ab")),
        ("sha256:" + "f" * 64, ByDigest("f" * 64)),
    ],
)
def test_references(text, meant):
    assert parse(text) == meant


@given(st.text() | st.from_regex(r"a/b@.*", fullmatch=True))
def test_anything_else_is_refused_with_an_error_of_ours(text):
    try:
        meant = parse(text)
    except (InputError, RegistryError):
        return
    if isinstance(meant, ByName):
        selector = meant.alias or meant.number
        assert (f"{meant.full_name}@{selector}" if selector else meant.full_name) == text
    else:
        assert f"sha256:{meant.prefix}" == text


@pytest.mark.parametrize("text", ["HF://acme/tongues", "hf:/acme/tongues", "hf:acme/tongues"])
def test_a_mistyped_address_is_told_what_was_meant(text):
    with pytest.raises(NameRefused) as caught:
        parse(text)
    assert "write hf://acme/tongues," in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("name", "other"),
    [("a-b", "ab"), ("a.b", "a_b"), ("modello", "m0de1lO"), ("pill", "p1ll"), ("ill", "11l")],
)
def test_names_that_look_alike_fold_to_the_same(name, other):
    assert fold(name) == fold(other)


@pytest.mark.parametrize(("name", "other"), [("a", "b"), ("a2", "a3"), ("ab", "ba")])
def test_names_that_differ_stay_apart(name, other):
    assert fold(name) != fold(other)
