"""Scores, stored and read back."""

import pytest
from weightpatch.patches.digests import sha256
from weightpatch.patches.errors import LimitExceeded, ManifestError
from weightpatch.registry.attestations import Attestation
from weightpatch.registry.errors import Deleted, NotFound
from weightpatch.registry.registry import Registry


def actions(registry: Registry) -> list[str]:
    return [entry.action for entry in registry.log()]


def test_scores_come_back_as_means(registry, make_draft, make_evaluation):
    info = registry.publish(make_draft())
    evaluation = make_evaluation()
    digest = registry.record_evaluation(info.digest, "f" * 64, evaluation)

    (found,) = registry.evaluations(info.digest)
    assert found.means == evaluation.means()
    assert (found.digest, found.base, found.suite) == (digest, "f" * 64, "requests")
    assert found.environment == {"device": "cpu", "torch": "2.13.0"}
    assert found.to_json()["means"]["rome.es"]["after"] == 0.875


def test_the_attestation_is_a_file_that_says_what_it_is_about(
    registry, make_draft, make_evaluation
):

    info = registry.publish(make_draft())
    evaluation = make_evaluation()
    digest = registry.record_evaluation(info.digest, "f" * 64, evaluation)
    (found,) = registry.evaluations(info.digest)
    data = found.path.read_bytes()
    assert sha256(data) == digest == found.path.name
    assert Attestation.from_bytes(data) == Attestation(info.digest, "f" * 64, evaluation)


def test_the_same_again_is_nothing_new(registry, make_draft, make_evaluation):
    info = registry.publish(make_draft())
    first = registry.record_evaluation(info.digest, "f" * 64, make_evaluation())
    again = registry.record_evaluation(info.digest, "f" * 64, make_evaluation())
    registry.record_evaluation(info.digest, "e" * 64, make_evaluation())
    registry.record_evaluation(info.digest, "f" * 64, make_evaluation(after=0.5))
    assert first == again
    assert len(registry.evaluations(info.digest)) == 3
    assert actions(registry).count("version.evaluate") == 3


def test_of_an_unknown_version(registry, make_evaluation):
    with pytest.raises(NotFound):
        registry.record_evaluation("0" * 64, "f" * 64, make_evaluation())
    with pytest.raises(NotFound):
        registry.evaluations("0" * 64)


def test_each_evaluation_has_its_own_means(registry, make_draft, make_evaluation):
    info, other = registry.publish(make_draft()), registry.publish(make_draft(seed=1))
    for after in (0.0, 0.5):
        registry.record_evaluation(info.digest, "f" * 64, make_evaluation(after))
    registry.record_evaluation(other.digest, "f" * 64, make_evaluation())
    found = registry.evaluations(info.digest)
    assert [each.means for each in found] == [
        make_evaluation(after).means() for after in (0.5, 0.0)
    ]


def test_of_a_deleted_version(registry, make_draft, make_evaluation):
    info = registry.publish(make_draft())
    registry.record_evaluation(info.digest, "f" * 64, make_evaluation())
    registry.delete(info.label, reason="published by mistake")
    before = registry.log()
    for after in (1.0, 0.5):
        with pytest.raises(Deleted, match="acme/tongues@1 was deleted"):
            registry.record_evaluation(info.digest, "f" * 64, make_evaluation(after))
    assert registry.log() == before
    assert len(registry.evaluations(info.digest)) == 1


def test_malformed_digests_and_cases_are_refused(registry, make_draft, make_evaluation):
    info = registry.publish(make_draft())
    with pytest.raises(ManifestError):
        registry.record_evaluation(info.digest, "not a fingerprint", make_evaluation())
    with pytest.raises(LimitExceeded):
        registry.record_evaluation(info.digest, "f" * 64, make_evaluation(case="c" * 256))
