import pytest
from hypothesis import given
from hypothesis import strategies as st
from peft.utils.other import get_pattern_key
from weightpatch.patches.errors import LimitExceeded, ManifestError
from weightpatch.patches.exchange.patterns import check_pattern, value_for

MODULES = [
    "model.layers.1.self_attn.q_proj",
    "model.layers.11.self_attn.q_proj",
    "transformer.h.0.attn.c_attn",
    "lm_head",
]
KEYS = [
    *("q_proj", "proj", "self_attn.q_proj", "layers.1.self_attn.q_proj", "lm_head", "head", "."),
    *("^model.layers.1.self_attn.q_proj", ".*attn.*", r"layers\.(1|2)\..*", r"h\.[0-9]+.*c_attn$"),
    *(
        "model.layers.1.self_attn.q_proj",
        "model.layers.1.self-attn.q_proj",
        "xlm_head",
        "q|lm_head",
    ),
]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("module", MODULES)
def test_a_pattern_means_what_peft_takes_it_for(key, module):
    check_pattern(key)
    expected = {key: 1}.get(get_pattern_key([key], module), 0)
    assert value_for({key: 1}, module, 0) == expected


@given(
    st.lists(st.text("abp.1_", min_size=1, max_size=4), max_size=4),
    st.text("abp.1_", min_size=1, max_size=9),
)
def test_the_first_pattern_counts_as_with_peft(keys, module):
    patterns = {key: number for number, key in enumerate(keys)}
    expected = patterns.get(get_pattern_key(patterns, module), -1)
    assert value_for(patterns, module, -1) == expected


@pytest.mark.parametrize(
    "key", ["(a+)+b", "(a|a)*", "(a|b)(a|b)(a|b)(a|b)", "a*a*a*a*", "[ab]" * 300, r"(.{1,9}){9}"]
)
def test_a_pattern_that_may_backtrack_without_end_is_refused(key):
    with pytest.raises(LimitExceeded):
        check_pattern(key)


@pytest.mark.parametrize("key", ["(", "[a", "*a", "a{2}{3}{4}?)"])
def test_what_is_no_regular_expression_is_refused(key):
    with pytest.raises(ManifestError):
        check_pattern(key)
