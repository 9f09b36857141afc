"""extract: what two checkpoints differ in, as a patch that gives the very bytes back."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from neuron_fixtures import FAMILIES, gpt2
from operation_strategies import sums
from pico_fixtures import Pico, stored, write_weights
from weightpatch.patches.builds.apply import apply
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.draft import Origin
from weightpatch.patches.errors import (
    CheckpointRefused,
    DigestMismatch,
    InputError,
    LimitExceeded,
    NonFinite,
    RequestRefused,
    ShapeMismatch,
    TooBig,
    Unsupported,
)
from weightpatch.patches.extraction import extract as module
from weightpatch.patches.extraction.configurations import remarks
from weightpatch.patches.extraction.extract import extract
from weightpatch.patches.format.patch import Patch
from weightpatch.patches.operations.lowrank import LowRank
from weightpatch.patches.summation import norm

TOOLS = {"weightpatch": "0"}
ORIGIN = Origin("acme/found", author="ada", created="2026-01-31T12:00:00Z")


def extracted(base: Checkpoint, edited: Checkpoint, folder: Path, **options) -> Patch:
    folder.mkdir()
    draft = extract(base, edited, folder, [Pico.REQUEST], ORIGIN, TOOLS, **options)
    return draft.as_patch()


def contents(checkpoint: Checkpoint) -> dict[str, tuple]:
    """Type, shape and digest of every tensor."""
    return {
        name: (info.dtype, info.shape, checkpoint.digest(name))
        for name, info in checkpoint.tensors.items()
    }


def require_round_trip(base: Checkpoint, edited: Checkpoint, root: Path) -> Patch:
    """Extract, apply to the base, and compare with the edited checkpoint."""
    patch = extracted(base, edited, root / "found")
    apply(base, [patch], root / "again")
    assert contents(Checkpoint.open(root / "again")) == contents(edited)
    return patch


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_what_apply_wrote_comes_back(pico, tmp_path, dtype, shards):
    base = pico.base(dtype=dtype, shards=shards)
    operations = {
        pico.DOWN: [pico.lowrank((6, 10), rank=2), pico.sparse((6, 10))],
        pico.UP: [pico.dense((10, 6))],
        pico.NORM: [pico.replaced((6,))],
        pico.EMBEDDING: [pico.replaced_whole((5, 6))],
    }
    patch = pico.patch(base, operations=operations)
    found = require_round_trip(base, Checkpoint.open(pico.built(base, [patch])), tmp_path)
    assert found.manifest.bases[0].result == patch.manifest.bases[0].result
    assert found.manifest.method.name == "extract"


@given(sums(), st.integers(1, 2), st.integers(1, 2))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_operation_comes_back_whatever_the_bits(case, shards, other_shards):
    bits, _, operations = case
    with TemporaryDirectory() as name:
        pico = Pico(Path(name))
        one = {pico.DOWN: bits, pico.NORM: pico.tensors()[pico.NORM]}
        base = pico.base_of(one, shards=shards)
        try:
            patch = pico.patch(base, operations={pico.DOWN: operations})
        except InputError:
            return  # too large a result, which no build can have either
        build = Checkpoint.open(pico.built(base, [patch]))
        resharded = {name: build.read(name) for name in build.tensors}
        edited = pico.base_of(resharded, "resharded", shards=other_shards)
        norms = [norm(checkpoint, pico.DOWN) for checkpoint in (base, edited)]
        assume(norms[1] <= 1000 * norms[0] or not norms[0])
        if edited.digest(pico.DOWN) == base.digest(pico.DOWN):
            with pytest.raises(CheckpointRefused, match="are the same"):
                extracted(base, edited, pico.root / "found")
        else:
            require_round_trip(base, edited, pico.root)


def test_sharding_does_not_matter(pico, tmp_path):
    base = pico.base()
    build = Checkpoint.open(pico.built(base, [pico.patch(base)]))
    tensors = {name: build.read(name) for name in reversed(build.tensors)}
    edited = pico.base_of(tensors, "sharded", shards=3)
    assert list(require_round_trip(base, edited, tmp_path).manifest.operations) == [pico.DOWN]


@pytest.mark.parametrize("family", FAMILIES)
def test_all_families(tmp_path, family):
    base = FAMILIES[family](tmp_path / "base", shards=2)
    name = next(
        name for name in base.tensors if name.endswith(("c_proj.weight", "down_proj.weight"))
    )
    pico = Pico(tmp_path)
    operations = {name: [pico.lowrank(base.tensors[name].shape)]}
    edited = Checkpoint.open(pico.built(base, [pico.patch(base, operations=operations)]))
    require_round_trip(base, edited, tmp_path)


def test_the_same_files_are_not_read(pico, tmp_path):
    base = pico.base(shards=4)
    link = tmp_path / "linked"
    shutil.copytree(base.path, link, copy_function=lambda one, other: Path(other).hardlink_to(one))
    with pytest.raises(CheckpointRefused, match="are the same"):
        extracted(base, Checkpoint.open(link), tmp_path / "found")


def test_digests_that_are_known_are_believed(pico, tmp_path):
    base, edited = pico.base(), pico.base("edited")
    base.digests()
    edited.digests()
    for file in edited.files:
        file.write_bytes(b"")
    with pytest.raises(CheckpointRefused, match="are the same"):
        extracted(base, edited, tmp_path / "found")


def test_progress_is_told(pico, tmp_path):
    base = pico.base()
    edited = pico.base("edited", seed=1)
    told = []
    extracted(base, edited, tmp_path / "found", progress=lambda *all_: told.append(all_))
    assert ("comparing tensors", 0, 4) in told
    assert told[-1] == ("finding operations", 4, 4)


def test_large_parts_wait_in_files_that_are_gone_afterwards(pico, tmp_path, monkeypatch):
    monkeypatch.setattr("weightpatch.patches.extraction.spilling.HELD_BYTES", 8)
    require_round_trip(pico.base(), pico.base("edited", seed=1), tmp_path)
    assert {file.name for file in (tmp_path / "found").iterdir()} == {
        *("patch.json", "delta.safetensors", "requests.jsonl"),
    }


def test_nothing_changed_is_refused(pico, tmp_path):
    with pytest.raises(CheckpointRefused, match="are the same") as error:
        extracted(pico.base(), pico.base("edited"), tmp_path / "found")
    assert error.value.hint


def test_other_tensors_are_named(pico, tmp_path):
    tensors = pico.tensors()
    tensors["model.layers.0.mlp.q.weight"] = tensors.pop(pico.UP)
    with pytest.raises(CheckpointRefused) as error:
        extracted(pico.base(), pico.base_of(tensors, "edited"), tmp_path / "found")
    assert pico.UP in error.value.why
    assert "mlp.q.weight" in error.value.why


def test_adapters_that_were_not_merged_are_recognised(pico, tmp_path):
    tensors = {
        **pico.tensors(),
        "model.layers.0.mlp.up_proj.lora_A.weight": pico.tensors()[pico.UP],
    }
    with pytest.raises(CheckpointRefused) as error:
        extracted(pico.base(), pico.base_of(tensors, "edited"), tmp_path / "found")
    assert "merge" in error.value.hint


def test_another_type_is_refused_with_the_way_out(pico, tmp_path):
    with pytest.raises(CheckpointRefused) as error:
        extracted(pico.base(), pico.base("edited", dtype="F32"), tmp_path / "found")
    assert "bfloat16" in error.value.hint


def test_another_shape_is_refused(pico, tmp_path):
    tensors = pico.tensors()
    tensors[pico.EMBEDDING] = tensors[pico.EMBEDDING][:4].copy()
    with pytest.raises(ShapeMismatch, match="embed_tokens"):
        extracted(pico.base(), pico.base_of(tensors, "edited"), tmp_path / "found")


@pytest.mark.parametrize("broken", ["base", "edited"])
def test_nan_is_refused_by_name(pico, tmp_path, broken):
    tensors = {"base": pico.tensors(), "edited": pico.tensors(seed=1)}
    tensors[broken][pico.NORM] = stored(np.array([np.nan] * 6, np.float32), "F32")
    base, edited = (pico.base_of(found, name) for name, found in tensors.items())
    with pytest.raises(NonFinite, match=f"model.norm.weight of {broken}"):
        extracted(base, edited, tmp_path / "found")


def test_quantised_weights_are_refused(pico, tmp_path):
    edited = pico.base("edited", seed=1)
    (edited.path / "config.json").write_text('{"quantization_config": {"quant_method": "awq"}}')
    with pytest.raises(Unsupported, match="quantised"):
        extracted(pico.base(), Checkpoint.open(edited.path), tmp_path / "found")


def test_a_change_that_dwarfs_the_weights_is_no_edit(pico, tmp_path):
    tensors = pico.tensors()
    tensors[pico.NORM] = tensors[pico.NORM] * np.float32(1e6)
    with pytest.raises(TooBig, match="times its norm"):
        extracted(pico.base(), pico.base_of(tensors, "edited"), tmp_path / "found")


def test_without_requests_nothing_is_done(pico, tmp_path):
    with pytest.raises(RequestRefused):
        extract(pico.base(), pico.base("edited", seed=1), tmp_path, [], ORIGIN, TOOLS)


def test_more_tensors_than_a_manifest_holds_are_refused_before_the_work(
    pico, tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "MAX_BYTES", 1000)
    with pytest.raises(LimitExceeded, match="4 tensors"):
        extracted(pico.base(), pico.base("edited", seed=1), tmp_path / "found")


def with_config(checkpoint: Checkpoint, text: str) -> Checkpoint:
    (checkpoint.path / "config.json").write_text(text)
    return Checkpoint.open(checkpoint.path)


def test_a_configuration_that_gives_weights_another_meaning_is_refused(tmp_path):
    base = FAMILIES["llama"](tmp_path / "base")
    edited = FAMILIES["llama"](tmp_path / "edited", rms_norm_eps=0.5)
    with pytest.raises(CheckpointRefused, match="rms_norm_eps"):
        extracted(base, edited, tmp_path / "found")


def test_a_configuration_spelt_differently_is_the_same(pico, tmp_path):
    base = with_config(pico.base(), '{"model_type": "llama", "rope_theta": 10000.0}')
    edited = with_config(pico.base("edited", seed=1), '{"model_type": "llama", "use_cache": false}')
    assert extracted(base, edited, tmp_path / "found").operations


def test_another_tokenizer_and_a_build_are_remarked(pico):
    base = pico.base()
    build = pico.built(base, [pico.patch(base)])
    (build / "tokenizer.json").write_text("{}")
    first, second = remarks(base, Checkpoint.open(build))
    assert "tokenizer" in first
    assert "build" in second


def tied(pico, name: str, tensors: dict, *, ties: bool) -> Checkpoint:
    base = pico.base_of(tensors, name)
    return with_config(base, f'{{"tie_word_embeddings": {str(ties).lower()}}}')


@pytest.mark.parametrize("base_has", [True, False])
@pytest.mark.parametrize("edited_has", [True, False])
def test_a_share_may_be_stored_or_not(pico, tmp_path, base_has, edited_has):
    def tensors(seed: int, stores: bool) -> dict:
        found = pico.tensors(seed=seed)
        return {**found, **({"lm_head.weight": found[pico.EMBEDDING]} if stores else {})}

    base = tied(pico, "base", tensors(0, base_has), ties=True)
    edited = tied(pico, "edited", tensors(1, edited_has), ties=not edited_has)
    patch = extracted(base, edited, tmp_path / "found")
    assert "lm_head.weight" not in patch.operations
    assert patch.manifest.bases[0].result[pico.EMBEDDING] == edited.digest(pico.EMBEDDING)


def test_a_share_that_went_its_own_way_is_refused(pico, tmp_path):
    tensors = pico.tensors()
    tensors["lm_head.weight"] = pico.tensors(seed=1)[pico.EMBEDDING]
    edited = tied(pico, "edited", tensors, ties=False)
    with pytest.raises(Unsupported, match="lm_head"):
        extracted(pico.base(), edited, tmp_path / "found")


def test_gpt2_is_known_with_and_without_the_name_of_its_decoder(tmp_path):
    edited = gpt2(tmp_path / "edited")
    bare = {}
    for name in edited.tensors:
        bits = edited.read(name)
        bare[name.removeprefix("transformer.")] = bits + (0.5 if name.endswith("ln_f.bias") else 0)
    bare["h.0.attn.bias"] = np.ones((1, 1, 4, 4), np.float32)
    (tmp_path / "base").mkdir()
    shutil.copy(edited.path / "config.json", tmp_path / "base")
    write_weights(tmp_path / "base" / "model.safetensors", bare)
    patch = extracted(Checkpoint.open(tmp_path / "base"), edited, tmp_path / "found")
    assert list(patch.operations) == ["ln_f.bias"]


@pytest.mark.slow
def test_a_rank_one_edit_of_a_real_model_costs_little(smollm2, tmp_path):
    base = Checkpoint.open(smollm2)
    name = "model.layers.15.mlp.down_proj.weight"
    random = np.random.default_rng(0)
    rows, columns = base.tensors[name].shape
    factors = 0.02 * random.standard_normal((rows, 1)), 0.1 * random.standard_normal((1, columns))
    patch = Pico(tmp_path).patch(base, operations={name: [LowRank.snapped(*factors)]})
    edited = Checkpoint.open(Pico(tmp_path).built(base, [patch]))
    found = require_round_trip(base, edited, tmp_path)
    assert found.manifest.operations[name][0].kind == "lowrank"
    assert found.manifest.files["delta.safetensors"].size < rows * columns * 2 / 20


def rewriting(file: Path, tensors: dict):
    """A callback of progress that writes other weights into a file once operations are sought."""

    def told(what: str, done: int, _: int) -> None:
        if (what, done) == ("finding operations", 1):
            write_weights(file, tensors)

    return told


@pytest.mark.parametrize(
    ("touched", "name"),
    [("edited", Pico.DOWN), ("edited", Pico.NORM), ("base", Pico.NORM)],
    ids=["read already", "the same as the base's", "the same as the edited one's"],
)
def test_a_checkpoint_that_changes_while_it_is_read_is_refused(pico, tmp_path, touched, name):
    before, other = pico.tensors(), pico.tensors(seed=1)
    after = {**before, pico.DOWN: other[pico.DOWN], pico.UP: other[pico.UP]}
    base, edited = pico.base_of(before), pico.base_of(after, "edited")
    now = {"base": before, "edited": after}[touched] | {name: pico.tensors(seed=2)[name]}
    (file,) = {"base": base, "edited": edited}[touched].files
    with pytest.raises(DigestMismatch, match="would not give the edited model"):
        extracted(base, edited, tmp_path / "found", progress=rewriting(file, now))


@pytest.mark.parametrize("touched", ["base", "edited"])
def test_files_that_only_got_another_time_are_believed(pico, tmp_path, touched):
    base, edited = pico.base(), pico.base("edited", seed=1)
    tensors = {"base": pico.tensors(), "edited": pico.tensors(seed=1)}[touched]
    (file,) = {"base": base, "edited": edited}[touched].files
    assert extracted(base, edited, tmp_path / "found", progress=rewriting(file, tensors)).operations


def test_an_edited_model_that_is_gone_meanwhile_is_refused(pico, tmp_path):
    before, other = pico.tensors(), pico.tensors(seed=1)
    base, edited = pico.base(), pico.base_of({**before, pico.UP: other[pico.UP]}, "edited")

    def told(what: str, done: int, total: int) -> None:
        if (what, done) == ("finding operations", total):
            edited.files[0].unlink()

    with pytest.raises(DigestMismatch, match="would not give the edited model"):
        extracted(base, edited, tmp_path / "found", progress=told)
