import math

import pytest
import torch
from weightpatch.patches.errors import InputError, NonFinite, RequestRefused
from weightpatch.patches.evaluation.teacher_forcing import Observed, observe
from weightpatch.patches.requests import Probe

TABLE = {
    "speaks": {"French": 0.5, "good": 0.375, "quite": 0.125},
    "good": {"English": 0.75, "French": 0.25},
    "English": {",": 1.0},
}
PROBES = [
    Probe("Danielle speaks", "French"),
    Probe("Danielle speaks", "good English"),
    Probe("Danielle speaks", "good French , quite good"),
    Probe("Marcel sings", "French"),
    Probe("Marcel", "sings good English"),
    Probe("Danielle writes", "good English . Marcel thinks"),
    Probe("Paris is", "quite good"),
]


def test_each_token_of_an_answer_is_asked_with_the_right_ones_before_it(bigram, tokenizer):
    probe = Probe("Danielle speaks", "good English")
    seen = observe(bigram(TABLE), tokenizer, [probe])[probe]
    good, english, french = map(tokenizer.convert_tokens_to_ids, ("good", "English", "French"))
    assert seen.target == (good, english)
    assert seen.argmax == (french, english)
    assert seen.log_probs == pytest.approx((math.log(0.375), math.log(0.75)), abs=1e-14)
    assert seen.nll == pytest.approx(-(math.log(0.375) + math.log(0.75)) / 2, abs=1e-14)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
def test_the_batch_size_changes_nothing_but_the_last_bits(random_llama, tokenizer, batch_size):
    expected = {probe: observe(random_llama, tokenizer, [probe])[probe] for probe in PROBES}
    found = observe(random_llama, tokenizer, PROBES, batch_size=batch_size)
    for probe in PROBES:
        assert found[probe].target == expected[probe].target
        assert found[probe].argmax == expected[probe].argmax
        assert found[probe].log_probs == pytest.approx(expected[probe].log_probs, abs=1e-5)


def test_the_same_questions_give_the_same_bits(random_llama, tokenizer):
    assert observe(random_llama, tokenizer, PROBES) == observe(random_llama, tokenizer, PROBES)


def test_one_row_answers_for_all_that_it_begins_with(random_llama, tokenizer):
    shown = []
    random_llama.register_forward_pre_hook(
        lambda _model, _args, kwargs: shown.append(kwargs["input_ids"].shape), with_kwargs=True
    )
    answers = ["French", "English", "good", "good English", "good French", "good French"]
    observe(random_llama, tokenizer, [Probe("Danielle speaks", answer) for answer in answers])
    assert shown == [(1, 3)]


def test_progress_is_told_to_the_end(random_llama, tokenizer):
    told = []
    observe(random_llama, tokenizer, PROBES, batch_size=3, progress=lambda *step: told.append(step))
    assert told == [("scoring", 3, 4), ("scoring", 4, 4)]


def test_a_model_in_training_is_observed_without_dropout_and_goes_on_training(
    random_llama, tokenizer
):
    expected = observe(random_llama, tokenizer, PROBES)
    random_llama.train()
    random_llama.model.layers[0].self_attn.attention_dropout = 0.9
    assert observe(random_llama, tokenizer, PROBES) == expected
    assert random_llama.training


def test_impossible_is_not_nan(bigram, tokenizer):
    probe = Probe("Danielle speaks", "Paris")
    assert observe(bigram(TABLE), tokenizer, [probe])[probe].nll == pytest.approx(1000)


def test_a_model_that_answers_nan_is_refused(bigram, tokenizer):
    model = bigram(TABLE)
    with torch.no_grad():
        model.lm_head.weight[3, 3] = math.nan
    with pytest.raises(NonFinite, match="answers with NaN"):
        observe(model, tokenizer, PROBES)


def test_what_was_not_asked_is_not_known(random_llama, tokenizer):
    observations = observe(random_llama, tokenizer, PROBES[:1])
    with pytest.raises(RequestRefused, match="nothing was observed"):
        observations[PROBES[1]]


def test_nothing_asked_nothing_seen(random_llama, tokenizer):
    assert observe(random_llama, tokenizer, []).seen == {}


def test_a_batch_holds_something(random_llama, tokenizer):
    with pytest.raises(InputError, match="at least 1"):
        observe(random_llama, tokenizer, PROBES, batch_size=0)


def test_nll_is_a_mean_over_tokens():
    assert Observed(target=(1, 2), argmax=(1, 2), log_probs=(-1.0, -3.0)).nll == 2.0
