"""A patch fits its base and no other."""

import re
from dataclasses import replace

import numpy as np
import pytest
from weightpatch.patches.base_match import match_base, touched_records
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.errors import BaseMismatch
from weightpatch.patches.format.patch import Patch


def test_the_record_of_the_base_is_found(pico):
    base = pico.base()
    patch = pico.patch(base)
    assert match_base(patch, base) == patch.manifest.bases[0]


def test_the_layout_of_the_files_does_not_matter(pico):
    patch = pico.patch(pico.base())
    assert match_base(patch, pico.base("sharded", shards=3))


def test_tensors_that_the_patch_does_not_touch_do_not_matter(pico):
    patch = pico.patch(pico.base())
    tensors = {**pico.tensors(), pico.NORM: np.zeros(6, np.float32)}
    assert match_base(patch, pico.base_of(tensors, "other"))


def test_one_of_several_bases_is_enough(pico):
    wide, narrow = pico.base("wide", dtype="F32"), pico.base("narrow")
    patch, other = pico.patch(narrow), pico.patch(wide, "acme/two")
    bases = (*other.manifest.bases, *patch.manifest.bases)
    both = Patch.open(pico.rewrite(patch, bases=bases))
    assert match_base(both, narrow).tensors[pico.DOWN].dtype == "BF16"
    assert match_base(both, wide).tensors[pico.DOWN].dtype == "F32"


def without_the_tensor(tensors, name):
    tensors[name + "s"] = tensors.pop(name)


def with_another_shape(tensors, name):
    tensors[name] = tensors[name].reshape(10, 6)


def with_another_type(tensors, name):
    tensors[name] = tensors[name].view("<f2")


def with_one_flipped_bit(tensors, name):
    tensors[name][3, 4] ^= 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (without_the_tensor, "it has no tensor"),
        (with_another_shape, r"is \[10, 6\], not \[6, 10\]"),
        (with_another_type, "is F16, not BF16"),
        (with_one_flipped_bit, "has other bytes"),
    ],
)
def test_another_base_is_refused_and_told_why(pico, change, why: str):
    patch = pico.patch(pico.base())
    tensors = pico.tensors()
    change(tensors, pico.DOWN)
    with pytest.raises(BaseMismatch) as refusal:
        match_base(patch, pico.base_of(tensors, "other"))
    assert re.search(why, refusal.value.why or "")


def test_a_tied_name_in_the_patch_does_not_fit(pico):
    base = pico.base()
    manifest = pico.patch(base).manifest
    record = manifest.bases[0]
    head = {"lm_head.weight": record.tensors[pico.DOWN]}
    patch = Patch(replace(manifest, bases=(replace(record, tensors=head),)), {}, "0" * 64)
    with pytest.raises(BaseMismatch):
        match_base(patch, base)


def test_touched_tensors_are_recorded_in_order(pico):
    base = pico.base()
    records = touched_records(base, [pico.UP, pico.DOWN])
    assert list(records) == [pico.DOWN, pico.UP]
    assert records[pico.UP].sha256 == Checkpoint.open(base.path).digest(pico.UP)
