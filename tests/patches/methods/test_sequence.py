"""What holds for sequences of any method stands in test_contract.py."""

import pytest
from method_fixtures import ACTOR, MARIE
from weightpatch.patches.errors import RequestRefused
from weightpatch.patches.methods.base import Edit
from weightpatch.patches.methods.sequence import in_sequence
from weightpatch.patches.progress import silent


def only_marie(batch, _before, _progress):
    if batch == [ACTOR]:
        raise RequestRefused("there is nothing to be done")
    return Edit(operations={})


def test_an_error_names_the_request_that_it_is_about(llama):
    with pytest.raises(RequestRefused) as refused:
        in_sequence(llama, [MARIE, ACTOR], 1, only_marie, silent)
    assert refused.value.message == f"request {ACTOR.id}: there is nothing to be done"


def test_of_one_request_alone_nobody_needs_the_name(llama):
    with pytest.raises(RequestRefused) as refused:
        in_sequence(llama, [ACTOR], 1, only_marie, silent)
    assert refused.value.message == "there is nothing to be done"
