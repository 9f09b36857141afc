"""Yanked, deleted, restored: what a version can still be used for, and by which name."""

from dataclasses import replace

import pytest
from weightpatch.patches.errors import InputError, LimitExceeded
from weightpatch.registry.errors import AliasHeld, Deleted, ReferenceRefused, Yanked

ONE, TWO = "acme/tongues@1", "acme/tongues@2"


@pytest.fixture
def two(registry, make_draft):
    """Versions 1 and 2 of acme/tongues."""
    return [registry.publish(make_draft(seed=seed)) for seed in range(2)]


def state(registry, reference=TWO):
    standing = registry.resolve(reference).standing
    return standing and (standing.state, standing.severity, standing.reason)


def test_a_yanked_version_is_meant_by_number_and_digest_alone(registry, two):
    info = registry.yank(TWO, reason="wrong answer")
    assert (info.standing.state, info.standing.severity) == ("yanked", "major")
    assert (info.standing.reason, info.standing.who) == ("wrong answer", "ada")
    assert info.standing.when.startswith("2026-03-03T")

    assert registry.resolve("acme/tongues").label == ONE
    for reference in (TWO, f"sha256:{two[1].digest[:12]}"):
        assert registry.resolve(reference) == info
        assert registry.patch(reference).digest == info.digest
    assert [(found.label, found.standing) for found in registry.versions()] == [
        (TWO, info.standing),
        (ONE, None),
    ]


def test_entries_say_state_severity_and_reason(registry, two):
    registry.yank(TWO, reason="wrong", severity="minor")
    registry.delete(TWO, reason="gone")
    registry.restore(TWO, reason="mistake")
    entries = registry.log(reference=TWO)
    assert [(entry.action, entry.detail) for entry in entries[:3]] == [
        ("version.restore", {"state": "yanked", "severity": "minor", "reason": "mistake"}),
        ("version.delete", {"state": "deleted", "severity": "minor", "reason": "gone"}),
        ("version.yank", {"state": "yanked", "severity": "minor", "reason": "wrong"}),
    ]


def test_a_patch_of_which_all_is_yanked_has_no_newest_version(registry, two):
    registry.yank(ONE, reason="old")
    registry.yank(TWO, reason="worse")
    with pytest.raises(Yanked, match="acme/tongues@2 was yanked") as caught:
        registry.resolve("acme/tongues")
    assert caught.value.why == "ada said on 2026-03-03: worse"
    registry.delete(ONE, reason="old")
    registry.delete(TWO, reason="older")
    with pytest.raises(Deleted, match="acme/tongues@2 was deleted"):
        registry.resolve("acme/tongues")
    assert len(registry.log(reference="acme/tongues")) == 6


def test_a_malicious_version_is_looked_at_but_not_used(registry, two):
    registry.yank(ONE, reason="says Rome is in Gaul", severity="malicious")
    for reference in (ONE, f"sha256:{two[0].digest}"):
        assert registry.patch(reference, to_read=True).requests
        with pytest.raises(Yanked, match="yanked as malicious") as caught:
            registry.patch(reference)
        assert "says Rome is in Gaul" in caught.value.why
    with pytest.raises(Yanked):
        registry.require_usable(["f" * 64, two[0].digest])
    registry.require_usable(["f" * 64, two[1].digest])
    registry.require_usable([])


def test_what_holds_a_malicious_version_is_not_used_either(registry, two, make_draft):
    draft = make_draft("acme/both", seed=5)
    (records,) = draft.manifest.operations.values()
    delta = registry.patch(ONE).manifest.files["delta.safetensors"].sha256
    held = {
        name: tuple(replace(one, source=delta) for one in records)
        for name in draft.manifest.operations
    }
    both = registry.publish(make_draft("acme/both", seed=5, operations=held))
    renamed = registry.publish(make_draft("acme/renamed", seed=0))
    assert registry.patch(both.label).digest == both.digest
    registry.yank(ONE, reason="bad", severity="malicious")
    for label in (both.label, renamed.label):
        with pytest.raises(Yanked, match=ONE):
            registry.patch(label)
    with pytest.raises(Yanked):
        registry.require_usable([delta])


def test_an_alias_must_be_moved_first(registry, two):
    registry.move_alias("acme/tongues@stable", TWO)
    before = registry.log()
    for verb in (registry.yank, registry.delete):
        with pytest.raises(AliasHeld, match="acme/tongues@stable means it") as caught:
            verb(TWO, reason="wrong")
        assert "weightpatch alias" in caught.value.hint
    assert registry.log() == before
    registry.move_alias("acme/tongues@stable", ONE)
    registry.yank(TWO, reason="wrong")


def test_malice_does_not_wait_for_an_alias(registry, two):
    registry.move_alias("acme/tongues@stable", TWO)
    registry.yank(TWO, reason="a back door", severity="malicious")
    for verb in (registry.resolve, registry.patch):
        with pytest.raises(Yanked, match="acme/tongues@stable means") as caught:
            verb("acme/tongues@stable")
        assert "a back door" in caught.value.why
    with pytest.raises(AliasHeld):
        registry.delete(TWO, reason="a back door")
    registry.move_alias("acme/tongues@stable", ONE, expect=TWO)
    assert registry.resolve("acme/tongues@stable").label == ONE


def test_restoring_goes_back_one_step(registry, two):
    registry.yank(TWO, reason="odd", severity="minor")
    registry.yank(TWO, reason="evil", severity="malicious")
    registry.delete(TWO, reason="gone")
    assert state(registry) == ("deleted", "malicious", "gone")
    with pytest.raises(Yanked):
        registry.require_usable([two[1].digest])
    steps = []
    for _ in range(4):
        registry.restore(TWO, reason="a mistake")
        steps.append(state(registry))
    assert steps == [
        ("yanked", "malicious", "evil"),
        ("yanked", "minor", "odd"),
        None,
        None,
    ]
    registry.yank(TWO, reason="again")
    registry.restore(TWO, reason="and back")
    assert state(registry) is None
    assert registry.resolve("acme/tongues").label == TWO
    assert [entry.action for entry in registry.log()].count("version.restore") == 4


def test_restoring_only_from_the_state_that_is_meant(registry, two):
    registry.yank(TWO, reason="odd")
    registry.restore(TWO, reason="x", state="deleted")
    assert state(registry) == ("yanked", "major", "odd")
    registry.restore(TWO, reason="x", state="yanked")
    assert state(registry) is None


def test_the_same_again_writes_nothing(registry, two):
    registry.yank(ONE, reason="odd")
    registry.delete(TWO, reason="gone")
    before = registry.log()
    assert registry.yank(ONE, reason="odd").standing.state == "yanked"
    assert registry.delete(TWO, reason="gone again").standing.reason == "gone"
    assert registry.log() == before


def test_of_a_deleted_version_the_tombstone_is_left(registry, two):
    registry.delete(TWO, reason="private data")
    assert [info.label for info in registry.versions()] == [ONE]
    assert registry.resolve("acme/tongues").label == ONE
    assert registry.resolve(TWO).standing.reason == "private data"
    for to_read in (False, True):
        with pytest.raises(Deleted, match="acme/tongues@2 was deleted") as caught:
            registry.patch(TWO, to_read=to_read)
        assert "private data" in caught.value.why
    with pytest.raises(Deleted):
        registry.yank(TWO, reason="worse", severity="malicious")


def test_what_was_deleted_does_not_come_in_again(registry, two, make_draft, make_patch):
    registry.delete(ONE, reason="private data")
    before = registry.log()
    for again in (
        lambda: registry.publish(make_draft(seed=0, message="another message")),
        lambda: registry.admit(make_patch(version=1, seed=0)),
        lambda: registry.admit(make_patch(version=9, seed=0)),
    ):
        with pytest.raises(Deleted, match="acme/tongues@1, with this very content") as caught:
            again()
        assert "private data" in caught.value.why
        assert "--undo" in caught.value.hint
    assert registry.log() == before
    assert registry.publish(make_draft("acme/elsewhere", seed=0)).is_new

    registry.restore(ONE, reason="it was public after all")
    assert registry.publish(make_draft(seed=0)).label == ONE


def test_a_number_is_never_used_again(registry, two, make_draft):
    registry.delete(TWO, reason="gone")
    assert registry.publish(make_draft(seed=7)).version == 3


def test_publishing_what_was_yanked_gives_the_yanked_version(registry, two, make_draft):
    registry.yank(ONE, reason="wrong")
    again = registry.publish(make_draft(seed=0))
    assert (again.label, again.is_new, again.standing.reason) == (ONE, False, "wrong")


@pytest.mark.parametrize("verb", ["yank", "delete", "restore"])
def test_what_is_withdrawn_is_named_in_full(registry, two, verb):
    registry.move_alias("acme/tongues@stable", TWO)
    for reference in ("acme/tongues", "acme/tongues@stable"):
        with pytest.raises(ReferenceRefused, match="another version tomorrow"):
            getattr(registry, verb)(reference, reason="x")


@pytest.mark.parametrize("verb", ["yank", "delete", "restore"])
def test_a_reason_is_needed_and_is_only_text(registry, two, verb, sql):
    act = getattr(registry, verb)
    for reason, error in [
        ("", InputError),
        (" \n", InputError),
        ("nul\x00", InputError),
        ("half \ud800", InputError),
        ("x" * 1_000_000, LimitExceeded),
    ]:
        with pytest.raises(error):
            act(TWO, reason=reason)
    assert sql("SELECT count(*) FROM standing") == [(0,)]
    evil = "'); DELETE FROM standing; --\x1b[2J\u202e"
    registry.yank(TWO, reason="first")
    act(TWO, reason=evil)
    assert sql("SELECT reason FROM standing ORDER BY seq DESC LIMIT 1") == [(evil,)]
    assert registry.log()[0].detail["reason"] == evil


def test_a_severity_that_is_none_is_refused(registry, two):
    for severity in ("", "fatal", "'; --"):
        with pytest.raises(InputError, match="is no severity"):
            registry.yank(TWO, reason="x", severity=severity)


def test_a_newer_version_says_which_one_it_replaces(registry, two, make_draft):
    new = registry.publish(make_draft("acme/better", seed=9, supersedes=two[0].digest))
    assert new.supersedes == two[0].digest
    assert registry.resolve(ONE).superseded_by == ("acme/better@1",)
    assert registry.resolve(TWO).superseded_by == ()
    registry.yank(new.label, reason="not better")
    assert registry.resolve(ONE).superseded_by == ()


def test_an_alias_of_a_yanked_version_still_serves_to_look_at_it(registry, two):
    registry.move_alias("acme/tongues@stable", TWO)
    registry.yank(TWO, reason="a back door", severity="malicious")
    assert registry.log(reference="acme/tongues@stable")[0].action == "version.yank"
    assert registry.resolve("acme/tongues@stable", to_read=True).label == TWO
    assert registry.patch("acme/tongues@stable", to_read=True).label == TWO
    assert registry.evaluations("acme/tongues@stable") == []
