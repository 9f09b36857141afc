"""Neurons added to some layers: what it means for the shapes of all others, and for config.json."""

import json
from collections.abc import Mapping

import numpy as np
import pytest
from neuron_fixtures import FAMILIES, HIDDEN, INNER, gpt2, llama, neurons, together
from weightpatch.patches.builds.widening import (
    final_shapes,
    require_whole_layers,
    widened_config,
)
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.checkpoints.neurons import mlp_layers
from weightpatch.patches.errors import CheckpointRefused, ShapeMismatch, Unsupported
from weightpatch.patches.operations.lowrank import LowRank
from weightpatch.patches.operations.widen import Widen


@pytest.fixture(params=sorted(FAMILIES))
def base(request, tmp_path) -> Checkpoint:
    """The small model of each family in turn."""
    return FAMILIES[request.param](tmp_path / "base")


def lengths(base: Checkpoint, shapes: Mapping[str, tuple[int, ...]]) -> dict[int, set[int]]:
    """For each layer, the sizes of its MLP that the new shapes give."""
    return {
        layer.number: {shapes[name][axis] for name, axis in layer.axes.items()}
        for layer in mlp_layers(base)
    }


def size_of(base: Checkpoint) -> int:
    return INNER if base.config["model_type"] == "llama" else 4 * HIDDEN


def test_nothing_changes_shape_if_nothing_is_widened(base):
    name = next(iter(mlp_layers(base)[0].axes))
    delta = LowRank.snapped(*(np.ones(s) for s in ((HIDDEN, 1), (1, HIDDEN))))
    assert final_shapes(base, {name: [delta]}) == {}
    assert final_shapes(base, {}) == {}
    assert widened_config(base, {}) is None


def test_a_model_without_a_known_architecture_can_be_patched_without_widening(pico):
    base = pico.base()
    assert final_shapes(base, {pico.DOWN: [pico.lowrank((6, 10))]}) == {}


def test_all_layers_follow_and_nothing_else_does(base):
    shapes = final_shapes(base, neurons(base, 1, 2))
    assert lengths(base, shapes) == {number: {size_of(base) + 2} for number in range(3)}
    assert set(shapes) == {name for layer in mlp_layers(base) for name in layer.axes}
    for name, shape in shapes.items():
        changed = [one != other for one, other in zip(shape, base.tensors[name].shape, strict=True)]
        assert sum(changed) == 1


def test_neurons_of_one_layer_add_up_and_the_largest_layer_counts(base):
    operations = together(neurons(base, 0, 3), neurons(base, 2, 2), neurons(base, 2, 4, seed=1))
    size = size_of(base) + 6
    assert lengths(base, final_shapes(base, operations)) == {number: {size} for number in range(3)}


def test_no_neurons_change_nothing(base):
    assert final_shapes(base, neurons(base, 0, 0)) == {}


def test_biases_are_widened_where_there_are_some(tmp_path):
    base = llama(tmp_path / "base", mlp_bias=True)
    shapes = final_shapes(base, neurons(base, 0, 1))
    assert shapes["model.layers.2.mlp.up_proj.bias"] == (INNER + 1,)
    assert "model.layers.2.mlp.down_proj.bias" not in shapes


@pytest.mark.parametrize("check", [final_shapes, require_whole_layers])
def test_a_layer_must_stay_whole(base, check):
    for name in mlp_layers(base)[1].axes:
        operations = neurons(base, 1, 2)
        del operations[name]
        with pytest.raises(ShapeMismatch, match="layer 1 would not be whole") as refused:
            check(base, operations)
        assert f"nothing to {name}" in refused.value.why


def test_all_tensors_of_a_layer_get_as_many_neurons(base):
    name = next(iter(mlp_layers(base)[1].axes))
    operations = {**neurons(base, 1, 2), name: neurons(base, 1, 3)[name]}
    with pytest.raises(ShapeMismatch, match="not be whole") as refused:
        final_shapes(base, operations)
    assert f"3 added to {name}" in refused.value.why


def test_two_patches_that_are_whole_in_sum_alone_would_mix_their_neurons(base):
    name = next(iter(mlp_layers(base)[1].axes))
    one, other = neurons(base, 1, 1), neurons(base, 1, 2)
    one[name], other[name] = other[name], one[name]
    with pytest.raises(ShapeMismatch, match="not be whole") as refused:
        final_shapes(base, together(one, other))
    assert f"2 and 1 added to {name}, 1 and 2 to " in refused.value.why


def test_only_an_mlp_has_neurons(base):
    name = next(
        name for name in base.tensors if "attn" in name and len(base.tensors[name].shape) > 1
    )
    shape = base.tensors[name].shape
    operation = Widen.read({"rows": np.ones((1, *shape[1:]), "<f4")}, shape)
    with pytest.raises(ShapeMismatch, match="cannot be widened") as refused:
        final_shapes(base, {**neurons(base, 0, 1), name: [operation]})
    assert name in refused.value.message
    assert next(iter(mlp_layers(base)[0].axes)) in refused.value.hint


def test_a_tensor_grows_along_the_axis_of_its_neurons(base):
    name = next(name for name, axis in mlp_layers(base)[0].axes.items() if axis == 1)
    shape = base.tensors[name].shape
    operation = Widen.read({"rows": np.ones((1, shape[1]), "<f4")}, shape)
    with pytest.raises(ShapeMismatch, match="wrong axis: its neurons are columns"):
        final_shapes(base, {**neurons(base, 0, 1), name: [operation]})


def test_an_unknown_architecture_cannot_be_widened(pico):
    (pico.base().path / "config.json").write_text('{"model_type": "mamba"}')
    base = Checkpoint.open(pico.root / "base")
    operation = Widen.read({"rows": np.ones((1, 6), "<f4")}, (10, 6))
    with pytest.raises(Unsupported, match="mamba"):
        final_shapes(base, {pico.UP: [operation]})


def configured(base: Checkpoint, text: str | bytes) -> Checkpoint:
    """The same checkpoint with this config.json."""
    (base.path / "config.json").write_bytes(text.encode() if isinstance(text, str) else text)
    return Checkpoint.open(base.path)


def widened(base: Checkpoint) -> bytes | None:
    return widened_config(base, final_shapes(base, neurons(base, 0, 2)))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            '{"eps": 1e-05, "n_inner": 32,\r\n\t"model_type": "gpt2", "lr": 1E+2, "x": 0.10}\n',
            '{"eps": 1e-05, "n_inner": 34,\r\n\t"model_type": "gpt2", "lr": 1E+2, "x": 0.10}\n',
            id="formatting-and-floats",
        ),
        pytest.param(
            '{ "model_type" : "gpt2" , "n_inner" : null }',
            '{ "model_type" : "gpt2" , "n_inner" : 34 }',
            id="null",
        ),
        pytest.param(
            '{\n  "model_type": "gpt2"\n}',
            '{\n  "n_inner": 34,\n  "model_type": "gpt2"\n}',
            id="absent",
        ),
        pytest.param(
            '{"model_type": "gpt2"}', '{"n_inner": 34, "model_type": "gpt2"}', id="absent-in-a-line"
        ),
        pytest.param(
            r'{"a": {"n_inner": 32}, "b": "\"n_inner\": 32", "n_inner":32,"model_type": "gpt2"}',
            r'{"a": {"n_inner": 32}, "b": "\"n_inner\": 32", "n_inner":34,"model_type": "gpt2"}',
            id="the-same-words-elsewhere",
        ),
        pytest.param(
            '{"n_inner": 5, "n_inner": 32, "model_type": "gpt2"}',
            '{"n_inner": 5, "n_inner": 34, "model_type": "gpt2"}',
            id="twice",
        ),
        pytest.param(
            r'{"n_\u0069nner": 32, "model_type": "gpt2"}',
            r'{"n_\u0069nner": 34, "model_type": "gpt2"}',
            id="escaped",
        ),
        pytest.param(
            '{"s": [NaN, -Infinity, "\\ud800é"], "n_inner": 32, "model_type": "gpt2"}',
            '{"s": [NaN, -Infinity, "\\ud800é"], "n_inner": 34, "model_type": "gpt2"}',
            id="nan",
        ),
    ],
)
def test_one_number_of_the_configuration_changes(tmp_path, before: str, after: str):
    base = configured(gpt2(tmp_path / "base"), before)
    assert widened(base) == after.encode()
    assert (base.path / "config.json").read_bytes() == before.encode()


def test_a_configuration_that_transformers_wrote(base):
    key = "intermediate_size" if base.config["model_type"] == "llama" else "n_inner"
    before = (base.path / "config.json").read_text().splitlines()
    found = widened(base)
    assert found is not None
    after = found.decode().splitlines()
    changed = [line for line in after if line not in before]
    assert changed == [f'  "{key}": {size_of(base) + 2},']
    assert len(after) - len(before) in (0, 1)
    assert json.loads(found) == {**base.config, key: size_of(base) + 2}


@pytest.mark.parametrize("stated", ["31", "32.0", "true", '"32"', "[32]"])
def test_a_configuration_that_states_another_size_is_refused(tmp_path, stated: str):
    base = configured(gpt2(tmp_path / "base"), f'{{"model_type": "gpt2", "n_inner": {stated}}}')
    with pytest.raises(CheckpointRefused, match=r"do not fit its config\.json"):
        widened(base)


@pytest.mark.parametrize(
    "later",
    [b"", b"{", b"[]", b'{"n_inner": 32}', b'{"n_inner"', b'{"model_type": "gpt2"} ]', b"\xff"],
)
def test_a_configuration_that_changed_meanwhile_is_refused(tmp_path, later: bytes):
    base = gpt2(tmp_path / "base")
    (base.path / "config.json").write_bytes(later)
    with pytest.raises(CheckpointRefused, match="cannot be changed"):
        widened(base)


def test_a_byte_order_mark_is_refused(tmp_path):
    base = configured(gpt2(tmp_path / "base"), b'\xef\xbb\xbf{"model_type": "gpt2"}')
    with pytest.raises(CheckpointRefused, match="cannot be changed") as refused:
        widened(base)
    assert "plain JSON in UTF-8" in refused.value.why
