"""The registry's verbs, as a user of the library meets them."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save_file
from weightpatch.patches.digests import sha256
from weightpatch.patches.errors import (
    DigestMismatch,
    FormatError,
    InputError,
    LimitExceeded,
    ManifestError,
    NameRefused,
)
from weightpatch.patches.format.patch import Draft, Patch, file_record
from weightpatch.registry.blobs import BlobStore
from weightpatch.registry.errors import BlobLost, NameTooAlike, VersionClash
from weightpatch.registry.registry import Registry


def actions(registry: Registry) -> list[str]:
    return [entry.action for entry in registry.log()]


def blob_files(home) -> list:
    return [path for path in (home / "blobs" / "sha256").rglob("*") if path.is_file()]


def test_a_published_draft_becomes_version_1_and_opens_again(registry, make_draft):
    draft = make_draft("acme/tongues", message="Darrieux speaks English")
    info = registry.publish(draft)

    assert (info.label, info.is_new, info.message) == (
        "acme/tongues@1",
        True,
        "Darrieux speaks English",
    )
    assert (info.bases, info.subjects, info.requests, info.tensors) == (
        ("pico",),
        ("Danielle Darrieux",),
        1,
        1,
    )
    patch = registry.patch("acme/tongues@1")
    assert patch.digest == info.digest == draft.numbered(1).digest
    assert patch.requests[0].target == "English"
    assert [term.kind for term in next(iter(patch.operations.values()))] == ["lowrank"]
    assert info.delta_size == patch.manifest.files["delta.safetensors"].size


def test_numbers_follow_one_another_within_a_patch(registry, make_draft):
    labels = [
        registry.publish(make_draft(name, seed=seed)).label
        for name, seed in [("acme/a", 0), ("acme/a", 1), ("acme/b", 2), ("acme/a", 3)]
    ]
    assert labels == ["acme/a@1", "acme/a@2", "acme/b@1", "acme/a@3"]


def test_the_same_content_again_is_the_version_that_holds_it(registry, make_draft):
    first = registry.publish(make_draft(seed=1, message="first"))
    registry.publish(make_draft(seed=2))
    again = registry.publish(make_draft(seed=1, message="second"))

    assert again == replace(first, is_new=False)
    assert actions(registry).count("version.publish") == 2


def test_the_same_content_under_another_name_is_another_version(registry, make_draft):
    one = registry.publish(make_draft("acme/one"))
    other = registry.publish(make_draft("acme/other"))
    assert other.is_new
    assert other.digest != one.digest


def test_an_admitted_version_keeps_number_and_digest(registry, make_draft, make_patch):
    patch = make_patch("acme/tongues", 7, seed=1)
    info = registry.admit(patch)
    assert (info.label, info.digest, info.is_new) == ("acme/tongues@7", patch.digest, True)

    assert registry.publish(make_draft("acme/tongues", seed=2)).version == 8
    registry.admit(make_patch("acme/tongues", 3, seed=3))
    assert registry.publish(make_draft("acme/tongues", seed=4)).version == 9


def test_admitting_twice_changes_nothing(registry, make_patch):
    patch = make_patch(seed=1)
    first = registry.admit(patch)
    before = registry.log()
    assert registry.admit(patch) == replace(first, is_new=False)
    assert registry.log() == before


def test_a_known_number_with_another_digest_is_an_alarm(registry, make_patch, home):
    known = registry.admit(make_patch("acme/tongues", 1, seed=1))
    before = registry.log()

    with pytest.raises(VersionClash) as caught:
        registry.admit(make_patch("acme/tongues", 1, seed=2))

    assert known.digest in (caught.value.why or "")
    assert registry.log() == before
    assert registry.resolve("acme/tongues@1").digest == known.digest


def test_names_that_look_alike_are_refused_in_one_namespace_only(registry, make_draft):
    registry.publish(make_draft("acme/model-10", seed=1))
    for alike in ("acme/model10", "acme/modell0", "acme/model-io", "acme/mo.del_10"):
        with pytest.raises(NameTooAlike, match="model-10"):
            registry.publish(make_draft(alike, seed=2))
    assert registry.publish(make_draft("other/model10", seed=2)).is_new
    assert registry.publish(make_draft("acme/model-20", seed=2)).is_new


def test_a_refused_name_leaves_no_patch_behind(registry, make_draft, sql):
    registry.publish(make_draft("acme/model-10"))
    with pytest.raises(NameTooAlike):
        registry.publish(make_draft("acme/model10", seed=1))
    assert sql("SELECT name FROM patch") == [("model-10",)]


def test_a_version_that_is_not_what_its_digest_says_is_refused(registry, make_patch):
    patch = make_patch(seed=1)
    other = Patch(replace(patch.manifest, message="other"), patch.files, patch.digest)
    with pytest.raises(DigestMismatch):
        registry.admit(other)
    assert registry.versions() == []


def test_a_draft_whose_files_changed_is_refused(registry, make_draft, home):
    draft = make_draft()
    delta = draft.folder / "delta.safetensors"
    data = bytearray(delta.read_bytes())
    data[-1] ^= 1
    delta.write_bytes(data)
    with pytest.raises(DigestMismatch, match=r"delta\.safetensors"):
        registry.publish(draft)
    assert registry.versions() == []
    assert sha256(data) not in {path.name for path in blob_files(home)}


def test_a_delta_that_is_not_safetensors_is_refused(registry, make_draft):
    draft = make_draft()
    delta = draft.folder / "delta.safetensors"
    delta.write_bytes(b"PK\x03\x04 a pickle in a zip archive")
    files = {
        **draft.manifest.files,
        "delta.safetensors": file_record(draft.folder / "delta.safetensors"),
    }
    with pytest.raises(FormatError):
        registry.publish(Draft(replace(draft.manifest, files=files), draft.folder))
    assert registry.versions() == []


def test_a_delta_with_other_operations_than_declared_is_refused(registry, make_draft):
    draft = make_draft()
    ((tensor, (record,)),) = draft.manifest.operations.items()
    operations = {tensor: (record, record)}
    with pytest.raises(ManifestError, match="different operations"):
        registry.publish(Draft(replace(draft.manifest, operations=operations), draft.folder))


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("author", "a" * 256, LimitExceeded),
        ("licence", "l" * 256, LimitExceeded),
        ("author", "nul\x00", InputError),
        ("message", "nul\x00", InputError),
        ("base_id", "b" * 256, LimitExceeded),
        ("case", "c" * 256, LimitExceeded),
    ],
)
def test_what_no_index_can_hold_is_refused(registry, make_draft, field, value, error):
    with pytest.raises(error):
        registry.publish(make_draft(**{field: value}))
    assert registry.versions() == []


def test_a_number_that_would_use_up_the_counter_is_refused(registry, make_patch):
    with pytest.raises(LimitExceeded):
        registry.admit(make_patch(version=1_000_000_001))
    registry.admit(make_patch(version=1_000_000_000))


def test_after_the_last_number_nothing_is_published(registry, make_draft, make_patch):
    registry.admit(make_patch("acme/tongues", 1_000_000_000))
    with pytest.raises(LimitExceeded):
        registry.publish(make_draft("acme/tongues", seed=1))


def test_a_version_with_an_operation_that_is_not_installed_is_kept(registry, make_patch, tmp_path):
    patch = make_patch(seed=1)
    ((tensor, (record,)),) = patch.manifest.operations.items()
    delta = tmp_path / "delta.safetensors"
    save_file({f"{tensor}::rotation.0.angles": np.ones(3, np.float32)}, delta)
    manifest = replace(
        patch.manifest,
        operations={tensor: (replace(record, kind="rotation", size=3),)},
        files={**patch.manifest.files, "delta.safetensors": file_record(delta)},
    )
    (tmp_path / "patch.json").write_bytes(manifest.to_bytes())
    files = {**patch.files, "delta.safetensors": delta, "patch.json": tmp_path / "patch.json"}

    info = registry.admit(Patch.from_files(files))

    assert registry.patch(info.label).manifest == manifest


def test_a_changed_blob_is_noticed(registry, make_draft, home):
    info = registry.publish(make_draft())
    for path in blob_files(home):
        data = path.read_bytes()
        path.chmod(0o644)
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        with pytest.raises((BlobLost, DigestMismatch)):
            registry.patch(info.label)
        path.write_bytes(data)
    assert registry.patch(info.label).digest == info.digest


def test_a_missing_blob_is_named_and_put_back_by_admitting_again(registry, make_patch, home):
    patch = make_patch()
    info = registry.admit(patch)
    for path in blob_files(home):
        path.unlink()
    with pytest.raises(BlobLost, match=r"acme/tongues@1"):
        registry.patch(info.label)
    assert not registry.admit(patch).is_new
    assert registry.patch(info.label).digest == info.digest


class Robbed(BlobStore):
    """A store in which the first `times` looks for blobs find one taken away just before."""

    times = 1

    def missing(self, records):
        records = list(records)
        if self.times:
            self.times -= 1
            self.path(records[0].sha256).unlink()
        return super().missing(records)


@pytest.fixture
def robbed(registry, home):
    store = replace(registry._store, blobs=Robbed(home / "blobs"))
    return Registry(store)


def test_a_blob_taken_away_in_between_is_put_back(robbed, make_draft, make_patch, make_evaluation):
    for verb, subject in [(robbed.publish, make_draft()), (robbed.admit, make_patch(version=7))]:
        robbed._store.blobs.times = 1
        info = verb(subject)
        assert robbed.patch(f"sha256:{info.digest}").requests
    robbed._store.blobs.times = 1
    robbed.record_evaluation(info.digest, "f" * 64, make_evaluation())
    (evaluation,) = robbed.evaluations(info.digest)
    assert evaluation.path.is_file()


def test_sql_in_any_field_is_only_text(registry, make_draft, make_evaluation, sql, enter):
    evil = "'); DROP TABLE version; --"
    before = sql("SELECT count(*) FROM version")
    draft = make_draft(
        author=evil,
        message=evil,
        licence=evil,
        subject=evil,
        case=evil,
        target=evil,
        base_id=evil,
        revision=evil,
    )
    draft = Draft(
        replace(draft.manifest, method=replace(draft.manifest.method, name=evil)), draft.folder
    )
    info = registry.publish(draft)
    registry.record_evaluation(info.digest, "f" * 64, make_evaluation(case=evil))
    enter(registry, "version.push", evil, None, {evil: evil})

    assert (info.author, info.message, info.licence, info.method) == (evil,) * 4
    assert (info.subjects, info.bases) == ((evil,), (f"{evil}@{evil}",))
    assert [found.label for found in registry.search(author=evil, subject=evil)] == [info.label]
    assert registry.log()[0].detail == {evil: evil}
    assert registry.verify_ledger().ok
    assert (before, sql("SELECT count(*) FROM version")) == ([(0,)], [(1,)])
    for verb in (registry.resolve, registry.patch):
        with pytest.raises(NameRefused):
            verb(evil)
    with pytest.raises(NameRefused):
        registry.evaluations(evil)
    with pytest.raises(NameRefused):
        registry.versions(name=evil)


def test_eight_threads_share_a_registry(registry, make_draft):
    drafts = [make_draft("acme/shared", seed=seed) for seed in range(40)]
    with ThreadPoolExecutor(8) as pool:
        numbers = sorted(info.version for info in pool.map(registry.publish, drafts))
    assert numbers == list(range(1, 41))
    assert registry.verify_ledger().ok


def test_the_package_is_light():
    code = "import sys, weightpatch.registry; assert 'sqlalchemy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
