"""The loss of requests in blocks is what a plain run of each request alone gives."""

import pytest
import torch
from weightpatch.patches.errors import LimitExceeded
from weightpatch.patches.methods.tuning.answers import answers
from weightpatch.patches.requests import EditRequest

MARIE = EditRequest("The mother tongue of {} is", "Marie Curie", "English")
ACTOR = EditRequest("{} was born in", "An actor", "Paris", id="2")
MANY = [
    EditRequest("What a lovely day it is " * (n % 3) + "{} is", "Łódź", f"in Poland {n}", id=str(n))
    for n in range(33)
]


def chances(model, ids):
    with torch.no_grad():
        return model.model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)


def alone(model, request, objective):
    prompt = model.tokenizer(request.text)["input_ids"]
    target = model.tokenizer(f" {request.target}")["input_ids"]
    found = chances(model, prompt + target)
    places = [len(prompt) - 1 + (i if objective == "target" else 0) for i in range(len(target))]
    return -sum(found[p, t].item() for p, t in zip(places, target, strict=True)) / len(target)


def loss(model, blocks):
    with torch.no_grad():
        return sum(
            block.loss(model, model.backbone(input_ids=block.ids).last_hidden_state).item()
            for block in blocks
        )


@pytest.mark.parametrize("objective", ["last", "target"])
def test_the_loss_is_the_mean_over_requests_of_the_mean_over_tokens(every, objective):
    requests = [MARIE, ACTOR, *MANY]
    expected = sum(alone(every, each, objective) for each in requests) / len(requests)
    blocks = answers(every, requests, objective)
    assert [len(block.ids) for block in blocks] == [32, 3]
    assert loss(every, blocks) == pytest.approx(expected, rel=1e-5)


def test_at_the_prompt_s_last_token_the_target_is_not_read(llama):
    prompt = llama.tokenizer(MARIE.text)["input_ids"]
    (block,) = answers(llama, [MARIE], "last")
    assert block.ids.tolist() == [prompt]
    assert block.columns.tolist() == [len(prompt) - 1]


def test_for_a_target_of_one_token_the_objectives_are_the_same(llama):
    request = EditRequest("The mother tongue of {} is", "Marie Curie", "a")
    last, target = (answers(llama, [request], objective) for objective in ("last", "target"))
    assert loss(llama, last) == loss(llama, target)


def test_what_is_longer_than_the_model_reads_is_refused(llama):
    long = EditRequest("{} is" + " so" * 128, "A day", "lovely")
    with pytest.raises(LimitExceeded, match="tokens long"):
        answers(llama, [long], "target")
