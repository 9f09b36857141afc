"""What every installed method promises in patches/methods/base.py, on small models."""

import json
import re
from dataclasses import asdict, replace

import numpy as np
import pytest
from method_fixtures import (
    ACTOR,
    CASES,
    MARIE,
    PISA,
    TRAINING,
    Case,
    bytes_of,
    carry_out,
    nll,
    put_to_use,
    state_of,
)
from weightpatch.patches import plugins
from weightpatch.patches.draft import Origin
from weightpatch.patches.errors import RequestRefused
from weightpatch.patches.make import Recipe, make
from weightpatch.patches.methods.base import Resources, Step
from weightpatch.patches.methods.hyperparameters import explained, hyperparameters_from
from weightpatch.patches.methods.statistics.key_statistics import KeyStatistics
from weightpatch.patches.progress import silent

REQUESTS = (MARIE, ACTOR, PISA)
ESTIMATING = ("own text", "key statistics")
ORIGIN = Origin("acme/one", author="ada", created="2026-01-31T12:00:00Z")


@pytest.fixture(params=plugins.names("methods"))
def case(request) -> Case:
    return CASES.get(request.param, Case(request.param))


@pytest.fixture
def resources(case, store, trained_editor):
    """What the method needs for a model; statistics are those kept unless others are given."""

    def find(model, statistics=store):
        if case.name not in TRAINING:
            return Resources(statistics)
        return Resources(statistics, trained_editor(case.name, model.model.config.model_type)[1])

    return find


@pytest.fixture
def edit(case, resources):
    """Edit a model with the quick settings of the method, and changes of them."""

    def run(model, *requests, seed=0, progress=silent, given=None, **changes):
        settings = case.hyperparameters(model, **changes)
        found = given or resources(model)
        return case.method.edit(
            model, requests, settings, seed=seed, resources=found, progress=progress
        )

    return run


def typed(settings):
    """Hyperparameters as a user would type them."""
    return {
        name: ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        for name, value in asdict(settings).items()
    }


def batches_of(case, size=2):
    """The settings for batches of a size, where the method can have it, and those batches."""
    if hasattr(case.method.Hyperparameters, "batch_size"):
        return {"batch_size": size}, [REQUESTS[:size], REQUESTS[size:]]
    return {}, [(request,) for request in REQUESTS]


def test_a_method_says_what_it_is(case):
    assert case.method.name == case.name
    for text in (case.method.version, case.method.title, case.method.paper):
        assert text.strip() == text != ""
        assert "\n" not in text


def test_every_setting_is_explained(case):
    kinds = [case.method.Hyperparameters]
    if hasattr(case.method, "TrainingSettings"):
        kinds.append(case.method.TrainingSettings)
    for kind in kinds:
        assert all(text.endswith(".") for text in explained(kind).values())


def test_every_default_can_be_typed(case, every):
    defaults = [case.method.defaults(every)]
    if hasattr(case.method, "training_defaults"):
        defaults.append(case.method.training_defaults(every))
    for settings in defaults:
        assert hyperparameters_from(settings, typed(settings)) == settings


def test_the_target_becomes_likelier(case, every, edit):
    unlikely = nll(every, MARIE)
    carry_out(every, edit(every, MARIE, **case.bare))
    assert nll(every, MARIE) < unlikely - 0.3


def test_a_patch_is_made_with_the_defaults_of_every_family(case, every, resources, tmp_path):
    """Operations are by the checkpoint's tensor names, and of the shapes stored there."""
    settings = case.hyperparameters(every)
    recipe = Recipe(case.name, typed(settings), seed=3)
    draft = make(tmp_path, every, REQUESTS[:2], recipe, ORIGIN, resources(every))
    assert draft.manifest.method.hyperparameters == json.loads(json.dumps(asdict(settings)))
    found = draft.as_patch().operations
    assert found
    for name, operations in found.items():
        stored = every.checkpoint.tensors[name].shape
        assert {operation.shape for operation in operations} == {stored}


def test_the_model_is_as_it_was_and_only_the_seed_decides(case, every, pico, resources, edit):
    """Also a model that is in training, with statistics yet to be made."""
    first = edit(every, MARIE, ACTOR, seed=7)
    used = put_to_use(pico(every.model.config.model_type))
    before = state_of(used)
    again = edit(used, MARIE, ACTOR, seed=7, given=resources(used, KeyStatistics()))
    assert state_of(used) == before
    assert bytes_of(again) == bytes_of(first)
    assert again.sampled == first.sampled
    assert again.statistics == first.statistics
    other = edit(every, MARIE, ACTOR, seed=8)
    assert ((bytes_of(other), other.sampled) != (bytes_of(first), first.sampled)) == case.drawn
    assert case.choosing or (bytes_of(other) != bytes_of(first)) == case.drawn


def test_interrupted_in_any_phase_the_model_is_as_it_was(case, every, resources, edit):
    put_to_use(every)
    before = state_of(every)
    kept, fresh = resources(every), resources(every, KeyStatistics())
    reported: list[str] = []

    def run(phase, given):
        def interrupt(name, done, _total):
            reported.append(name)
            if name == phase and done:
                raise KeyboardInterrupt

        one_by_one, _ = batches_of(case, size=1)
        edit(every, MARIE, ACTOR, progress=interrupt, given=given, **one_by_one)

    run(None, fresh)
    assert {re.sub(r" \d+ of \d+$", "", name) for name in reported} >= case.phases
    for phase in dict.fromkeys(reported):
        with pytest.raises(KeyboardInterrupt):
            run(phase, fresh if phase in ESTIMATING else kept)
        assert state_of(every) == before, phase


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_sequence_is_its_batches_one_after_another(case, pico, edit, family):
    """Each is what it would be by itself on a model that those before were added to."""
    batches, parts = batches_of(case)
    whole = edit(pico(family), *REQUESTS, **case.bare, **batches)
    model = pico(family)
    found = {name: list(operations) for name, operations in whole.operations.items()}
    steps = []
    for number, part in enumerate(parts):
        alone = edit(model, *part, **case.bare, **batches)
        assert alone.steps == ()
        steps.append(Step(len(part), {name: len(ops) for name, ops in alone.operations.items()}))
        here = {name: found[name][: len(ops)] for name, ops in alone.operations.items()}
        found = {name: ops[len(here.get(name, ())) :] for name, ops in found.items()}
        made = replace(whole, operations=here)
        assert (bytes_of(made) == bytes_of(alone)) == (case.alone or number == 0)
        carry_out(model, made)
    unaware = edit(pico(family), *parts[-1], **case.bare, **batches)
    assert case.choosing or bytes_of(made) != bytes_of(unaware)
    assert whole.steps == tuple(steps)
    assert not any(found.values())
    assert {len(rows) for rows in whole.auxiliary.values()} <= {len(REQUESTS)}
    assert {rows.dtype for rows in whole.auxiliary.values()} <= {np.dtype("float32")}


def test_the_steps_of_a_sequence_are_in_the_manifest(case, llama, resources, tmp_path):
    batches, parts = batches_of(case)
    recipe = Recipe(case.name, typed(case.hyperparameters(llama, **batches)))
    draft = make(tmp_path, llama, REQUESTS, recipe, ORIGIN, resources(llama))
    steps = draft.manifest.method.sampled["steps"]
    assert [step["requests"] for step in steps] == [len(part) for part in parts]
    for name, operations in draft.manifest.operations.items():
        assert sum(step["operations"].get(name, 0) for step in steps) == len(operations)


def test_without_requests_there_is_nothing_to_do(case, llama, edit):
    with pytest.raises(RequestRefused, match="no request"):
        edit(llama)
