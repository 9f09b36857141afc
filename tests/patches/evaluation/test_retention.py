from dataclasses import replace

import numpy as np
import pytest
import torch
from weightpatch.patches import plugins
from weightpatch.patches.draft import Origin, own_terms, write_draft
from weightpatch.patches.errors import ManifestError, RequestRefused
from weightpatch.patches.evaluation.base import Evaluation, Score, evaluate
from weightpatch.patches.evaluation.requests import RequestProbes
from weightpatch.patches.evaluation.retention import Retention, retention
from weightpatch.patches.evaluation.steps import steps_of
from weightpatch.patches.format.manifest import MethodRecord
from weightpatch.patches.live import patched
from weightpatch.patches.operations.dense import Dense
from weightpatch.patches.operations.lowrank import LowRank
from weightpatch.patches.requests import EditRequest, Probe

HEAD = "lm_head.weight"
DOWN = "model.layers.0.mlp.down_proj.weight"


def request(number, verb, target):
    return EditRequest(
        "{} " + verb,
        "Danielle",
        target,
        paraphrases=(Probe(f"Marcel {verb}", target),),
        neighbourhood=(Probe(f"Paris {verb} is", "good"),),
        id=str(number),
    )


REQUESTS = [
    request(1, "speaks", "English"),
    request(2, "writes", "French"),
    request(3, "thinks", "Paris"),
    request(4, "sings", "good French"),
    request(5, "prays", "quite"),
]


def operation(shape, seed):
    random = np.random.default_rng(seed)
    return LowRank.snapped(
        0.3 * random.standard_normal((shape[0], 1)), random.standard_normal((1, shape[1]))
    )


@pytest.fixture
def made(pico_llama, tmp_path):
    """A sequence of three batches; the second touches one tensor only, the third twice."""
    shapes = {name: pico_llama.checkpoint.tensors[name].shape for name in (HEAD, DOWN)}
    operations = {
        HEAD: [operation(shapes[HEAD], seed) for seed in (1, 2, 3, 4)],
        DOWN: [operation(shapes[DOWN], seed) for seed in (5, 6)],
    }
    steps = [
        {"requests": 2, "operations": {HEAD: 1, DOWN: 1}},
        {"requests": 1, "operations": {HEAD: 1}},
        {"requests": 2, "operations": {HEAD: 2, DOWN: 1}},
    ]

    def make(name="whole", steps=steps, requests=REQUESTS, operations=operations):
        folder = tmp_path / name
        folder.mkdir()
        sampled = {} if steps is None else {"steps": steps}
        record = MethodRecord("rome", "1", {}, 0, sampled, (), "cpu", {"weightpatch": "0"})
        origin = Origin(f"acme/{name}", author="ada", created="2026-01-31T12:00:00Z")
        terms = own_terms(operations)
        return write_draft(
            folder, pico_llama.checkpoint, terms, {}, requests, record, origin
        ).as_patch()

    return make


def test_each_point_is_the_version_that_a_shorter_sequence_would_have_been(pico_llama, made):
    evaluation = retention(pico_llama, made(), [2, 3, 5])
    found = {(score.case, score.measure): score for score in evaluation.scores}
    assert {case for case, _ in found} == {"2", "3", "5"}
    whole = made("source").operations
    for count, heads, downs in ((2, 1, 1), (3, 2, 1), (5, 4, 2)):
        operations = {HEAD: whole[HEAD][:heads], DOWN: whole[DOWN][:downs]}
        shorter = made(f"prefix{count}", None, REQUESTS[:count], operations)
        live = pico_llama.model
        means = evaluate(
            RequestProbes(), live, pico_llama.tokenizer, REQUESTS[:count], patched(live, shorter)
        ).means()
        for measure in ("reliability", "generalization", "locality"):
            for kind in ("exact-match", "token-mean"):
                score = found[str(count), f"retention.{measure}.{kind}"]
                expected = means[f"{measure}.{kind}"]
                assert (score.before, score.after, score.count) == (*expected[:2], count)


def test_the_curve_of_a_bigram_model_is_the_one_computed_by_hand(pico_llama, made):
    """Danielle speaks English, then the second edit makes every verb be followed by French."""
    ids = {word: pico_llama.tokenizer.convert_tokens_to_ids(word) for word in ("English", "French")}
    shape = pico_llama.checkpoint.tensors[HEAD].shape
    width = shape[1]
    states = last_states(pico_llama, "Danielle speaks")
    first, second = np.zeros(shape, "f4"), np.zeros(shape, "f4")
    first[ids["English"]] = 100 * states / width
    second[ids["French"]] = 300 * states / width
    operations = {HEAD: [Dense.read({"delta": each}, shape) for each in (first, second)]}
    requests = [
        replace(REQUESTS[0], paraphrases=(), neighbourhood=()),
        EditRequest("{} speaks", "Danielle", "French", id="2"),
    ]
    steps = [{"requests": 1, "operations": {HEAD: 1}}] * 2
    evaluation = retention(pico_llama, made("bigram", steps, requests, operations))
    assert {
        (score.case, score.measure): (score.after, score.count) for score in evaluation.scores
    } == {
        ("1", "retention.reliability.exact-match"): (1.0, 1),
        ("1", "retention.reliability.token-mean"): (1.0, 1),
        ("2", "retention.reliability.exact-match"): (0.5, 2),
        ("2", "retention.reliability.token-mean"): (0.5, 2),
    }


def last_states(model, text):
    ids = torch.tensor([model.tokenizer(text).input_ids])
    with torch.no_grad():
        return model.backbone(input_ids=ids).last_hidden_state[0, -1].numpy()


def test_the_model_is_bit_for_bit_as_it_was(pico_llama, made):
    kept = {name: value.clone() for name, value in pico_llama.model.state_dict().items()}

    def stop(phase, _done, _total):
        if phase == "scoring 3 of 5 edits":
            raise KeyboardInterrupt

    retention(pico_llama, made(), [3])
    with pytest.raises(KeyboardInterrupt):
        retention(pico_llama, made("stopped"), [3], progress=stop)
    for name, value in pico_llama.model.state_dict().items():
        assert torch.equal(value, kept[name])


def test_counts_are_rounded_up_to_the_end_of_a_batch_and_the_end_is_always_there(pico_llama, made):
    found = retention(pico_llama, made(), [1, 2])
    assert list(dict.fromkeys(score.case for score in found.scores)) == ["2", "5"]


def test_a_run_that_was_stopped_is_taken_up_again(pico_llama, made, tmp_path):
    folder, patch = tmp_path / "observations", made()

    def stop(phase, _done, _total):
        if phase == "scoring 5 of 5 edits":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        retention(pico_llama, patch, progress=stop, folder=folder)
    told = set()
    found = retention(pico_llama, patch, progress=lambda phase, *_: told.add(phase), folder=folder)
    assert told == set()
    assert found == retention(pico_llama, patch)
    assert len(list(folder.iterdir())) == 1


def test_it_is_read_back_and_found_by_its_name(pico_llama, made):
    evaluation = retention(pico_llama, made())
    assert Evaluation.from_json(evaluation.to_json()) == evaluation
    assert plugins.load("suites", "retention") is Retention


def test_a_version_that_is_no_sequence_has_no_curve(pico_llama, made):
    with pytest.raises(RequestRefused, match="not made as a sequence"):
        retention(pico_llama, made(steps=None))


def test_a_count_below_one_is_refused(pico_llama, made):
    with pytest.raises(RequestRefused, match="1 edit at least"):
        retention(pico_llama, made(), [0])


def test_a_count_above_the_number_of_edits_is_refused(pico_llama, made):
    with pytest.raises(RequestRefused, match="after 6 edits") as refusal:
        retention(pico_llama, made(), [1, 6])
    assert refusal.value.why == "the sequence has 5"


def test_a_gate_judges_what_is_left_after_all_edits(pico_llama, made):
    name = "retention.reliability.token-mean"
    scores = tuple(Score(str(n), name, 0.0, after, n) for n, after in ((9, 1.0), (10, 0.25)))
    evaluation = replace(retention(pico_llama, made()), scores=scores)
    assert evaluation.means()[name].after == 0.25
    assert replace(evaluation, suite="requests").means()[name].after == 0.625


def step(requests=5, **operations):
    return {"requests": requests, "operations": {HEAD: 4, DOWN: 2, **operations}}


HOSTILE = {
    "an object": {"1": step()},
    "a number": [5],
    "none": [],
    "too few requests": [step(4)],
    "too many requests": [step(), step(1)],
    "no request": [step(0), step()],
    "a negative count": [step(-1), step(6)],
    "half a request": [step(2.5), step(2.5)],
    "true": [step(True)],
    "too few operations": [step(**{HEAD: 3})],
    "too many operations": [step(**{DOWN: 3})],
    "operations that cancel": [step(2, **{HEAD: -1}), step(3, **{HEAD: 5})],
    "a tensor that is not touched": [step(**{"model.norm.weight": 1})],
    "a list of operations": [{"requests": 5, "operations": [HEAD]}],
    "a field too many": [{**step(), "seed": 1}],
    "a field too few": [{"requests": 5}],
}


@pytest.mark.parametrize("what", HOSTILE)
def test_steps_that_contradict_the_version_are_refused(made, what):
    with pytest.raises(ManifestError):
        steps_of(made(steps=HOSTILE[what]))
