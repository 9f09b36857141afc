"""What all ways of composing share: members, limits, what the manifest tells."""

import numpy as np
import pytest
from weightpatch.patches.composition.compose import MAX_SENTENCE, MAX_SENTENCES, MERGES, load_merge
from weightpatch.patches.composition.members import require_room
from weightpatch.patches.draft import Origin
from weightpatch.patches.errors import ConflictFound, LimitExceeded, PluginMissing, RequestRefused
from weightpatch.patches.operations.dense import Dense
from weightpatch.patches.terms import sources


@pytest.fixture
def members(pico):
    base = pico.base()
    return base, [pico.patch(base, f"acme/p{number}", seed=number) for number in range(3)]


@pytest.mark.parametrize("name", MERGES)
def test_every_merge_answers_to_its_name(name):
    merge = load_merge(name)
    assert merge.name == name
    assert merge.title
    assert merge.Settings()


def test_another_name_is_refused_with_those_that_there_are(members, blended):
    base, patches = members
    with pytest.raises(PluginMissing, match="no merge named 'slerp'") as refused:
        blended(base, patches, merge="slerp")
    assert "sum, ties, dare, resolve" in refused.value.why


def test_the_plain_sum_tells_its_members_and_nothing_more(members, blended):
    base, patches = members
    method = blended(base, patches).manifest.method
    assert method.hyperparameters == {
        "merge": "sum",
        "members": [patch.label for patch in sorted(patches, key=lambda patch: patch.digest)],
    }
    assert (method.seed, method.sampled) == (None, {})


def test_the_sum_takes_no_settings(members, blended):
    base, patches = members
    with pytest.raises(RequestRefused, match="sum takes no settings, so no density"):
        blended(base, patches, settings={"density": "0.5"})


def test_what_was_allowed_is_told(members, blended):
    base, patches = members
    told = blended(base, patches, allowed_conflicts=["one says yes, one no"]).manifest.method
    assert told.hyperparameters["allowed_conflicts"] == ["one says yes, one no"]
    none = blended(base, patches, "acme/none", allowed_conflicts=[]).manifest.method
    assert none.hyperparameters["allowed_conflicts"] == []


def test_of_much_that_was_allowed_the_first_is_told_and_how_much_more(members, blended):
    base, patches = members
    many = ["x" * 10_000] * (MAX_SENTENCES + 7)
    told = blended(base, patches, allowed_conflicts=many).manifest.method.hyperparameters
    found = told["allowed_conflicts"]
    assert len(found) == MAX_SENTENCES + 1
    assert max(map(len, found)) == MAX_SENTENCE + 1
    assert found[-1] == "7 more"


@pytest.mark.parametrize("merge", ["ties", "dare"])
def test_one_patch_alone_may_be_trimmed(members, blended, merge):
    base, patches = members
    assert blended(base, patches[:1], merge=merge).operations


@pytest.mark.parametrize("options", [{}, {"weights": (1,)}])
def test_one_patch_alone_is_no_composition(members, blended, options):
    base, patches = members
    with pytest.raises(ConflictFound, match="two versions at least"):
        blended(base, patches[:1], **options)


@pytest.mark.parametrize("merge", ["ties", "dare"])
def test_nothing_but_zero_is_refused(pico, blended, merge):
    base = pico.base()
    zero = {pico.DOWN: [Dense(np.zeros((6, 10), np.float32))]}
    patch = pico.patch(base, operations=zero)
    with pytest.raises(RequestRefused, match="nothing is left of the members"):
        blended(base, [patch], merge=merge)


@pytest.mark.parametrize("options", [{"merge": "ties"}, {"weights": (2, 1, 1)}])
def test_what_was_made_anew_is_no_delta_of_the_members(pico, members, blended, options):
    base, patches = members
    made = blended(base, patches, **options)
    assert not sources(made) & sources(patches[0])
    assert patches[0].digest in made.manifest.parents


def test_too_many_members_for_one_manifest_are_refused_before_the_work(members):
    """Parts as MEMIT makes them, 8,000 in all: their records alone take more than 1 MiB."""
    _, patches = members
    method = patches[0].manifest.method
    origin = Origin("acme/all", author="ada", created="2026-01-31T12:00:00Z")
    require_room(patches[:1] * 1000, method, origin, side_by_side=True)
    require_room(patches[:1] * 8000, method, origin, side_by_side=False)
    with pytest.raises(LimitExceeded, match="8000 versions with 8000 parts are too many"):
        require_room(patches[:1] * 8000, method, origin, side_by_side=True)


def test_more_keys_than_a_delta_may_keep_are_refused_before_the_work(pico):
    base = pico.base()
    method, origin = pico.method(), Origin("acme/all", "ada", "2026-01-31T12:00:00Z")
    keys = {f"{pico.DOWN}::aux.keys": np.ones((1 << 18, 10), np.float32)}
    patch = pico.patch(base, auxiliary=keys)
    require_room([patch] * 6, method, origin, side_by_side=True)
    with pytest.raises(LimitExceeded, match="7 versions keep 73400320 bytes"):
        require_room([patch] * 7, method, origin, side_by_side=True)
