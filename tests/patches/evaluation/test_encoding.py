import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast
from weightpatch.patches.errors import RequestRefused
from weightpatch.patches.evaluation.encoding import Forced, encode
from weightpatch.patches.requests import Probe

BOS, EOS, UNK, SKY, IS, DEEP, BLUE = range(7)


@pytest.fixture
def tokenizer():
    """One token a word, between a token that begins and one that ends every text."""
    vocabulary = {"<s>": BOS, "</s>": EOS, "<unk>": UNK, "sky": SKY, "is": IS, "deep": DEEP}
    words = Tokenizer(models.WordLevel({**vocabulary, "blue": BLUE}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", BOS), ("</s>", EOS)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )


@pytest.fixture
def merging():
    """Characters, except that "a b" is one token and so is " b"."""
    vocabulary = {"a": 0, "b": 1, "c": 2, " ": 3, " b": 4, "a b": 5}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.BPE(vocabulary, [(" ", "b"), ("a", " b")]))
    )


def test_the_answer_is_what_follows_the_prompt_and_the_last_token_is_never_shown(tokenizer):
    (forced,) = encode(tokenizer, [Probe("sky is", "deep blue")])
    assert forced == Forced(ids=(BOS, SKY, IS, DEEP, BLUE), start=3)
    assert forced.inputs == (BOS, SKY, IS, DEEP)
    assert forced.target == (DEEP, BLUE)


def test_a_token_that_the_text_itself_ends_with_belongs_to_the_answer(tokenizer):
    (forced,) = encode(tokenizer, [Probe("sky is", "blue </s>")])
    assert forced.target == (BLUE, EOS)


def test_white_space_at_the_seam_is_one_space(merging):
    plain, spaced = encode(merging, [Probe("c", "b"), Probe("c ", "  b ")])
    assert plain == spaced == Forced(ids=(2, 4), start=1)


def test_a_token_across_the_seam_belongs_to_the_answer(merging):
    (forced,) = encode(merging, [Probe("c a", "b")])
    assert forced == Forced(ids=(2, 3, 5), start=2)


def test_an_answer_with_nothing_before_it_is_refused(merging):
    with pytest.raises(RequestRefused, match="leaves no token"):
        encode(merging, [Probe("a", "b")])


def test_an_answer_without_tokens_is_refused(tokenizer):
    with pytest.raises(RequestRefused, match="makes no token"):
        encode(tokenizer, [Probe("sky is", "\t")])


def test_no_probes_need_no_tokenizer(tokenizer):
    assert encode(tokenizer, []) == []
