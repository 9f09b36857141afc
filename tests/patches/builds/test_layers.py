"""A patch that was made for a build as it is goes on top of it, and the record keeps both."""

from pathlib import Path

import numpy as np
import pytest
from weightpatch.patches.builds.apply import apply
from weightpatch.patches.builds.blame import blame
from weightpatch.patches.builds.record import MAX_DEPTH, BuildRecord, read_record
from weightpatch.patches.builds.revert import revert
from weightpatch.patches.builds.verify import verify
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.errors import BaseMismatch, ManifestError, VerificationFailed
from weightpatch.patches.format.patch import Patch
from weightpatch.patches.operations.entries import Entries
from weightpatch.patches.operations.sparse import Sparse


@pytest.fixture
def first(pico) -> Path:
    base = pico.base()
    return pico.built(base, [pico.patch(base)], "first")


@pytest.fixture
def second(pico, first: Path) -> Path:
    """Edited a second time on the same tensor, starting from the edited weights."""
    build = Checkpoint.open(first)
    return pico.built(build, [pico.patch(build, "acme/next", seed=2)], "second")


def test_its_result_is_the_promised_one(pico, second: Path):
    # The promise was checked while it was written; here, that there is something to check.
    record = read_record(second)
    assert record.base_id == "first"
    assert record.under == read_record(pico.root / "first")
    assert verify(second) == []


def test_blame_names_the_patches_of_both(pico, second: Path):
    (found,) = blame(second, pico.DOWN).tensors
    assert [change.version.label for change in found.changes] == ["acme/one@1", "acme/next@1"]
    assert found.base.sha256 == Checkpoint.open(pico.root / "base").digest(pico.DOWN)
    assert found.result.sha256 == Checkpoint.open(second).digest(pico.DOWN)


def test_it_goes_back_to_the_build_that_it_was_made_from(pico, first: Path, second: Path):
    revert(second, Checkpoint.open(first))
    assert read_record(second) == read_record(first)
    assert verify(second) == []
    assert Checkpoint.open(second).digests() == Checkpoint.open(first).digests()


def test_a_tensor_that_only_the_lower_build_changed_is_verified_too(pico, first: Path):
    build = Checkpoint.open(first)
    operations = {
        pico.DOWN: [pico.lowrank((6, 10), seed=4)],
        pico.UP: [pico.lowrank((10, 6), seed=5)],
    }
    both = pico.built(build, [pico.patch(build, "acme/both", operations=operations)], "both")
    narrow = Checkpoint.open(both)
    third = pico.built(narrow, [pico.patch(narrow, "acme/third", seed=6)], "third")
    info = Checkpoint.open(third).tensors[pico.UP]
    with info.file.open("r+b") as file:
        file.seek(info.start)
        file.write(b"\x01")
    assert [mismatch.what for mismatch in verify(third)] == [pico.UP]


def test_patches_for_the_build_and_for_what_lies_under_it_do_not_mix(pico, first: Path):
    base, build = Checkpoint.open(pico.root / "base"), Checkpoint.open(first)
    present = Patch.open(pico.root / "acme-one")
    under, over = pico.patch(base, "acme/under", seed=3), pico.patch(build, "acme/over", seed=4)
    with pytest.raises(BaseMismatch):
        apply(build, [present, under, over], pico.root / "mixed", base=base)


def test_a_record_nested_without_end_is_refused(second: Path):
    record = read_record(second)
    for _ in range(MAX_DEPTH - 2):
        record = BuildRecord(**{**vars(record), "under": record})
    assert BuildRecord.from_bytes(record.to_bytes()) == record
    deeper = BuildRecord(**{**vars(record), "under": record})
    with pytest.raises(ManifestError, match="on top of each other"):
        BuildRecord.from_bytes(deeper.to_bytes())


def test_the_lower_record_stays_when_more_goes_on_top(pico, first: Path, second: Path):
    lower = Checkpoint.open(first)
    extra = pico.patch(lower, "acme/extra", seed=9)
    patches = [extra, Patch.open(pico.root / "acme-next")]
    apply(Checkpoint.open(second), patches, pico.root / "third", base=lower)
    apply(lower, patches, pico.root / "together")
    assert read_record(pico.root / "third") == read_record(pico.root / "together")
    assert read_record(pico.root / "third").under == read_record(first)
    assert verify(pico.root / "third") == []


def test_a_build_that_was_changed_is_no_base(pico, first: Path):
    build = Checkpoint.open(first)
    patch = pico.patch(build, "acme/next", seed=2)
    (first / "config.json").write_text("{}")
    with pytest.raises(VerificationFailed, match=r"config\.json"):
        apply(build, [patch], pico.root / "second")


def test_a_patch_that_fits_the_build_and_what_lies_under_it_is_counted_in(pico):
    # The first changes too little to show by itself; both together change the last bit.
    base = pico.base_of({"w": np.full((2, 3), 0x3F80, np.uint16)})
    entry = np.array([4])
    first, second = (
        pico.patch(
            base, name, operations={"w": [Sparse(Entries(entry, np.float32([value])), (2, 3))]}
        )
        for name, value in (("acme/a", 0.003), ("acme/b", 0.0031))
    )
    alone = Checkpoint.open(pico.built(base, [first], "alone"))
    assert alone.digest("w") == base.digest("w")
    apply(alone, [first, second], pico.root / "on-top")
    together = pico.built(base, [first, second], "together")
    assert Checkpoint.open(pico.root / "on-top").digests() == Checkpoint.open(together).digests()
    assert read_record(pico.root / "on-top") == read_record(together)
    assert Checkpoint.open(together).digest("w") != base.digest("w")


def test_what_undoes_the_lower_build_is_there_again(pico):
    base = pico.base()
    operations = {pico.DOWN: [pico.sparse((6, 10))]}
    lower = pico.built(base, [pico.patch(base, operations=operations)], "lower")
    build = Checkpoint.open(lower)
    upper = pico.built(build, [pico.patch(build, "acme/next", seed=2)], "upper")
    revert(upper, build)
    assert read_record(upper) == read_record(lower)
    assert verify(upper) == []
    revert(upper)
    assert Checkpoint.open(upper).digests() == base.digests()
