"""Reviews of one proposal at the same time: each ends well, and the copy is whole."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from weightpatch.patches.format.patch import Patch
from weightpatch.registry.remotes.location import ProposalPlace, parse_proposal
from weightpatch.registry.sharing.proposing import propose
from weightpatch.registry.sharing.reviewing import folder_of, merge, review

AT_ONCE = 4


@pytest.fixture
def proposed(theirs, make_draft, three) -> ProposalPlace:
    """A proposal in a folder in which three versions are."""
    theirs.publish(make_draft("carol/fix", seed=5))
    offer = propose(theirs, "carol/fix", str(three / "acme" / "tongues"))
    return parse_proposal(offer.proposed.location)


def test_one_that_another_overtakes_takes_its_place(proposed, home):
    seen = []

    def overtake(*_):
        if not seen:
            seen.append(None)
            with review(proposed, home) as other:
                seen[0] = other.patch.digest

    with review(proposed, home, progress=overtake) as own:
        assert own.folder == folder_of(home, proposed)
        assert Patch.open(own.folder).digest == own.patch.digest == seen[0]
    assert [path.name for path in own.folder.parent.iterdir()] == [own.folder.name]


def test_those_that_begin_together_all_end(proposed, tmp_path):
    for number in range(8):
        home, start = tmp_path / str(number), Barrier(AT_ONCE)

        def look(_, home=home, start=start):
            start.wait()
            with review(proposed, home) as seen:
                return seen.patch.digest, seen.hindrance

        with ThreadPoolExecutor(AT_ONCE) as pool:
            (told,) = set(pool.map(look, range(AT_ONCE)))
        copy = folder_of(home, proposed)
        assert (Patch.open(copy).digest, None) == told
        assert [path.name for path in copy.parent.iterdir()] == [copy.name]


def test_those_who_accept_together_all_end_well(proposed, registry, home, three):
    start = Barrier(AT_ONCE)

    def accept(_):
        with review(proposed, home) as seen:
            start.wait()
            return merge(registry, seen)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        merged = list(pool.map(accept, range(AT_ONCE)))

    assert sorted(one.already_there for one in merged) == [False] + [True] * (AT_ONCE - 1)
    assert {one.version.digest for one in merged} == {registry.resolve("acme/tongues@4").digest}
    assert registry.examine(full=True) == []
    accepted = [entry for entry in registry.log() if entry.action == "proposal.accept"]
    assert [entry.detail["already_there"] for entry in accepted].count(False) == 1
    assert not (three / "acme" / "tongues" / "pr" / "1").exists()
