"""A sample is the same on every machine and for every version of Python."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weightpatch.patches.datasets import halves, load, sample
from weightpatch.patches.errors import InputError
from weightpatch.patches.requests import EditRequest, Probe

TEN = tuple(EditRequest("{} is", "x", "y", id=str(number)) for number in range(10))


def ids(requests: tuple[EditRequest, ...]) -> list[str]:
    return [request.id for request in requests]


def test_the_sample_of_a_seed_is_fixed_for_all_time():
    assert ids(sample(load("counterfact").requests, 5, 0)) == ["392", "404", "282", "46", "366"]
    assert ids(sample(load("knowedit").requests, 5, 0)) == ["392", "404", "87", "282", "46"]


def test_another_seed_is_another_sample():
    assert ids(sample(TEN, 10, 0)) != ids(sample(TEN, 10, 1))


def test_the_order_of_the_file_does_not_matter():
    shuffled = random.Random(0).sample(TEN, 10)
    assert sample(shuffled, 4, 7) == sample(TEN, 4, 7)


@given(st.integers(1, 9), st.integers())
def test_a_larger_sample_begins_with_the_smaller_and_repeats_nothing(count, seed):
    larger = sample(TEN, count + 1, seed)
    assert larger[:count] == sample(TEN, count, seed)
    assert len(set(ids(larger))) == count + 1


@pytest.mark.parametrize("count", [0, -1, 11])
def test_a_sample_that_cannot_be_drawn_is_refused(count):
    with pytest.raises(InputError, match="cannot be drawn from 10 requests"):
        sample(TEN, count, 0)


def about(subject, *neighbours, case):
    probes = tuple(Probe(text, "Lyon") for text in neighbours)
    return EditRequest("The capital of {} is", subject, "Nice", neighbourhood=probes, id=case)


def test_halves_share_no_subject_and_no_prompt():
    evaluation, training = halves(
        [
            about("France", "The capital of Peru is", case="1"),
            about("Spain", case="2"),
            about("Austria", case="7"),
            about("france", case="3"),
            about("Peru", case="4"),
            about("Italy", "The capital of Peru is", case="6"),
            about("Chile", "The capital of Peru is", "The capital of Iran is", case="5"),
        ]
    )
    assert ids(evaluation) == ["1", "2", "7"]
    assert ids(training) == ["5"]
    assert [probe.prompt for probe in training[0].neighbourhood] == ["The capital of Iran is"]
