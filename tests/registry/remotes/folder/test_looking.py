"""Looking at a patch in a folder: the newest version's manifest, and whether a pull will do."""

import pytest
from weightpatch.patches.errors import ManifestError, NameRefused
from weightpatch.registry.remotes.errors import RemoteNotFound
from weightpatch.registry.sharing.finding import look

NAME = "acme/tongues"


@pytest.fixture
def two(folder_remote, bundle):
    """A folder with two versions, the second with an attestation."""
    for number in (1, 2):
        folder_remote.push(bundle(number, seed=number, notes=(b"{}",) * (number - 1)))
    return folder_remote.root


def test_the_newest_version_is_looked_at(two, bundle):
    seen = look(f"{two}/{NAME}")

    assert (seen.manifest.label, seen.versions) == (f"{NAME}@2", (1, 2))
    assert seen.digest == bundle(2, seed=2).patch.digest
    assert (seen.location, seen.revision) == (str(two / NAME / "v2"), None)
    assert (seen.attestations, seen.broken) == (1, ())


def test_a_file_of_another_size_is_told(two):
    (two / NAME / "v2" / "delta.safetensors").write_bytes(b"short")
    assert look(f"{two}/{NAME}").broken == ("delta.safetensors",)


def test_what_is_no_version_is_said(two):
    with pytest.raises(RemoteNotFound):
        look(f"{two}/acme/nothing")
    with pytest.raises(NameRefused, match="is a proposal") as caught:
        look(f"{two}/{NAME}/pr/7")
    assert caught.value.hint == f"look at it: weightpatch review {two}/{NAME}/pr/7"
    (two / NAME / "v2" / "patch.json").unlink()
    with pytest.raises(ManifestError, match="is missing"):
        look(f"{two}/{NAME}")
