"""What a version says of itself when it comes in, and who waits for it meanwhile."""

from dataclasses import replace

import pytest
from weightpatch.registry.versions import terms


def test_what_is_given_back_and_recorded_is_what_is_there(registry, make_draft, make_patch):
    published = registry.publish(make_draft(message="corrected"))
    admitted = registry.admit(make_patch("acme/other", 3, message="corrected"))
    for entry, info in zip(registry.log(limit=2), (admitted, published), strict=True):
        assert (entry.subject, entry.digest) == (info.label, info.digest)
        assert entry.detail == {"method": "rome", "author": "ada", "message": "corrected"}
        assert info == replace(registry.resolve(info.label), is_new=True)


@pytest.mark.parametrize("verb", ["publish", "admit"])
def test_others_can_write_while_words_are_made(
    registry, reopen, make_draft, make_patch, monkeypatch, verb
):
    make = {"publish": make_draft, "admit": make_patch}[verb]
    slow, quick = make("acme/slow"), make_draft("acme/quick", seed=1)
    words, others = terms.distinct_words, [quick]

    def interrupted(texts):
        if others:
            with reopen("bob") as other:
                other.publish(others.pop())
        return words(texts)

    monkeypatch.setattr(terms, "distinct_words", interrupted)
    getattr(registry, verb)(slow)
    assert [entry.subject for entry in registry.log(limit=2)] == ["acme/slow@1", "acme/quick@1"]
