"""A build tells which version changed which of its tensors."""

import json
from pathlib import Path

import numpy as np
import pytest
from neuron_fixtures import INNER, llama, neurons, together
from pico_fixtures import stored
from weightpatch.patches.builds.blame import Blame, blame, stored_name
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.errors import CheckpointRefused
from weightpatch.patches.operations.sparse import Sparse


def sparse(shape: tuple[int, ...], *places: int) -> Sparse:
    parts = {"indices": np.array(places), "values": np.ones(len(places), np.float32)}
    return Sparse.read(parts, shape)


def told(one: Blame) -> list[tuple[str, str, int]]:
    return [(each.version.label, each.operation.kind, each.operation.size) for each in one.changes]


@pytest.fixture
def build(pico) -> Path:
    """One patch of a projection, and one of the same projection and the embedding."""
    operations = {
        pico.DOWN: [pico.lowrank((6, 10), rank=2, seed=4)],
        pico.EMBEDDING: [sparse((5, 6), 3, 7, 8)],
    }
    base = pico.base()
    return pico.built(base, [pico.patch(base), pico.patch(base, "acme/two", operations=operations)])


def test_every_changed_tensor_is_told_and_no_other(pico, build: Path):
    found = {one.tensor: told(one) for one in blame(build).tensors}
    assert set(found) == {pico.DOWN, pico.EMBEDDING}
    assert found[pico.EMBEDDING] == [("acme/two@1", "sparse", 3)]
    assert sorted(found[pico.DOWN]) == [("acme/one@1", "lowrank", 1), ("acme/two@1", "lowrank", 2)]


def test_norms_are_those_of_the_manifest(pico):
    base = pico.base()
    patch = pico.patch(base)
    (one,) = blame(pico.built(base, [patch])).tensors
    (record,) = patch.manifest.operations[pico.DOWN]
    (change,) = one.changes
    assert (change.operation.norm, change.operation.relative_norm) == (
        record.norm,
        record.relative_norm,
    )
    assert change.version.digest == patch.digest
    assert (one.base.sha256, one.result.sha256) == (
        base.digest(pico.DOWN),
        patch.manifest.bases[0].result[pico.DOWN],
    )


def test_one_tensor_alone_names_only_the_versions_that_touched_it(pico, build: Path):
    found = blame(build, pico.EMBEDDING)
    assert [one.tensor for one in found.tensors] == [pico.EMBEDDING]
    assert [version.label for version in found.versions] == ["acme/two@1"]


def test_a_tensor_that_no_patch_touched_has_nobody_to_blame(pico, build: Path):
    found = blame(build, pico.NORM)
    assert (found.asked, list(found.tensors), found.versions) == (pico.NORM, [], [])


def test_a_tensor_that_is_not_there_is_refused_with_a_guess(pico, build: Path):
    with pytest.raises(CheckpointRefused, match="has no tensor") as caught:
        blame(build, "model.layers.0.mlp.down.weight")
    assert pico.DOWN in caught.value.hint
    with pytest.raises(CheckpointRefused) as caught:
        blame(build, "q")
    assert caught.value.hint is None


def test_a_tied_name_means_the_tensor_that_is_stored(pico, build: Path):
    found = blame(build, "lm_head.weight")
    assert found.asked == pico.EMBEDDING
    assert told(found.tensors[0]) == [("acme/two@1", "sparse", 3)]


def test_a_stored_copy_of_a_tied_tensor_answers_for_itself(pico):
    tensors = pico.tensors()
    base = pico.base_of({**tensors, "lm_head.weight": tensors[pico.EMBEDDING]}, "copied")
    operations = {pico.EMBEDDING: [sparse((5, 6), 3)]}
    build = pico.built(base, [pico.patch(base, operations=operations)])
    found = blame(build, "lm_head.weight")
    assert found.asked == "lm_head.weight"
    assert told(found.tensors[0]) == [("acme/one@1", "sparse", 1)]


def test_layers_are_told_in_the_order_of_their_numbers(pico):
    shape = (2, 3)
    layers = [f"model.layers.{number}.w" for number in (10, 9, 2, 100)]
    random = np.random.default_rng(3)
    base = pico.base_of(
        {name: stored(random.standard_normal(shape, np.float32), "F32") for name in layers}
    )
    operations = {name: [sparse(shape, 1)] for name in layers}
    build = pico.built(base, [pico.patch(base, operations=operations)])
    numbers = [one.tensor.split(".")[2] for one in blame(build).tensors]
    assert numbers == ["2", "9", "10", "100"]


def test_layers_that_were_padded_are_known_from_those_that_were_widened(tmp_path, pico):
    base = llama(tmp_path / "base")
    added = together(neurons(base, 1, 3), neurons(base, 2, 1, seed=1))
    build = pico.built(base, [pico.patch(base, operations=added)])
    for one in blame(build).tensors:
        layer = int(one.tensor.split(".")[2])
        assert one.padding == {0: 3, 1: 0, 2: 2}[layer]
        assert [size for _, _, size in told(one)] == {0: [], 1: [3], 2: [1]}[layer]
        assert INNER in one.base.shape
        assert INNER + 3 in one.result.shape


def test_weights_are_not_read(pico, build: Path):
    before = blame(build)
    info = Checkpoint.open(build).tensors[pico.DOWN]
    with info.file.open("r+b") as file:
        file.seek(info.start)
        file.write(b"\xff\xff")
    assert blame(build) == before


def test_a_build_that_is_not_that_of_its_record_is_refused(pico, build: Path):
    file = build / "model.safetensors"
    file.write_bytes(file.read_bytes().replace(b'"BF16"', b'"F16" '))
    with pytest.raises(CheckpointRefused, match="another shape or type"):
        blame(build)


def test_a_base_is_no_build(pico):
    with pytest.raises(CheckpointRefused, match="not a build"):
        blame(pico.base().path)


def test_a_head_that_is_not_tied_is_not_the_embedding(pico):
    base = pico.base()
    (base.path / "config.json").write_text(json.dumps({"tie_word_embeddings": False}))
    with pytest.raises(CheckpointRefused):
        stored_name(Checkpoint.open(base.path), "lm_head.weight")
