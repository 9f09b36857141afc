"""What holds for every trained method: its training, its file, its edits."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from weightpatch.patches.digests import sha256_file
from weightpatch.patches.errors import BaseMismatch, FormatError, RequestRefused
from weightpatch.patches.methods.base import Resources
from weightpatch.patches.methods.hypernetworks.training import Scores
from weightpatch.patches.methods.ke import KnowledgeEditor, KnowledgeEditorTraining
from weightpatch.patches.methods.mend import Mend, MendTraining
from weightpatch.patches.methods.running.borrowing import add
from weightpatch.patches.methods.statistics.key_statistics import KeyStatistics
from weightpatch.patches.progress import silent
from weightpatch.patches.requests import EditRequest

BRIEF = {
    "steps": 15,
    "layers": 2,
    "batch_size": 4,
    "learning_rate": 0.01,
    "evaluate_every": 5,
    "held_out": 0.25,
}
TRAINED = [
    (Mend(), MendTraining(rank=8, rate=1e-3, **BRIEF)),
    (KnowledgeEditor(), KnowledgeEditorTraining(width=8, rate=0.3, margin=2.0, **BRIEF)),
]
MARIE = EditRequest("{} was born in", "Marie Curie", "Pisa", old_target="Bordeaux")
ACTOR = EditRequest("An actor {} in", "speaks", "the garden", id="2")


@pytest.fixture(params=TRAINED, ids=["mend", "ke"])
def trained(request):
    """A method and how to train it briefly."""
    return request.param


@pytest.fixture
def editor(trained, records, tmp_path):
    """Train for a model; gives the file."""

    def make(model, name="editor", seed=0, progress=silent):
        method, settings = trained
        made = method.train(model, records, settings, seed=seed, progress=progress)
        made.write(tmp_path / name)
        return tmp_path / name

    return make


@pytest.fixture
def edit(trained):
    """Edit a model with a file."""

    def make(model, file, *requests, progress=silent, **changes):
        method, _ = trained
        return method.edit(
            model,
            requests,
            method.Hyperparameters(**changes),
            seed=0,
            resources=Resources(KeyStatistics(), editor=file),
            progress=progress,
        )

    return make


def live_state(model):
    return (
        {name: tensor.numpy().tobytes() for name, tensor in model.model.state_dict().items()},
        [parameter.requires_grad for parameter in model.model.parameters()],
        [(module.training, len(module._forward_hooks)) for module in model.model.modules()],
        torch.get_rng_state().tolist(),
    )


def nll(model, request):
    ids = model.tokenizer(request.text)["input_ids"]
    target = model.tokenizer(f" {request.target}")["input_ids"]
    with torch.no_grad():
        chances = model.model(input_ids=torch.tensor([ids + target])).logits[0].log_softmax(-1)
    return -sum(chances[len(ids) + i - 1, token].item() for i, token in enumerate(target))


def apply(model, found):
    for name, operations in found.operations.items():
        for operation in operations:
            parameter = dict(model.model.named_parameters())
            add(parameter.get(name, parameter.get(f"transformer.{name}")), operation)


def parts_of(found):
    return {
        (name, index, part): array.tobytes()
        for name, operations in found.operations.items()
        for index, operation in enumerate(operations)
        for part, array in operation.parts.items()
    }


def test_training_lowers_the_loss_and_edits_make_the_target_likelier(
    every, trained, records, tmp_path, edit
):
    method, settings = trained
    before, unlikely = live_state(every), nll(every, MARIE)
    made = method.train(every, records, settings, seed=0, progress=silent)
    weighing = method.weighing(settings)
    scores = made.label.scores
    judged = [weighing.judge(Scores(**scores[when])) for when in ("before", "after")]
    assert judged[1] < judged[0]
    made.write(tmp_path / "editor")
    found = edit(every, tmp_path / "editor", MARIE)
    assert live_state(every) == before
    apply(every, found)
    assert nll(every, MARIE) < unlikely


def test_an_edit_is_of_low_rank_and_names_its_editor(llama, editor, edit):
    file = editor(llama)
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


def test_the_same_seed_gives_the_same_editor_and_the_same_edit(llama, editor, edit):
    first, again, other = editor(llama, "1"), editor(llama, "2"), editor(llama, "3", seed=1)
    assert first.read_bytes() == again.read_bytes()
    assert first.read_bytes() != other.read_bytes()
    assert parts_of(edit(llama, first, MARIE)) == parts_of(edit(llama, again, MARIE))


def test_a_batch_adds_up_what_each_request_gives_alone(llama, editor, edit):
    file = editor(llama)
    both = edit(llama, file, MARIE, ACTOR, batch_size=0)
    alone = [edit(llama, file, request) for request in (MARIE, ACTOR)]
    for name, operations in both.operations.items():
        found = sum(each.rows(0, each.shape[0]) for each in operations)
        parts = [each for one in alone for each in one.operations.get(name, [])]
        expected = sum(each.rows(0, each.shape[0]) for each in parts)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert both.steps == ()


def test_a_large_batch_is_the_sum_of_its_requests(llama, editor, edit):
    """Seventeen times the same request is seventeen times its edit."""
    file = editor(llama)
    many = edit(llama, file, *(replace(MARIE, id=str(each)) for each in range(17)), batch_size=0)
    one = edit(llama, file, MARIE)
    for name, (operation,) in one.operations.items():
        found = sum(each.rows(0, each.shape[0]) for each in many.operations[name])
        expected = 17 * operation.rows(0, operation.shape[0])
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_in_a_sequence_each_request_starts_from_the_model_as_edited(llama, editor, edit):
    file = editor(llama)
    both = edit(llama, file, MARIE, ACTOR)
    assert [step.requests for step in both.steps] == [1, 1]
    first = edit(llama, file, MARIE)
    apply(llama, first)
    second = edit(llama, file, ACTOR)
    for name, operations in both.operations.items():
        parts = [*first.operations[name], *second.operations[name]]
        for one, expected in zip(operations, parts, strict=True):
            np.testing.assert_array_equal(one.rows(0, one.shape[0]), expected.rows(0, one.shape[0]))


def test_strength_multiplies_the_edit(llama, editor, edit):
    file = editor(llama)
    plain, half = edit(llama, file, MARIE), edit(llama, file, MARIE, strength=0.5)
    for name, (operation,) in plain.operations.items():
        (halved,) = half.operations[name]
        shape = operation.shape
        np.testing.assert_array_equal(halved.rows(0, shape[0]), 0.5 * operation.rows(0, shape[0]))


@pytest.mark.parametrize("phase", ["records", "training"])
def test_training_interrupted_leaves_the_model_and_no_file(llama, editor, tmp_path, phase, trained):
    llama.model.train()
    before = live_state(llama)

    def interrupt(name, done, _total):
        if name == phase and done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        editor(llama, progress=interrupt)
    assert live_state(llama) == before
    assert not any(path.name.endswith("editor") for path in tmp_path.iterdir())


def test_an_edit_interrupted_leaves_the_model(llama, editor, edit):
    file = editor(llama)
    llama.model.train()
    before = live_state(llama)

    def interrupt(name, done, _total):
        if name == "edit 2 of 2" and not done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        edit(llama, file, MARIE, ACTOR, progress=interrupt)
    assert live_state(llama) == before


def test_without_an_editor_the_way_to_one_is_told(llama, edit, trained):
    with pytest.raises(RequestRefused, match="needs a trained editor") as refused:
        edit(llama, None, MARIE)
    assert f"weightpatch method train {trained[0].name} BASE --data" in refused.value.hint


def test_an_editor_of_another_base_is_refused(pico, editor, edit):
    file = editor(pico("llama"))
    for family in ("gpt2", "mistral"):
        with pytest.raises(BaseMismatch, match="the editor was not trained for"):
            edit(pico(family), file, MARIE)


def test_an_editor_of_another_method_is_refused(llama, records, tmp_path):
    (mend, settings), (ke, _) = TRAINED
    mend.train(llama, records, settings, seed=0, progress=silent).write(tmp_path / "e")
    resources = Resources(KeyStatistics(), editor=tmp_path / "e")
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
