import math
from dataclasses import replace

import pytest
import torch
from weightpatch.patches import plugins
from weightpatch.patches.errors import LimitExceeded, NonFinite, RequestRefused
from weightpatch.patches.evaluation.base import Evaluation, evaluate, suite_digest
from weightpatch.patches.evaluation.generation import Sampling, write
from weightpatch.patches.evaluation.journal import Journal
from weightpatch.patches.evaluation.text import TextSuite, perplexity
from weightpatch.patches.requests import EditRequest

BEFORE = {
    "Danielle": {"speaks": 1.0},
    "speaks": {"good": 0.5, "French": 0.5},
    "good": {"English": 0.25, "French": 0.75},
    "English": {".": 1.0},
}
AFTER = {**BEFORE, "speaks": {"good": 0.25, "French": 0.75}, "good": {"English": 1.0}}
TEXT = "Danielle speaks good English ."
CIRCLE = {"speaks": {"good": 1.0}, "good": {"English": 1.0}, "English": {"speaks": 1.0}}
STUCK = {"speaks": {"good": 1.0}, "good": {"good": 1.0}}
REQUEST = EditRequest("{} speaks", "Danielle", "English", generation=("Danielle speaks",))


@pytest.fixture
def scored(bigram, taught, tokenizer):
    def score(before, after, *requests, text="", **options):
        model = bigram(before)
        suite = TextSuite(text, replace(Sampling(), length=12))
        return evaluate(suite, model, tokenizer, requests, taught(model, after), **options)

    return score


def test_perplexity_is_that_computed_by_hand(scored):
    scores = {score.measure: score for score in scored(BEFORE, AFTER, REQUEST, text=TEXT).scores}
    before, after = (0.5 * 0.25) ** (-1 / 4), (0.25 * 1.0) ** (-1 / 4)
    found = scores["perplexity"]
    assert (found.before, found.after) == pytest.approx((before, after), abs=1e-14)
    drift = scores["perplexity.drift"]
    assert (drift.before, drift.after) == (1.0, pytest.approx(after / before, abs=1e-14))
    assert found.count == drift.count == 4


def test_a_long_text_is_read_in_windows_whose_first_tokens_do_not_count(scored):
    # the pico model reads 16 words at once: 16 and 4 of them, of which 15 and 3 count
    text = " ".join(["Danielle speaks good English"] * 5)
    found = scored(BEFORE, AFTER, REQUEST, text=text).scores[0]
    nll = 5 * (math.log(2) + math.log(4)) + 3 * 1000
    assert found.count == 18
    assert found.before == pytest.approx(math.exp(nll / 18), rel=1e-12)


def test_what_cannot_be_is_the_highest_perplexity_and_still_a_number():
    assert perplexity([-1000.0]) == perplexity([-math.inf]) == math.exp(690)


def test_fluency_is_the_entropy_of_what_is_written(scored):
    # Danielle, then nine or ten words in a circle; against "good" for ever
    evaluation = scored(CIRCLE, STUCK, REQUEST)
    (found,) = evaluation.scores
    pairs = [1, 4, 3, 3]  # of 11
    triples = [1, 3, 3, 3]  # of 10
    assert found.before == pytest.approx(weighted(pairs, triples), abs=1e-14)
    assert found.after == pytest.approx(weighted([1, 1, 9], [1, 1, 8]), abs=1e-14)
    assert (found.measure, found.case, found.count) == ("fluency.ngram-entropy", "1", 1)


def weighted(pairs, triples):
    return (2 / 3 * entropy(pairs) + 4 / 3 * entropy(triples)) / 2


def entropy(counts):
    return sum(count / sum(counts) * math.log2(sum(counts) / count) for count in counts)


def test_a_request_without_prompts_of_its_own_is_written_on_from_its_rewrite_prompt(scored):
    bare = replace(REQUEST, generation=())
    assert scored(CIRCLE, STUCK, bare).scores == scored(CIRCLE, STUCK, REQUEST).scores


def test_scores_above_one_are_read_back(scored):
    evaluation = scored(BEFORE, AFTER, REQUEST, text=TEXT)
    assert evaluation.means()["fluency.ngram-entropy"].before > 1
    assert Evaluation.from_json(evaluation.to_json()) == evaluation


def test_the_same_seed_writes_the_same_and_another_does_not(random_llama, tokenizer):
    prompts = [tuple(tokenizer("Danielle speaks").input_ids)]
    first = write(random_llama, tokenizer, prompts, Sampling())
    torch.manual_seed(7)
    assert write(random_llama, tokenizer, prompts, Sampling()) == first
    assert write(random_llama, tokenizer, prompts, Sampling(seed=1)) != first


def test_a_text_does_not_depend_on_what_is_written_beside_it(random_llama, tokenizer):
    texts = ["Danielle speaks", "Marcel", "Paris is quite good ,", "Marcel sings and prays"]
    prompts = [tuple(tokenizer(text).input_ids) for text in texts]
    alone = [write(random_llama, tokenizer, [prompt], Sampling())[0] for prompt in prompts]
    assert write(random_llama, tokenizer, prompts, Sampling()) == alone
    assert {len(text) for text in alone} == {random_llama.config.max_position_embeddings}
    assert [text[: len(prompt)] for text, prompt in zip(alone, prompts, strict=True)] == prompts


def test_only_the_likeliest_words_are_drawn(bigram, tokenizer):
    table = {
        word: {"good": 0.4, "quite": 0.35, "French": 0.25} for word in ("good", "quite", "French")
    }
    (prompt,) = ids = [tuple(tokenizer("good").input_ids)]
    drawn = set(write(bigram(table), tokenizer, ids, Sampling(top_k=2))[0][1:])
    assert drawn == set(tokenizer.convert_tokens_to_ids(["good", "quite"]))
    assert prompt


def test_the_model_is_left_as_it_was(random_llama, tokenizer):
    random_llama.train()
    kept = {name: value.clone() for name, value in random_llama.state_dict().items()}
    state = torch.get_rng_state()
    TextSuite(TEXT).observe(random_llama, tokenizer, [REQUEST])
    assert random_llama.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, kept[name]) for name, value in random_llama.state_dict().items())


def test_a_run_that_was_stopped_writes_only_the_rest(random_llama, tokenizer, tmp_path):
    requests = [replace(REQUEST, generation=("Danielle speaks", "Marcel", "Paris is good"))]
    suite, file = TextSuite(TEXT), tmp_path / "journal.jsonl"
    whole = suite.observe(random_llama, tokenizer, requests, batch_size=1)

    def stop(phase, done, _total):
        if (phase, done) == ("writing", 2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        suite.observe(
            random_llama, tokenizer, requests,
            batch_size=1, progress=stop, journal=Journal(file, {"base": "1"}),
        )  # fmt: skip
    told = []
    found = suite.observe(
        random_llama, tokenizer, requests, batch_size=1,
        progress=lambda *step: told.append(step), journal=Journal(file, {"base": "1"}),
    )  # fmt: skip
    assert told == [("writing", 1, 1)]
    assert found == whole


IMPOSSIBLE = {
    "a text": "good English",
    "nothing": [],
    "another prompt's": [2, 3, 8],
    "a token below 0": [1, 3, -1],
    "a token beyond the vocabulary": [1, 3, 99],
    "a word": [1, 3, "good"],
    "more than was asked for": [1, 3, *[8] * 99],
}


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_a_writing_that_cannot_be_is_written_again(bigram, tokenizer, tmp_path, what):
    suite, journal = TextSuite(""), Journal(tmp_path / "journal.jsonl", {})
    assert tokenizer("Danielle speaks").input_ids == [1, 3]
    journal.put([({**vars(suite.sampling), "prompt": [1, 3]}, IMPOSSIBLE[what])])
    expected = suite.observe(bigram(CIRCLE), tokenizer, [REQUEST])
    assert suite.observe(bigram(CIRCLE), tokenizer, [REQUEST], journal=journal) == expected


def test_the_digest_and_the_environment_name_text_and_seed(scored):
    environment = scored(BEFORE, AFTER, REQUEST, text=TEXT).environment
    assert (environment["seed"], environment["top_k"], environment["length"]) == ("0", "5", "12")
    assert environment["text"].startswith("sha256:")
    digests = {
        suite_digest(suite.cases([REQUEST]))
        for suite in (TextSuite(TEXT), TextSuite("another"), TextSuite(TEXT, Sampling(seed=1)))
    }
    assert len(digests) == 3


def test_a_text_of_one_token_is_refused(bigram, tokenizer):
    with pytest.raises(RequestRefused, match="too short"):
        TextSuite("Danielle").observe(bigram(BEFORE), tokenizer, [REQUEST])


def test_observations_of_other_requests_are_refused(bigram, tokenizer):
    suite = TextSuite(TEXT)
    seen = suite.observe(bigram(BEFORE), tokenizer, [REQUEST])
    other = replace(REQUEST, generation=("Marcel",))
    with pytest.raises(RequestRefused, match="other requests"):
        suite.compare([other], seen, seen)
    with pytest.raises(RequestRefused, match="the same id"):
        suite.compare([REQUEST, REQUEST], seen, seen)


def test_a_prompt_beyond_the_context_is_refused(bigram, tokenizer):
    long = replace(REQUEST, generation=(" ".join(["good"] * 17),))
    with pytest.raises(LimitExceeded, match="17 tokens"):
        TextSuite("").observe(bigram(BEFORE), tokenizer, [long])


def test_a_model_that_answers_nan_is_refused(bigram, tokenizer):
    model = bigram(CIRCLE)
    with torch.no_grad():
        model.lm_head.weight[3, 3] = math.nan
    with pytest.raises(NonFinite, match="answers with NaN"):
        TextSuite("").observe(model, tokenizer, [REQUEST])


def test_the_shipped_text_is_the_default():
    suite = plugins.load("suites", "text")()
    assert isinstance(suite, TextSuite)
    assert len(suite.text.split()) > 100
