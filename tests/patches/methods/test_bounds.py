"""Hyperparameters stay within what float32 can hold."""

from dataclasses import fields

import pytest
from method_fixtures import CASES, MARIE, TRAINING
from weightpatch.patches.errors import InputError, RequestRefused
from weightpatch.patches.methods.base import Resources
from weightpatch.patches.methods.hyperparameters import hyperparameters_from
from weightpatch.patches.progress import silent

SETTINGS = {**dict.fromkeys(CASES), **{f"{name} training": name for name in TRAINING}}


def settings_of(name, model):
    return TRAINING[SETTINGS[name]] if SETTINGS[name] else CASES[name].hyperparameters(model)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_number_beyond_float32_is_out_of_range(llama, name):
    settings = settings_of(name, llama)
    numbers = [
        item.name for item in fields(settings) if item.type in ("float", float, float | None)
    ]
    assert numbers
    for field in numbers:
        for value in ("1e39", "1e308", "inf", "nan", "-1e39"):
            with pytest.raises(RequestRefused, match=field):
                hyperparameters_from(settings, {field: value})


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("ft", {"weight_decay": 1e30}),
        ("ft", {"learning_rate": 1000.0}),
        ("ft", {"norm_constraint": 1e30, "loss_threshold": 1e30}),
        ("lora", {"weight_decay": 1e30, "learning_rate": 1000.0}),
        ("rome", {"kl_factor": 1e30, "learning_rate": 1000.0}),
        ("rome", {"weight_decay": 1e30, "clamp": 1e-320}),
        ("rome", {"clamp": 1e30, "learning_rate": 1000.0}),
        ("memit", {"covariance_weight": 1e30}),
        ("alphaedit", {"nullspace_threshold": 1e30, "ridge": 1e30}),
        ("kn", {"old_weight": 1e30, "new_weight": 1e30}),
    ],
)
def test_a_number_at_its_bound_edits_or_is_refused(llama, store, name, changes):
    case = CASES[name]
    settings = case.hyperparameters(llama, **changes)
    try:
        edit = case.method.edit(
            llama, [MARIE], settings, seed=0, resources=Resources(store), progress=silent
        )
    except InputError as error:
        assert error.hint  # noqa: PT017
    else:
        assert edit.operations
