"""A few requests to train on, the parts of an editor, and what its factors amount to."""

import pytest
import torch
from method_fixtures import training_records
from weightpatch.patches.evaluation.encoding import encode
from weightpatch.patches.methods.hypernetworks.tail import Tail
from weightpatch.patches.methods.hypernetworks.weights import edited_weights
from weightpatch.patches.requests import EditRequest, Probe


@pytest.fixture
def records() -> list[EditRequest]:
    """Twelve requests, each with a paraphrase and two neighbours."""
    return training_records()


@pytest.fixture
def tail(every) -> Tail:
    """The top three of four layers."""
    every.model.requires_grad_(False)
    return Tail(every, edited_weights(every, 3))


@pytest.fixture
def small(llama) -> Tail:
    """The top two layers of the small Llama."""
    llama.model.requires_grad_(False)
    return Tail(llama, edited_weights(llama, 2))


@pytest.fixture
def rows(records):
    """Rows of the first few requests' own prompts, of different lengths."""

    def make(tail, count=3):
        probes = [Probe(request.text, request.target) for request in records[::4][:count]]
        return tail.rows(encode(tail.model.tokenizer, probes))

    return make


@pytest.fixture
def randomised():
    """Fill every parameter of a network at random, so that no term of a formula is zero."""

    def fill(network, seed=1):
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.normal_(0, 0.3, generator=generator)
        return network

    return fill
