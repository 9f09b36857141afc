"""Prompts as long as the model's context, and longer, by every method that finds the subject."""

from dataclasses import replace

import numpy as np
import pytest
from method_fixtures import CASES, MARIE, bytes_of
from weightpatch.patches.errors import LimitExceeded
from weightpatch.patches.evaluation.encoding import encode
from weightpatch.patches.methods.base import Resources
from weightpatch.patches.methods.hypernetworks.tail import Tail
from weightpatch.patches.methods.hypernetworks.weights import edited_weights
from weightpatch.patches.methods.locating.measuring import measured
from weightpatch.patches.methods.running.prompts import tokenise, tokenise_after
from weightpatch.patches.progress import silent
from weightpatch.patches.requests import Probe

LOCATING = ("rome", "memit", "alphaedit", "kn")
CONTEXT = 128


def filling(model, length):
    """A request whose prompt and target are shown to the model as so many tokens."""

    def tokens(count):
        request = replace(MARIE, prompt="a" + " a" * count + " {} is")
        row = tokenise(model, request.prompt, request.subject, target=request.target)
        return request, len(row.given)

    _, fewest = tokens(0)
    each = tokens(1)[1] - fewest
    request, found = tokens((length - fewest) // each)
    return replace(request, prompt="a" * (length - found) + request.prompt)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("name", [*LOCATING, "ft", "lora"])
def test_a_prompt_beyond_the_context_is_refused_before_any_work(pico, store, name, family):
    model, case, told = pico(family), CASES[name], []
    long = replace(MARIE, prompt="word " * CONTEXT + "{} is", id="2")
    with pytest.raises(LimitExceeded, match=f"the model reads {CONTEXT}"):
        case.method.edit(
            model, [MARIE, long], case.hyperparameters(model),
            seed=0, resources=Resources(store), progress=lambda *step: told.append(step),
        )  # fmt: skip
    assert {phase for phase, _, _ in told} <= {"prefixes"}


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("name", LOCATING)
def test_prefixes_that_leave_no_room_are_left_out(pico, store, name, family):
    model, case = pico(family), CASES[name]
    request = filling(model, CONTEXT - (6 if name == "kn" else 0))

    def edit(**changes):
        return case.method.edit(
            model, [request], case.hyperparameters(model, **changes),
            seed=0, resources=Resources(store), progress=silent,
        )  # fmt: skip

    assert bytes_of(edit(prefix_length=20)) == bytes_of(edit(prefixes=0))


def test_each_prompt_keeps_the_prefixes_that_fit_it(llama):
    full = filling(llama, CONTEXT)
    assert len(tokenise_after(llama, full, ["Indeed. "])) == 1
    assert len(tokenise_after(llama, MARIE, ["Indeed. "])) == 2
    together = measured(llama, [full, MARIE], ["Indeed. "], 1, 2, 0.5)
    for index, request in enumerate([full, MARIE]):
        alone = measured(llama, [request], ["Indeed. "], 1, 2, 0.5)
        for found, expected in zip(together, alone, strict=True):
            np.testing.assert_allclose(found[index], expected[0], rtol=1e-4, atol=1e-5)


def test_a_trained_editor_reads_no_more_than_the_context(pico):
    model = pico("gpt2")
    tail = Tail(model, edited_weights(model, 2))
    long = Probe("word " * CONTEXT, "good")
    with pytest.raises(LimitExceeded, match=f"the model reads {CONTEXT}"):
        tail.rows(encode(model.tokenizer, [Probe("She is", "good"), long]))
