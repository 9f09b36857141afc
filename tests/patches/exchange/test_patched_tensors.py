import resource

import pytest
import torch
from live_models import tensor_of
from neuron_fixtures import neurons
from safetensors.torch import load_file
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.errors import (
    BaseMismatch,
    DigestMismatch,
    NoSpace,
    PathRefused,
    TargetExists,
    Unsupported,
)
from weightpatch.patches.exchange.patched_tensors import state_dict, write_patched
from weightpatch.patches.live import patched

DOWN = "model.layers.0.mlp.down_proj.weight"


@pytest.fixture
def base(pico) -> Checkpoint:
    return pico.base(shards=2)


@pytest.fixture
def patch(pico, base):
    return pico.patch(base)


def built(pico, base, patch) -> Checkpoint:
    return Checkpoint.open(pico.built(base, [patch]))


def test_the_touched_tensors_are_those_of_a_build(pico, base, patch):
    target = pico.root / "touched.safetensors"
    written = write_patched(base, [patch], target)
    build = built(pico, base, patch)
    (name,) = load_file(target)
    assert name == pico.DOWN
    expected = tensor_of(build.read(name), "BF16")
    assert torch.equal(load_file(target)[name], expected)
    assert written.digests == dict(patch.manifest.bases[0].result)


def test_the_full_file_holds_every_tensor_of_a_build(pico, base, patch):
    target = pico.root / "model.safetensors"
    write_patched(base, [patch], target, full=True)
    build, found = built(pico, base, patch), load_file(target)
    assert set(found) == set(base.tensors)
    for name, info in base.tensors.items():
        assert torch.equal(found[name], tensor_of(build.read(name), info.dtype))


def test_a_full_file_is_a_checkpoint(pico, base, patch, tmp_path):
    folder = tmp_path / "as-checkpoint"
    folder.mkdir()
    write_patched(base, [patch], folder / "model.safetensors", full=True)
    build = built(pico, base, patch)
    assert Checkpoint.open(folder).fingerprint == build.fingerprint


def test_several_patches_are_summed(pico, base, patch):
    other = pico.patch(base, "acme/two", seed=2)
    target = pico.root / "both.safetensors"
    written = write_patched(base, [other, patch], target)
    build = Checkpoint.open(pico.built(base, [patch, other]))
    assert written.digests == {pico.DOWN: build.digest(pico.DOWN)}


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
@pytest.mark.parametrize("shape", ["llama", "gpt2", "bare"])
def test_a_state_dict_makes_a_live_model_the_patched_one(bench, pico, shape, dtype):
    base = bench.base(shape, dtype)
    name = next(each for each in base.tensors if each.endswith(("down_proj.weight", "c_fc.weight")))
    patch = bench.patch(pico, base, {name: [pico.lowrank(base.tensors[name].shape, rank=2)]})
    model, other = bench.model(base), bench.model(base)
    found = state_dict(base, [patch])
    missing = model.load_state_dict(found, strict=False)
    assert not missing.unexpected_keys
    write_patched(base, [patch], bench.root / "file.safetensors", live_names=True)
    stored = load_file(bench.root / "file.safetensors")
    assert stored.keys() == found.keys()
    assert all(torch.equal(stored[each], found[each]) for each in found)
    with patched(other, patch):
        ours, theirs = model.state_dict(), other.state_dict()
        assert all(torch.equal(ours[each], theirs[each]) for each in theirs)


def test_a_tied_tensor_stands_under_all_its_names(bench, pico):
    base = bench.base(tie_word_embeddings=True)
    name = "model.embed_tokens.weight"
    patch = bench.patch(pico, base, {name: [pico.lowrank(base.tensors[name].shape)]})
    found = state_dict(base, [patch])
    assert set(found) == {name, "lm_head.weight"}
    assert found[name] is found["lm_head.weight"]
    assert not bench.model(base).load_state_dict(found, strict=False).unexpected_keys


def test_what_is_there_is_replaced_only_if_told(pico, base, patch):
    target = pico.root / "touched.safetensors"
    write_patched(base, [patch], target, full=True)
    with pytest.raises(TargetExists):
        write_patched(base, [patch], target)
    assert set(load_file(target)) == set(base.tensors)
    write_patched(base, [patch], target, force=True)
    assert set(load_file(target)) == {pico.DOWN}


@pytest.mark.parametrize("content", [b"", b"mine", b"SQLite format 3\0" + bytes(99), b"{" * 99])
def test_only_tensors_are_replaced_even_if_told(pico, base, patch, content):
    target = pico.root / "mine"
    target.write_bytes(content)
    with pytest.raises(TargetExists, match="no regular safetensors file"):
        write_patched(base, [patch], target, force=True)
    assert target.read_bytes() == content


def test_neither_folder_nor_link_is_replaced(pico, base, patch):
    (pico.root / "folder").mkdir()
    write_patched(base, [patch], pico.root / "tensors")
    (pico.root / "link").symlink_to("tensors")
    for name in ("folder", "link"):
        with pytest.raises(TargetExists):
            write_patched(base, [patch], pico.root / name, force=True)
    assert (pico.root / "link").is_symlink()


def test_nothing_is_written_into_base_or_patch(pico, base, patch):
    (pico.root / "link").symlink_to(base.files[0])
    (pico.root / "way").symlink_to(base.path)
    folder = patch.files["patch.json"].parent
    targets = [
        *(*base.files, *patch.files.values(), pico.root / "link", pico.root / "way" / "new"),
        *(base.path / "config.json", base.path / "model.safetensors.index.json", folder / "new"),
    ]
    before = {file: file.read_bytes() for file in targets if file.exists()}
    for file in targets:
        for force in (False, True):
            with pytest.raises(PathRefused, match="which is only read"):
                write_patched(base, [patch], file, force=force)
    assert before == {file: file.read_bytes() for file in targets if file.exists()}
    with pytest.raises(PathRefused, match="not a folder"):
        write_patched(base, [patch], pico.root / "nowhere" / "file.safetensors")


def test_a_base_that_is_written_to_meanwhile_gives_no_mixture(pico, base, patch):
    norm = base.tensors[pico.NORM]

    def write_into_the_base(*_):
        with norm.file.open("r+b") as file:
            file.seek(norm.start)
            file.write(b"\1\2")

    before = sorted(pico.root.iterdir())
    with pytest.raises(DigestMismatch, match="changed while it was read"):
        write_patched(base, [patch], pico.root / "full", full=True, progress=write_into_the_base)
    assert sorted(pico.root.iterdir()) == before


def test_a_refusal_leaves_nothing_behind(pico, base, patch):
    other = pico.base("other", seed=9)
    before = sorted(pico.root.iterdir())
    with pytest.raises(BaseMismatch):
        write_patched(other, [patch], pico.root / "touched.safetensors")
    promised = patch.manifest.bases[0]
    wrong = type(promised)(**{**vars(promised), "result": {pico.DOWN: "0" * 64}})
    changed = type(patch).open(pico.rewrite(patch, bases=(wrong,)))
    with pytest.raises(DigestMismatch, match="not the promised one"):
        write_patched(base, [changed], pico.root / "touched.safetensors")
    with pytest.raises(DigestMismatch, match="not the promised one"):
        state_dict(base, [changed])
    assert sorted(pico.root.iterdir()) == before


def test_patches_that_add_neurons_are_sent_to_apply(bench, pico):
    base = bench.base()
    patch = bench.patch(pico, base, neurons(base, 0, 2))
    with pytest.raises(Unsupported, match="another shape") as caught:
        write_patched(base, [patch], bench.root / "file.safetensors")
    assert "weightpatch apply" in caught.value.hint
    with pytest.raises(Unsupported, match="another shape"):
        state_dict(base, [patch])


def test_a_full_disk_is_said_so_and_leaves_nothing_behind(pico, base, patch):
    before = sorted(pico.root.iterdir())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(NoSpace):
            write_patched(base, [patch], pico.root / "model.safetensors", full=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert sorted(pico.root.iterdir()) == before


def test_progress_is_told_in_bytes(pico, base, patch):
    told = []
    target = pico.root / "model.safetensors"
    write_patched(base, [patch], target, full=True, progress=lambda *each: told.append(each))
    assert told[-1] == ("writing", target.stat().st_size, target.stat().st_size)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
