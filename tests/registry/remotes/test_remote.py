"""What every remote promises, on each of them."""

import hashlib

import pytest
from weightpatch.patches.errors import DigestMismatch
from weightpatch.patches.format.patch import Patch
from weightpatch.registry.errors import VersionClash
from weightpatch.registry.remotes.errors import RemoteNotFound

pytestmark = pytest.mark.any_hub


def test_what_is_pulled_is_what_was_pushed(remote, bundle, patch_name, into):
    sent = bundle(notes=(b'{"score": 1}', b'{"score": 2}'))

    pushed = remote.push(sent)
    pulled = remote.pull(patch_name, 1, into)

    assert not pushed.already_there
    assert pulled.patch.digest == sent.patch.digest
    assert files(pulled.patch) == files(sent.patch)
    assert {hashlib.sha256(data).hexdigest() for data in pulled.attestations.values()} == set(
        sent.attestations
    )
    assert pulled.location == pushed.location
    assert pulled.revision == pushed.revision
    assert {path.parent for path in pulled.patch.files.values()} == {into}


def test_pushing_again_changes_nothing(remote, bundle, patch_name):
    sent = bundle(notes=(b"{}",))
    first = remote.push(sent)

    again = remote.push(sent)

    assert again.already_there
    assert again.attestations_added == 0
    assert again.revision == first.revision
    assert remote.versions(patch_name) == [1]


def test_without_a_number_the_highest_version_is_pulled(remote, bundle, patch_name, tmp_path):
    for number in (1, 2, 10):
        remote.push(bundle(number, seed=number))

    pulled = remote.pull(patch_name, None, folder(tmp_path, "highest"))
    second = remote.pull(patch_name, 2, folder(tmp_path, "second"))

    assert pulled.patch.label == f"{patch_name}@10"
    assert second.patch.label == f"{patch_name}@2"
    assert remote.versions(patch_name) == [1, 2, 10]


def test_another_content_under_a_known_number_is_an_alarm(remote, bundle, patch_name, into):
    sent = bundle(1, seed=1)
    remote.push(sent)

    with pytest.raises(VersionClash, match=f"another {patch_name}@1"):
        remote.push(bundle(1, seed=2))

    assert remote.pull(patch_name, 1, into).patch.digest == sent.patch.digest


def test_an_evaluation_can_come_later(remote, bundle, patch_name, tmp_path):
    first = remote.push(bundle(notes=(b"early",)))

    later = remote.push(bundle(notes=(b"early", b"late")))
    pulled = remote.pull(patch_name, 1, folder(tmp_path, "one"))
    latest = remote.push(bundle(notes=(b"latest",)))
    after = remote.pull(patch_name, 1, folder(tmp_path, "two"))

    assert later.already_there
    assert later.attestations_added == latest.attestations_added == 1
    assert later.revision == first.revision == after.revision
    assert set(pulled.attestations.values()) == {b"early", b"late"}
    assert set(after.attestations.values()) == {b"early", b"late", b"latest"}


def test_an_evaluation_can_come_after_the_next_version(remote, bundle, patch_name, into):
    remote.push(bundle(1, seed=1, notes=(b"of one",)))
    remote.push(bundle(2, seed=2, notes=(b"of two",)))

    remote.push(bundle(1, seed=1, notes=(b"of one, later",)))
    pulled = remote.pull(patch_name, 1, into)

    assert set(pulled.attestations.values()) == {b"of one", b"of one, later"}


def test_the_next_version_leaves_behind_the_evaluations_of_the_last(
    remote, bundle, patch_name, into
):
    remote.push(bundle(1, seed=1, notes=(b"of one",)))
    remote.push(bundle(2, seed=2, notes=(b"of two",)))

    assert set(remote.pull(patch_name, 2, into).attestations.values()) == {b"of two"}


@pytest.mark.parametrize(("other", "version"), [("-other", 1), ("", 7)])
def test_what_is_not_there_is_not_found(remote, bundle, patch_name, into, other, version):
    remote.push(bundle(1))

    with pytest.raises(RemoteNotFound):
        remote.pull(patch_name + other, version, into)


def test_a_patch_that_was_never_pushed_has_no_versions(remote, patch_name, tmp_path):
    with pytest.raises(RemoteNotFound):
        remote.versions(patch_name)


def test_a_file_changed_since_it_was_stored_is_not_pushed(remote, bundle, patch_name):
    sent = bundle()
    delta = sent.patch.files["delta.safetensors"]
    delta.write_bytes(delta.read_bytes()[:-1] + b"\x00")

    with pytest.raises(DigestMismatch, match=r"delta\.safetensors"):
        remote.push(sent)
    with pytest.raises(RemoteNotFound):
        remote.versions(patch_name)


def test_progress_tells_of_bytes(remote, bundle, patch_name, into):
    told = []

    remote.push(bundle(), progress=lambda *step: told.append(step))
    remote.pull(patch_name, 1, into, progress=lambda *step: told.append(step))

    assert any("push" in phase for phase, _, _ in told)
    assert any("delta.safetensors" in phase and done == total > 0 for phase, done, total in told)


def folder(parent, name):
    made = parent / name
    made.mkdir()
    return made


def files(patch: Patch) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in patch.files.items()}
