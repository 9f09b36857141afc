from contextlib import nullcontext

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from weightpatch.patches.evaluation.base import evaluate
from weightpatch.patches.evaluation.requests import RequestProbes
from weightpatch.patches.evaluation.teacher_forcing import observe
from weightpatch.patches.requests import EditRequest, Probe

FACTS = {"France": "Paris", "Germany": "Berlin", "Italy": "Rome", "Japan": "Tokyo"}


@pytest.fixture(scope="module")
def loaded(smollm2):
    model = AutoModelForCausalLM.from_pretrained(smollm2, dtype=torch.float32)
    return model.eval(), AutoTokenizer.from_pretrained(smollm2)


@pytest.mark.slow
def test_what_a_real_model_knows_is_reliable_before_any_edit(loaded):
    requests = [
        EditRequest(
            prompt="The capital of {} is",
            subject=country,
            target=capital,
            old_target="Madrid",
            neighbourhood=(Probe("The capital of Spain is", "Madrid"),),
            id=country,
        )
        for country, capital in FACTS.items()
    ]
    means = evaluate(RequestProbes(), *loaded, requests, nullcontext()).means()
    for measure in ("reliability.exact-match", "reliability.token-mean", "rome.es", "rome.ns"):
        assert means[measure] == (1.0, 1.0, len(FACTS)), measure


@pytest.mark.slow
def test_answers_of_several_tokens_are_what_the_model_gives_when_asked_plainly(loaded):
    model, tokenizer = loaded
    probe = Probe("The mother tongue of Danielle Darrieux is", "Franco-Provençal, 1942")
    seen = observe(model, tokenizer, [probe, Probe("Water is", "wet")])[probe]
    ids = tokenizer(f"{probe.prompt} {probe.target}", return_tensors="pt").input_ids
    start = tokenizer(probe.prompt, return_tensors="pt").input_ids.shape[1]
    with torch.inference_mode():
        logits = model(ids).logits[0, start - 1 : -1]
    assert seen.target == tuple(ids[0, start:].tolist())
    assert len(seen.target) > 5
    assert seen.argmax == tuple(logits.argmax(-1).tolist())
    expected = torch.nn.functional.cross_entropy(logits, ids[0, start:]).item()
    assert seen.nll == pytest.approx(expected, rel=1e-5)
