"""How far a patch was at a place, however the place is written."""

from weightpatch.registry.sharing.seen import highest

NAME = "acme/tongues"


def test_the_highest_that_was_at_a_place_counts(registry, make_draft):
    first, second = (registry.publish(make_draft(seed=seed)) for seed in (1, 2))
    for info, remote in ((first, "/drive"), (second, f"hf://{NAME}@v2"), (first, "hf://")):
        registry.record_transfer(info.digest, "pull", remote, place=remote, revision=None)

    assert highest(registry, NAME, "hf://") == 2
    assert highest(registry, NAME, f"hf://{NAME}@main") == 2
    assert highest(registry, NAME, "/drive") == 1
    assert highest(registry, NAME, "/other") == 0
