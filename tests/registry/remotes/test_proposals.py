"""What every remote promises of proposals, on each of them."""

import pytest
from pull_requests import as_bundle
from weightpatch.registry.remotes.errors import RemoteNotFound, RemoteRefused
from weightpatch.registry.remotes.proposals import MERGED, OPEN, Text

pytestmark = pytest.mark.any_hub
TEXT = Text("Say it in English", "Because.", "carol")


@pytest.fixture
def sent(remote, bundle):
    """A version that follows the one there."""
    remote.push(bundle())
    return bundle(2, seed=2, notes=(b"{}",))


@pytest.fixture
def fetched(remote, sent, patch_name, into):
    """The version as it was proposed, and fetched again."""
    return remote.proposal(patch_name, remote.propose(sent, TEXT).number, into)


def test_a_proposal_is_fetched_as_it_was_sent(remote, sent, patch_name, into):
    proposed = remote.propose(sent, TEXT)
    (listed,) = remote.proposals(patch_name)
    found = remote.proposal(patch_name, proposed.number, into)
    assert (listed.number, listed.title, listed.status) == (proposed.number, TEXT.title, OPEN)
    assert listed.location == proposed.location
    assert found.proposal == listed
    assert (found.patch.digest, found.besides) == (sent.patch.digest, ())
    assert list(found.attestations.values()) == [b"{}"]
    assert found.revision == proposed.revision
    assert remote.versions(patch_name) == [1]


def test_it_is_proposed_once_and_only_as_the_next(remote, sent, bundle, patch_name):
    first = remote.propose(sent, TEXT)
    again = remote.propose(sent, TEXT)
    assert (again.number, again.already_there) == (first.number, True)
    with pytest.raises(RemoteRefused):
        remote.propose(bundle(3, seed=3), TEXT)
    with pytest.raises(RemoteNotFound):
        remote.proposal(patch_name, 99, sent.patch.files["patch.json"].parent)
    assert len(remote.proposals(patch_name)) == 1


def test_accepted_it_is_the_next_version_and_waits_no_more(
    remote, sent, fetched, patch_name, tmp_path
):
    pushed = remote.accept(patch_name, fetched.proposal.number, as_bundle(fetched.patch))
    assert not pushed.already_there
    assert remote.proposals(patch_name) == []
    later, pulled = tmp_path / "later", tmp_path / "pulled"
    later.mkdir()
    pulled.mkdir()
    found = remote.proposal(patch_name, fetched.proposal.number, later)
    assert (found.proposal.status, found.patch.digest) == (MERGED, sent.patch.digest)
    assert remote.pull(patch_name, None, pulled).patch.digest == sent.patch.digest
    assert remote.accept(
        patch_name, fetched.proposal.number, as_bundle(fetched.patch)
    ).already_there
