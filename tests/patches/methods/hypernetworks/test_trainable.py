"""What holds for every trained method: its training, its file, its edits."""

from dataclasses import replace

import numpy as np
import pytest
from method_fixtures import CASES, TRAINING, put_to_use, state_of
from weightpatch.patches.digests import sha256_file
from weightpatch.patches.errors import BaseMismatch, FormatError, RequestRefused
from weightpatch.patches.methods.base import Resources
from weightpatch.patches.methods.hypernetworks.training import Scores
from weightpatch.patches.methods.statistics.key_statistics import KeyStatistics
from weightpatch.patches.progress import silent
from weightpatch.patches.requests import EditRequest

MARIE = EditRequest("{} was born in", "Marie Curie", "Pisa", old_target="Bordeaux")
ACTOR = EditRequest("An actor {} in", "speaks", "the garden", id="2")


@pytest.fixture(params=TRAINING)
def trained(request):
    """A method and how to train it briefly."""
    return CASES[request.param].method, TRAINING[request.param]


@pytest.fixture
def train(trained, records):
    """Train for a model, with changes of the brief settings."""

    def make(model, seed=0, progress=silent, **changes):
        method, settings = trained
        return method.train(
            model, records, replace(settings, **changes), seed=seed, progress=progress
        )

    return make


@pytest.fixture
def file(trained, trained_editor):
    """An editor of the small Llama."""
    return trained_editor(trained[0].name, "llama")[1]


@pytest.fixture
def edit(trained):
    """Edit a model with a file."""

    def make(model, file, *requests, **changes):
        method, _ = trained
        return method.edit(
            model,
            requests,
            method.Hyperparameters(**changes),
            seed=0,
            resources=Resources(KeyStatistics(), editor=file),
            progress=silent,
        )

    return make


def test_training_lowers_the_loss(every, trained, trained_editor):
    method, settings = trained
    label, _ = trained_editor(method.name, every.model.config.model_type)
    weighing = method.weighing(settings)
    judged = [weighing.judge(Scores(**label.scores[when])) for when in ("before", "after")]
    assert judged[1] < judged[0]


def test_training_leaves_the_model_as_it_was(every, train):
    before = state_of(put_to_use(every))
    train(every, steps=6)
    assert state_of(every) == before


def test_the_same_seed_gives_the_same_file_also_of_a_model_in_use(llama, train, file, tmp_path):
    train(put_to_use(llama)).write(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == file.read_bytes()


def test_another_seed_gives_another_editor(llama, train):
    first, other = (train(llama, seed=seed, steps=1) for seed in (0, 1))
    assert first.tensors.keys() == other.tensors.keys()
    assert any((first.tensors[name] != other.tensors[name]).any() for name in first.tensors)


def test_an_edit_is_of_low_rank_and_names_its_editor(llama, file, edit):
    found = edit(llama, file, MARIE)
    tokens = len(llama.tokenizer(f"{MARIE.text} {MARIE.target}")["input_ids"]) - 1
    assert all(
        operation.kind == "lowrank" and operation.size <= tokens + 1
        for operations in found.operations.values()
        for operation in operations
    )
    (record,) = found.statistics
    assert record["kind"] == "editor"
    assert record["sha256"] == sha256_file(file)


def test_a_batch_adds_up_what_each_request_gives_alone(llama, file, edit):
    both = edit(llama, file, MARIE, ACTOR, batch_size=0)
    alone = [edit(llama, file, request) for request in (MARIE, ACTOR)]
    for name, operations in both.operations.items():
        found = sum(each.rows(0, each.shape[0]) for each in operations)
        parts = [each for one in alone for each in one.operations.get(name, [])]
        expected = sum(each.rows(0, each.shape[0]) for each in parts)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert both.steps == ()


def test_a_large_batch_is_the_sum_of_its_requests(llama, file, edit):
    """Seventeen times the same request is seventeen times its edit."""
    many = edit(llama, file, *(replace(MARIE, id=str(each)) for each in range(17)), batch_size=0)
    one = edit(llama, file, MARIE)
    for name, (operation,) in one.operations.items():
        found = sum(each.rows(0, each.shape[0]) for each in many.operations[name])
        expected = 17 * operation.rows(0, operation.shape[0])
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_strength_multiplies_the_edit(llama, file, edit):
    plain, half = edit(llama, file, MARIE), edit(llama, file, MARIE, strength=0.5)
    for name, (operation,) in plain.operations.items():
        (halved,) = half.operations[name]
        shape = operation.shape
        np.testing.assert_array_equal(halved.rows(0, shape[0]), 0.5 * operation.rows(0, shape[0]))


@pytest.mark.parametrize("phase", ["records", "training"])
def test_training_interrupted_leaves_the_model(llama, train, phase):
    before = state_of(put_to_use(llama))

    def interrupt(name, done, _total):
        if name == phase and done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(llama, progress=interrupt)
    assert state_of(llama) == before


def test_without_an_editor_the_way_to_one_is_told(llama, edit, trained):
    with pytest.raises(RequestRefused, match="needs a trained editor") as refused:
        edit(llama, None, MARIE)
    assert f"weightpatch method train {trained[0].name} BASE --data" in refused.value.hint


def test_an_editor_of_another_base_is_refused(pico, file, edit):
    for family in ("gpt2", "mistral"):
        with pytest.raises(BaseMismatch, match="the editor was not trained for"):
            edit(pico(family), file, MARIE)


def test_an_editor_of_another_method_is_refused(llama, trained_editor):
    ke = CASES["ke"].method
    resources = Resources(KeyStatistics(), editor=trained_editor("mend", "llama")[1])
    with pytest.raises(FormatError, match="an editor of mend 1, not of ke 1"):
        ke.edit(llama, [MARIE], ke.defaults(llama), seed=0, resources=resources, progress=silent)


def test_what_cannot_be_trained_on_is_refused(llama, trained, records):
    method, settings = trained
    bare = EditRequest("{} is", "Paris", "French")
    for given, words in (([records[0]], "fewer than two"), ([bare, bare], "no neighbourhood")):
        with pytest.raises(RequestRefused, match=words):
            method.train(llama, given, settings, seed=0, progress=silent)


@pytest.mark.parametrize(
    "changes",
    [{"layers": 0}, {"steps": 0}, {"learning_rate": float("nan")}, {"held_out": 0.9}, {"rate": 0}],
)
def test_settings_out_of_range_are_refused(trained, changes):
    with pytest.raises(RequestRefused, match="out of range"):
        type(trained[1])(**changes)


def test_a_model_of_two_layers_gets_an_editor_of_two(llama, trained):
    assert trained[0].training_defaults(llama).layers == 3
    llama.model.model.layers = llama.model.model.layers[:2]
    assert trained[0].training_defaults(llama).layers == 2
