import pytest
from hypothesis import given
from hypothesis import strategies as st
from peft.utils.other import get_pattern_key
from weightpatch.patches.errors import LimitExceeded, ManifestError
from weightpatch.patches.exchange.patterns import MAX_EXPRESSIONS, Patterns

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
    *(r"layers.\d+.self_attn.(?:q|k)_proj", "h.[0-3].attn.c_[a-z]+", r"\w+_head", "[lm]+_head"),
]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("module", MODULES)
def test_a_pattern_means_what_peft_takes_it_for(key, module):
    expected = {key: 1}.get(get_pattern_key([key], module), 0)
    assert Patterns.of({key: 1}).value_for(module, 0) == expected


@given(
    st.lists(st.text("abp.1_", min_size=1, max_size=4), max_size=4),
    st.text("abp.1_", min_size=1, max_size=9),
)
def test_the_first_pattern_counts_as_with_peft(keys, module):
    patterns = {key: number for number, key in enumerate(keys)}
    expected = patterns.get(get_pattern_key(patterns, module), -1)
    assert Patterns.of(patterns).value_for(module, -1) == expected


@pytest.mark.parametrize(
    "key",
    [
        *("a.*b.*c.*d.*", r"(.|.|.|.|.)" * 10, "x(" + "|" * 400 + ")" * 2),
        *(r"(.+|\\)+!", "(?x:(.+) +!)", "(a+)+b", "(a|a)*", r"(.{1,9}){9}", "((a))", "(.*)+"),
    ],
)
def test_a_pattern_that_may_backtrack_without_end_is_refused_at_once(key):
    with pytest.raises((LimitExceeded, ManifestError)):
        Patterns.of({key: 1, ".*.*x": 1, "a" * 900 + ".": 1, ".*.*.*x": 1})


@pytest.mark.parametrize(
    "key",
    [
        *(
            "(",
            "[a",
            "*a",
            "a{2}{3}{4}?)",
            "[9-0]",
            "(?i)DOWN",
            "[[a]x",
            "--[a&&b]",
            r"(\1)",
            "a b",
        ),
        *(r"x\Zy", "(?<=a)b", "\ud800", "a\0b", "\n"),
    ],
)
def test_what_is_no_expression_of_the_known_kind_is_refused(key):
    with pytest.raises(ManifestError):
        Patterns.of({key: 1})


def test_expressions_are_limited_in_number_and_length_and_names_are_not():
    names = {f"model.layers.{index}.mlp": index for index in range(60_000)}
    assert Patterns.of(names).value_for("model.layers.59999.mlp", -1) == 59_999
    few = {f"q{index}|k": index for index in range(MAX_EXPRESSIONS)}
    assert Patterns.of(few).value_for("q7", -1) == 7
    with pytest.raises(LimitExceeded, match="regular expressions"):
        Patterns.of({**few, "k|v": 1})
    with pytest.raises(LimitExceeded, match="characters"):
        Patterns.of({"[ab]" * 300: 1})
