"""References and the versions that they mean."""

import pytest
from weightpatch.patches.errors import NameRefused
from weightpatch.registry.errors import Ambiguous, NotFound, ReferenceRefused


def test_a_name_means_the_highest_number(registry, make_patch):
    for number in (2, 11, 3):
        registry.admit(make_patch("acme/tongues", number, seed=number))
    assert registry.resolve("acme/tongues").version == 11
    assert registry.resolve("acme/tongues@3").version == 3


def test_a_prefix_of_the_digest_will_do(registry, make_draft):
    info = registry.publish(make_draft())
    for length in (6, 20, 64):
        assert registry.resolve(f"sha256:{info.digest[:length]}").label == info.label


def test_a_prefix_of_several_is_ambiguous(registry, make_draft, sql, dialect):
    infos = [registry.publish(make_draft(seed=seed)) for seed in range(2)]
    if dialect == "sqlite":
        sql("DROP TRIGGER version_refuse_update")
    else:
        sql("ALTER TABLE version DISABLE TRIGGER version_refuse")
    for info, tail in zip(infos, "ab", strict=True):
        sql("UPDATE version SET digest = ? WHERE digest = ?", "0" * 63 + tail, info.digest)
    with pytest.raises(Ambiguous) as caught:
        registry.resolve("sha256:000000")
    assert "acme/tongues@1" in caught.value.why
    assert registry.resolve("sha256:" + "0" * 63 + "b").version == 2


def test_near_misses_are_named(registry, make_draft):
    registry.publish(make_draft("acme/mother-tongues"))
    for missed in ("acme/mother-tonges", "acne/mother-tongues", "acme/mothertongues"):
        with pytest.raises(NotFound) as caught:
            registry.resolve(missed)
        assert caught.value.hint == "did you mean acme/mother-tongues?"


def test_a_missing_number_names_those_that_are_there(registry, make_draft):
    registry.publish(make_draft("acme/tongues"))
    with pytest.raises(NotFound, match="no version 9") as caught:
        registry.resolve("acme/tongues@9")
    assert caught.value.why == "newest: acme/tongues@1"


def test_an_alias_that_is_not_there_names_those_that_are(registry, make_draft):
    registry.publish(make_draft("acme/tongues"))
    with pytest.raises(NotFound) as caught:
        registry.resolve("acme/tongues@stable")
    assert caught.value.why == "it has no alias"
    registry.move_alias("acme/tongues@stable", "acme/tongues@1")
    with pytest.raises(NotFound) as caught:
        registry.resolve("acme/tongues@stabel")
    assert caught.value.why == "its aliases: stable"
    assert caught.value.hint == "did you mean acme/tongues@stable?"


def test_nothing_near(registry):
    with pytest.raises(NotFound):
        registry.resolve("acme/tongues")
    with pytest.raises(NotFound):
        registry.resolve("sha256:abcdef")


def test_what_is_no_reference_is_refused(registry, subtests):
    digests = ("sha256:abc", "sha256:ABCDEF", "sha256:" + "a" * 65)
    for text in (*digests, "a/b@", "a/b@0", "a/b@X", "a/b@latest"):
        with subtests.test(text=text), pytest.raises(ReferenceRefused):
            registry.resolve(text)


def test_what_is_no_name_is_refused(registry, subtests):
    for text in ("", "tongues", "a/b/c", "A/b", "../b", "%/%", "a/b'--"):
        with subtests.test(text=text), pytest.raises(NameRefused):
            registry.resolve(text)
