"""Checkpoints that the registry has seen."""

from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save_file
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.errors import InputError, LimitExceeded
from weightpatch.patches.format.manifest import BaseRecord, TensorRecord


def make_checkpoint(folder, *, seed: int = 0, **options: str) -> Checkpoint:
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(seed)
    tensors = {name: random.normal(size=(3, 2)).astype(np.float32) for name in ("a", "b")}
    save_file(tensors, folder / "model.safetensors")
    return Checkpoint.open(folder, **options)


def touched(checkpoint: Checkpoint, *names: str) -> BaseRecord:
    tensors = {name: TensorRecord("F32", (3, 2), checkpoint.digest(name)) for name in names}
    return BaseRecord("any id", None, None, tensors, dict.fromkeys(names, "0" * 64))


def test_a_base_is_found_by_the_tensors_that_a_patch_touches(registry, tmp_path):
    one = make_checkpoint(tmp_path / "one", seed=1, id="org/one", revision="abc")
    two = make_checkpoint(tmp_path / "two", seed=2)
    info = registry.record_base(one, location=str(one.path))
    registry.record_base(two, location=str(two.path))

    assert (info.name, info.revision, info.fingerprint) == ("org/one", "abc", one.fingerprint)
    assert (info.tensors, info.is_new) == (2, True)
    assert registry.find_base(touched(one, "a", "b")) == [one.path]
    assert registry.find_base(touched(two, "b")) == [two.path]
    mixed = {**touched(one, "a").tensors, **touched(two, "b").tensors}
    assert registry.find_base(replace(touched(one, "a"), tensors=mixed)) == []


def test_the_place_last_seen_comes_first(registry, tmp_path):
    for name in ("old", "new"):
        checkpoint = make_checkpoint(tmp_path / name)
        registry.record_base(checkpoint, location=str(checkpoint.path))
    places = registry.find_base(touched(checkpoint, "a"))
    assert places == [tmp_path / "new", tmp_path / "old"]


def test_a_place_holds_one_base_at_a_time(registry, tmp_path):
    first = make_checkpoint(tmp_path / "here", seed=1)
    wanted = touched(first, "a")
    registry.record_base(first, location=str(first.path))
    second = make_checkpoint(tmp_path / "here", seed=2)
    registry.record_base(second, location=str(second.path))
    assert registry.find_base(wanted) == []
    assert registry.find_base(touched(second, "a")) == [tmp_path / "here"]


def test_a_place_that_is_gone_is_not_given(registry, tmp_path):
    checkpoint = make_checkpoint(tmp_path / "here")
    registry.record_base(checkpoint, location=str(tmp_path / "gone"))
    assert registry.find_base(touched(checkpoint, "a")) == []


def test_the_same_again_is_nothing_new(registry, tmp_path):
    checkpoint = make_checkpoint(tmp_path / "here")
    registry.record_base(checkpoint, location="/there")
    before = registry.log()
    assert not registry.record_base(checkpoint, location="/there").is_new
    assert registry.log() == before
    registry.record_base(checkpoint, location="/elsewhere")
    assert len(registry.log()) == len(before) + 1


def test_a_path_that_is_not_text_is_refused(registry, tmp_path):
    checkpoint = make_checkpoint(tmp_path / "here")
    with pytest.raises(InputError):
        registry.record_base(checkpoint, location="/caf\udce9")
    with pytest.raises(LimitExceeded):
        registry.record_base(checkpoint, location="/" * 1_001)


def test_a_place_is_noted_by_the_tensors_that_are_known(registry, tmp_path):
    base = make_checkpoint(tmp_path / "here")
    info = registry.note_base(touched(base, "a"), location=str(base.path))
    assert (info.tensors, info.is_new) == (1, True)
    assert registry.find_base(touched(base, "a")) == [base.path]
    assert registry.log()[0].action == "base.record"


def test_what_is_known_of_a_place_grows(registry, tmp_path):
    base = make_checkpoint(tmp_path / "here")
    for name in ("a", "b"):
        info = registry.note_base(touched(base, name), location=str(base.path))
    assert info.fingerprint == base.fingerprint
    before = registry.log()
    assert not registry.record_base(base, location=str(base.path)).is_new
    assert not registry.note_base(touched(base, "a"), location=str(base.path)).is_new
    assert registry.log() == before


def test_another_base_in_a_noted_place_takes_it_over(registry, tmp_path):
    first = make_checkpoint(tmp_path / "here", seed=1)
    wanted = touched(first, "a", "b")
    registry.note_base(wanted, location=str(first.path))
    second = make_checkpoint(tmp_path / "here", seed=2)
    registry.note_base(touched(second, "a"), location=str(first.path))
    assert registry.find_base(wanted) == []
    assert registry.find_base(touched(second, "a")) == [tmp_path / "here"]


def test_what_may_be_the_base_by_its_name_comes_last(registry, tmp_path):
    some, whole = (make_checkpoint(tmp_path / name) for name in ("some", "whole"))
    registry.record_base(whole, location=str(whole.path))
    registry.note_base(touched(some, "a"), location=str(some.path))
    assert registry.find_base(touched(some, "b")) == [whole.path, some.path]
    other = replace(touched(some, "b"), id="another id")
    assert registry.find_base(other) == [whole.path]
    assert registry.find_base(replace(touched(some, "b"), revision="v2")) == [whole.path]
    assert registry.find_base(replace(other, tensors=touched(some, "a", "b").tensors)) == [
        whole.path,
        some.path,
    ]
