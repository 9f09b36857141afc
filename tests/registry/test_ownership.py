"""Whose blobs a folder holds."""

import pytest
from weightpatch.registry.errors import BlobsOfAnother
from weightpatch.registry.registry import Registry


@pytest.fixture
def other(registry, home, tmp_path):
    """Another registry's database, and the same folder of blobs."""
    with Registry.create(f"sqlite:///{tmp_path / 'mine.db'}", home=tmp_path / "own", actor="bob"):
        pass
    return lambda: Registry.open(f"sqlite:///{tmp_path / 'mine.db'}", home=home, actor="bob")


def test_the_owner_is_written_down_once(registry, home, make_draft):
    owner = (home / "blobs" / "registry").read_text()
    assert owner.strip() == registry.checkpoint().origin
    registry.publish(make_draft())
    assert (home / "blobs" / "registry").read_text() == owner


def test_another_registry_neither_adds_to_the_blobs_nor_takes_them(
    registry, other, home, make_draft, make_patch, make_evaluation
):
    info = registry.publish(make_draft())
    with other() as stranger:
        for use in (
            lambda: stranger.publish(make_draft(seed=1)),
            lambda: stranger.admit(make_patch(version=7)),
            lambda: stranger.collect(dry_run=True),
        ):
            with pytest.raises(BlobsOfAnother, match="another registry"):
                use()
        assert stranger.versions() == []
        assert "blobs-of-another" in [finding.kind for finding in stranger.examine()]
    assert registry.patch(info.label).requests


def test_a_new_registry_is_not_made_among_the_blobs_of_another(registry, home, tmp_path):
    with pytest.raises(BlobsOfAnother):
        Registry.create(f"sqlite:///{tmp_path / 'new.db'}", home=home, actor="bob")


def test_the_error_names_both(registry, home):
    (home / "blobs" / "registry").write_text("weightpatch/0000000000000000\n")
    with pytest.raises(BlobsOfAnother) as caught:
        registry.collect(dry_run=True)
    assert "weightpatch/0000000000000000" in caught.value.why
    assert registry.checkpoint().origin in caught.value.why
