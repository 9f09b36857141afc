"""What a registry would refuse is found out before a remote is told to accept anything."""

from pathlib import Path

import pytest
from weightpatch.registry.errors import Deleted, NameTooAlike, VersionClash
from weightpatch.registry.registry import Registry
from weightpatch.registry.remotes.location import ProposalPlace, parse_proposal
from weightpatch.registry.sharing.proposing import propose
from weightpatch.registry.sharing.reviewing import merge, review, waiting

NAME = "acme/tongues"


@pytest.fixture
def proposed(theirs, make_draft, three) -> ProposalPlace:
    """A proposal in a folder in which three versions are."""
    theirs.publish(make_draft("carol/fix", seed=5))
    offer = propose(theirs, "carol/fix", str(three / NAME))
    return parse_proposal(offer.proposed.location)


def has_deleted_it(registry, patch, make_draft):
    registry.admit(patch)
    registry.delete(patch.label, reason="it is a mistake")


def has_a_name_like_it(registry, patch, make_draft):
    registry.publish(make_draft("acme/t0ngues", seed=8))


def has_another_of_its_number(registry, patch, make_draft):
    for seed in range(20, 24):
        registry.publish(make_draft(seed=seed))


@pytest.mark.parametrize(
    ("prepare", "error", "told"),
    [
        (has_deleted_it, Deleted, "weightpatch delete acme/tongues@4 --undo"),
        (has_a_name_like_it, NameTooAlike, "accept it from a registry that has no such version"),
        (has_another_of_its_number, VersionClash, "accept it from a registry that has no such"),
    ],
)
def test_what_cannot_come_in_is_not_accepted_at_the_remote(
    registry: Registry, proposed, three, home, make_draft, prepare, error, told
):
    with review(proposed, home) as seen:
        prepare(registry, seen.patch, make_draft)
        before = registry.log()

        with pytest.raises(error) as caught:
            merge(registry, seen)

    assert caught.value.message.startswith("acme/tongues@4 was not accepted, as this registry")
    assert told in caught.value.hint
    assert registry.log() == before
    assert not Path(three / NAME / "v4").exists()
    assert [one.number for one in waiting(proposed)] == [proposed.number]
