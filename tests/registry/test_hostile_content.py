"""Versions whose digests are right and whose content is not: refused with nothing left of them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from weightpatch.patches.errors import (
    InputError,
    ManifestError,
    NonFinite,
    PluginMissing,
    RequestRefused,
    ShapeMismatch,
)
from weightpatch.patches.format.patch import DELTA, REQUESTS, Draft, file_record
from weightpatch.registry.errors import VersionClash
from weightpatch.registry.remotes.folder.remote import FolderRemote
from weightpatch.registry.sharing.exchange import pull, push

Change = Callable[[Draft], Draft]


def with_delta(draft: Draft, change: Callable[[dict], None]) -> Draft:
    path = draft.folder / DELTA
    tensors = {key: array.copy() for key, array in load_file(path).items()}
    change(tensors)
    save_file(tensors, path)
    return resigned(draft)


def resigned(draft: Draft) -> Draft:
    files = {name: file_record(draft.folder / name) for name in draft.manifest.files}
    return Draft(replace(draft.manifest, files=files), draft.folder)


def not_finite(draft: Draft) -> Draft:
    return with_delta(draft, lambda tensors: next(iter(tensors.values())).fill(np.nan))


def auxiliary_not_finite(draft: Draft) -> Draft:
    def add(tensors: dict) -> None:
        (tensor,) = draft.manifest.operations
        tensors[f"{tensor}::aux.keys"] = np.full((1, 4), np.inf, np.float32)

    return with_delta(draft, add)


def misshapen(draft: Draft) -> Draft:
    def cut(tensors: dict) -> None:
        for key, array in tensors.items():
            tensors[key] = array[:2].copy()

    return with_delta(draft, cut)


def other_norm(draft: Draft) -> Draft:
    ((tensor, (record,)),) = draft.manifest.operations.items()
    operations = {tensor: (replace(record, norm=record.norm * 2),)}
    return Draft(replace(draft.manifest, operations=operations), draft.folder)


def no_requests(draft: Draft) -> Draft:
    (draft.folder / REQUESTS).write_bytes(b"[]\n")
    return resigned(draft)


HOSTILE = [
    (not_finite, NonFinite),
    (auxiliary_not_finite, NonFinite),
    (misshapen, ShapeMismatch),
    (other_norm, ManifestError),
    (no_requests, RequestRefused),
]


@pytest.fixture
def blobs(home) -> Callable[[], list[Path]]:
    return lambda: [path for path in (home / "blobs" / "sha256").rglob("*") if path.is_file()]


def as_remote(draft: Draft, root: Path) -> Path:
    """The draft as a version in a folder that anybody could have written."""
    folder = root / draft.manifest.name / "v1"
    folder.parent.mkdir(parents=True)
    draft.folder.rename(folder)
    (folder / "patch.json").write_bytes(draft.manifest.to_bytes())
    return root


@pytest.mark.parametrize(("change", "error"), HOSTILE)
def test_pulling_reads_everything_first(
    registry, make_draft, blobs, tmp_path, change: Change, error: type[InputError]
):
    remote = as_remote(change(make_draft()), tmp_path / "shared")
    with pytest.raises(error):
        pull(registry, "acme/tongues", str(remote))
    assert (registry.versions(), blobs(), len(registry.log())) == ([], [], 1)


@pytest.mark.parametrize(("change", "error"), HOSTILE)
def test_publishing_reads_everything_first(
    registry, make_draft, blobs, change: Change, error: type[InputError]
):
    with pytest.raises(error):
        registry.publish(change(make_draft()))
    assert (registry.versions(), blobs(), len(registry.log())) == ([], [], 1)


def rotated(draft: Draft) -> Draft:
    """The draft with one operation of a kind that is not installed."""
    ((tensor, (record,)),) = draft.manifest.operations.items()
    save_file({f"{tensor}::rotation.0.angles": np.ones(3, np.float32)}, draft.folder / DELTA)
    operations = {tensor: (replace(record, kind="rotation", size=3),)}
    return resigned(Draft(replace(draft.manifest, operations=operations), draft.folder))


def test_an_operation_that_is_not_installed_travels_but_is_not_published(
    registry, make_draft, blobs, tmp_path
):
    with pytest.raises(PluginMissing):
        registry.publish(rotated(make_draft()))
    assert blobs() == []

    remote = as_remote(rotated(make_draft()), tmp_path / "shared")
    info = pull(registry, "acme/tongues", str(remote)).version
    assert [each.label for each in registry.versions()] == ["acme/tongues@1"]
    assert registry.patch(info.label).digest == info.digest
    push(registry, info.label, str(tmp_path / "further"))
    assert FolderRemote(tmp_path / "further").versions("acme/tongues") == [1]


def test_a_clash_leaves_no_blob(registry, make_patch, blobs):
    registry.admit(make_patch(seed=1))
    before = blobs()
    with pytest.raises(VersionClash):
        registry.admit(make_patch(seed=2))
    assert blobs() == before
