"""Making a version of a pull request: only of what was reviewed, whoever does what meanwhile."""

import hashlib
from dataclasses import replace

import pytest
from loopback_faults import Fault, lose_reply
from loopback_repositories import Repository
from pull_requests import NAME, TEXT, as_bundle, asked, change, merge_by_click
from weightpatch.patches.errors import (
    DigestMismatch,
)
from weightpatch.registry.remotes.base import Bundle
from weightpatch.registry.remotes.errors import (
    RemoteDenied,
    RemoteRace,
    RemoteRefused,
    RemoteUnreachable,
)
from weightpatch.registry.remotes.proposals import Text

by_lfs = pytest.mark.parametrize("transfer", ["lfs"])


@by_lfs
@pytest.mark.parametrize("status", ["closed", "draft"])
def test_what_is_not_open_can_be_read_but_not_merged(
    hub_remote, there, better, proposed, into, status
):
    there.discussions[1].status = status

    candidate = hub_remote.proposal(NAME, 1, into)
    with pytest.raises(RemoteRefused, match=f"is (a )?{status}") as caught:
        hub_remote.accept(NAME, 1, as_bundle(candidate.patch))

    assert candidate.proposal.status == status
    assert candidate.patch.digest == better.patch.digest
    assert f"open it at {proposed.page}" == caught.value.hint
    assert there.tags.keys() == {"v1"}


@by_lfs
def test_the_next_version_was_made_meanwhile(hub_remote, there, proposed, bundle, into):
    candidate = hub_remote.proposal(NAME, 1, into)
    hub_remote.push(bundle(2, seed=3))

    with pytest.raises(RemoteRefused, match="acme/tongues@v2 is there already") as caught:
        hub_remote.accept(NAME, 1, as_bundle(candidate.patch))
    assert "proposed again, under the next number" in caught.value.hint
    assert there.discussions[1].status == "open"


@by_lfs
def test_an_older_number_is_not_merged(hub_remote, there, proposed, bundle, into):
    candidate = hub_remote.proposal(NAME, 1, into)
    hub_remote.push(bundle(3, seed=3))

    with pytest.raises(RemoteRefused, match=r"is at version 3, and .*/pr/1 would be 2") as caught:
        hub_remote.accept(NAME, 1, as_bundle(candidate.patch))
    assert "as version 4" in caught.value.hint


@by_lfs
def test_a_conflict_is_refused(hub, hub_remote, there, better, into):
    there.put({"README.md": b"---\ntags: []\n---\nOld.\n"})
    hub_remote.propose(better, TEXT)
    there.put({"README.md": b"---\ntags: []\n---\nNew.\n"})
    candidate = hub_remote.proposal(NAME, 1, into)

    with pytest.raises(RemoteRefused, match="is in conflict with") as caught:
        hub_remote.accept(NAME, 1, as_bundle(candidate.patch))
    assert "proposed again" in caught.value.hint
    assert not hub.asked("POST", "/merge$")


@by_lfs
def test_a_merge_by_a_click_is_finished(hub, hub_remote, there, better, proposed, into):
    merge_by_click()
    there.put({"README.md": b"---\ntags: []\n---\nLater.\n"})
    there.put({"requests.jsonl": b"{}\n"}, "refs/pr/1")
    hub.requests.clear()

    candidate = hub_remote.proposal(NAME, 1, into)
    accepted = hub_remote.accept(NAME, 1, as_bundle(candidate.patch, candidate.attestations))

    assert candidate.proposal.status == "merged"
    assert there.tags["v2"] == accepted.revision == there.discussions[1].merge_commit
    assert not accepted.already_there
    assert not hub.asked("POST", "/merge$")


@by_lfs
def test_what_is_tagged_already_is_said_to_be_there(hub, hub_remote, there, better, proposed):
    first = hub_remote.accept(NAME, 1, better)
    hub.requests.clear()

    again = hub_remote.accept(NAME, 1, better)

    assert (again.already_there, again.revision) == (True, first.revision)
    assert not hub.asked("POST", "")


def test_the_card_is_written_by_who_accepts_and_scores_are_added(
    hub_remote, there, better, proposed, bundle, into
):
    own = replace(bundle(2, seed=2, notes=(b"of two", b"measured here")), card="---\na: b\n---\n")

    accepted = hub_remote.accept(NAME, 1, own)

    tree = there.commits[there.tags["v2"]]
    assert accepted.revision == there.resolve("main") == there.tags["v2"]
    assert tree["README.md"].data == own.card.encode()
    assert set(hub_remote.pull(NAME, 2, into).attestations) == set(own.attestations)


@by_lfs
def test_what_somebody_put_on_top_of_the_merge_stays_as_it_is(
    hub_remote, there, better, proposed, bundle
):
    merge_by_click()
    later = there.put({"README.md": b"---\ntags: []\n---\nLater.\n"})

    accepted = hub_remote.accept(NAME, 1, replace(better, card="---\na: b\n---\n"))

    assert accepted.revision == there.discussions[1].merge_commit
    assert there.resolve("main") == later


@by_lfs
def test_a_version_left_untagged_below_a_newer_one_is_finished(
    hub_remote, there, better, proposed, bundle
):
    merge_by_click()
    hub_remote.push(bundle(3, seed=3))

    hub_remote.accept(NAME, 1, better)

    assert hub_remote.versions(NAME) == [1, 2, 3]


@by_lfs
@pytest.mark.parametrize(
    "changes",
    [{"requests.jsonl": b"{}\n"}, {"patch.json": b"{}"}, {"delta.safetensors": None}],
)
def test_what_was_changed_since_the_review_is_not_merged(
    hub, hub_remote, there, better, proposed, changes
):
    change(there, "refs/pr/1", changes)

    with pytest.raises(RemoteRace, match="is not what was reviewed") as caught:
        hub_remote.accept(NAME, 1, better)
    assert caught.value.hint == "review it again"
    assert not hub.asked("POST", "/merge$")


@by_lfs
@pytest.mark.parametrize(
    ("changes", "error", "told"),
    [
        ({"requests.jsonl": b"{}\n"}, RemoteRace, "another acme/tongues@2 came with it"),
        ({"config.json": b"{}"}, RemoteRefused, "'config.json' came with it"),
    ],
)
def test_what_is_changed_in_the_moment_of_the_merge_gets_no_tag(
    hub, hub_remote, there, better, proposed, changes, error, told
):
    hub.before_commit = lambda: there.put(changes, "refs/pr/1")

    with pytest.raises(error, match=told) as caught:
        hub_remote.accept(NAME, 1, better)

    assert there.discussions[1].status == "merged"
    assert there.tags.keys() == {"v1"}
    assert proposed.page in caught.value.hint


@by_lfs
@pytest.mark.parametrize("by", ["accept", "click"])
def test_other_files_that_came_with_a_merge_are_shown_and_get_no_tag_later(
    hub, hub_remote, there, better, proposed, into, by
):
    there.put({"LICENSE": b"CC0"})
    if by == "click":
        there.put({"config.json": b"{}"}, "refs/pr/1")
        merge_by_click()
    else:
        hub.before_commit = lambda: there.put({"config.json": b"{}"}, "refs/pr/1")
        with pytest.raises(RemoteRefused):
            hub_remote.accept(NAME, 1, better)

    candidate = hub_remote.proposal(NAME, 1, into)
    with pytest.raises(RemoteRefused, match=r"'config.json' came with it") as caught:
        hub_remote.accept(NAME, 1, as_bundle(candidate.patch))

    assert candidate.besides == ("config.json",)
    assert "then review it again" in caught.value.hint
    assert there.tags.keys() == {"v1"}


@by_lfs
@pytest.mark.parametrize("version_too", [False, True])
def test_a_merge_of_other_files_can_be_finished_when_they_are_put_back(
    hub_remote, there, better, proposed, bundle, into, version_too
):
    change(there, "refs/pr/1", {"config.json": b"{}", ".gitattributes": b"* filter=evil\n"})
    attributes = there.head()[".gitattributes"].data
    merge_by_click()
    change(there, "main", {"config.json": None, ".gitattributes": attributes})
    if version_too:
        hub_remote.push(bundle(3, seed=3))
    tree = there.head()

    candidate = hub_remote.proposal(NAME, 1, into)

    if version_too:
        assert candidate.besides == (".gitattributes", "config.json")
        with pytest.raises(RemoteRefused, match="came with it"):
            hub_remote.accept(NAME, 1, as_bundle(candidate.patch))
    else:
        assert candidate.besides == ()
        seen = as_bundle(candidate.patch, candidate.attestations)
        accepted = hub_remote.accept(NAME, 1, seen)
        assert there.commits[accepted.revision] == tree
        assert there.tags["v2"] == accepted.revision


@by_lfs
@pytest.mark.parametrize("reply_lost", [False, True])
def test_what_the_owners_change_in_the_moment_of_the_merge_is_no_part_of_it(
    hub, hub_remote, there, better, proposed, waits, reply_lost
):
    hub.before_commit = lambda: there.put({"LICENSE": b"CC0"})
    if reply_lost:
        hub.faults.append(Fault("POST", "/merge$", after=lose_reply))

    accepted = hub_remote.accept(NAME, 1, better)

    assert there.tags["v2"] == accepted.revision
    assert there.commits[accepted.revision]["LICENSE"].data == b"CC0"


@by_lfs
@pytest.mark.parametrize(
    ("token", "changes", "status"),
    [
        ("hf_alice", {}, "closed"),
        ("hf_carol", {}, "open"),
        ("hf_alice", {"requests.jsonl": b"{}\n"}, "open"),
    ],
)
def test_a_proposal_of_what_was_pushed_meanwhile_is_closed_by_who_may(
    hub_remote, there, better, proposed, as_user, token, changes, status
):
    hub_remote.push(better)
    if changes:
        there.put(changes, "refs/pr/1")
    as_user(token)

    accepted = hub_remote.accept(NAME, 1, better)

    assert accepted.already_there
    assert there.discussions[1].status == status
    said = [
        event["data"]["latest"]["raw"]
        for event in there.discussions[1].events
        if event["type"] == "comment"
    ]
    assert said[1:] == (["This is hf://acme/tongues@v2 already."] if status == "closed" else [])


def smuggle(repository: Repository, branch: str, better: Bundle) -> None:
    """Add a note that nobody reviewed, one that is damaged, and damage one that was reviewed."""
    unseen = b"all of it is perfect"
    (digest,) = better.attestations
    names = [hashlib.sha256(unseen).hexdigest(), "0" * 64, digest]
    repository.put({f"attestations/{name}.json": unseen for name in names}, branch)


@by_lfs
@pytest.mark.parametrize("later", [{}, {"README.md": b"---\ntags: []\n---\nLater.\n"}])
def test_notes_that_come_in_the_moment_of_the_merge_are_taken_out_again(
    hub, hub_remote, there, better, proposed, into, later
):
    def act():
        smuggle(there, "refs/pr/1", better)
        merge_by_click()
        if later:
            there.put(later)

    hub.before_commit = act

    accepted = hub_remote.accept(NAME, 1, better)

    assert accepted.revision == there.tags["v2"] == there.resolve("main")
    assert set(hub_remote.pull(NAME, 2, into).attestations) == set(better.attestations)
    card = there.head()["README.md"].data
    assert card == (later["README.md"] if later else better.card.encode())


@by_lfs
def test_notes_that_cannot_be_taken_out_get_no_tag(
    hub, hub_remote, there, better, proposed, bundle
):
    smuggle(there, "refs/pr/1", better)
    merge_by_click()
    hub_remote.push(bundle(3, seed=3))

    with pytest.raises(RemoteRefused, match=r"attestations/.* and 2 more came with it") as caught:
        hub_remote.accept(NAME, 1, better)
    assert "under the next number" in caught.value.hint
    assert there.tags.keys() == {"v1", "v3"}


@by_lfs
def test_of_two_proposals_for_one_number_the_second_has_to_be_proposed_again(
    hub, hub_remote, there, better, proposed, bundle
):
    other = bundle(2, seed=7)
    hub_remote.propose(other, Text("Another", "Words"))
    hub.before_commit = lambda: hub_remote.accept(NAME, 2, other)

    with pytest.raises(RemoteRefused, match=r"is at version 2, and .*/pr/1 would be 2") as caught:
        hub_remote.accept(NAME, 1, better)
    assert caught.value.hint == "have it proposed again, as version 3"
    assert there.commits[there.tags["v2"]]["patch.json"].sha256 == other.patch.digest


@by_lfs
def test_a_damaged_note_is_not_merged(hub, hub_remote, there, better, proposed):
    there.put({f"attestations/{'0' * 64}.json": b"{}"}, "refs/pr/1")

    with pytest.raises(DigestMismatch):
        hub_remote.accept(NAME, 1, better)
    assert not hub.asked("POST", "/merge$")


@by_lfs
def test_what_was_merged_unseen_can_be_reviewed_and_finished(
    hub, hub_remote, there, better, proposed, bundle, into
):
    other = bundle(2, seed=5).patch
    files = {path: file.read_bytes() for path, file in other.files.items()}
    hub.before_commit = lambda: there.put(files, "refs/pr/1")
    with pytest.raises(RemoteRace):
        hub_remote.accept(NAME, 1, better)

    candidate = hub_remote.proposal(NAME, 1, into)
    hub_remote.accept(NAME, 1, as_bundle(candidate.patch))

    assert candidate.patch.digest == other.digest
    assert there.commits[there.tags["v2"]]["patch.json"].sha256 == other.digest


@by_lfs
@pytest.mark.parametrize("ending", ["merged", "closed"])
def test_somebody_else_decides_in_the_same_moment(hub, hub_remote, there, better, proposed, ending):
    def decide():
        if ending == "merged":
            merge_by_click()
        else:
            there.discussions[1].status = "closed"

    hub.before_commit = decide

    if ending == "merged":
        assert hub_remote.accept(NAME, 1, better).revision == there.tags["v2"]
    else:
        with pytest.raises(RemoteRefused, match="status 400"):
            hub_remote.accept(NAME, 1, better)
        assert there.tags.keys() == {"v1"}


@by_lfs
def test_a_merge_into_nobody_knows_what_gets_no_tag(hub, hub_remote, there, better, proposed):
    merge_by_click()
    there.discussions[1].merge_commit = None

    with pytest.raises(RemoteUnreachable, match="names a commit that cannot be one"):
        hub_remote.accept(NAME, 1, better)
    assert there.tags.keys() == {"v1"}


@by_lfs
def test_two_who_accept_at_the_same_time_agree(hub, hub_remote, there, better, proposed):
    hub.before_commit = lambda: hub_remote.accept(NAME, 1, better)

    accepted = hub_remote.accept(NAME, 1, better)

    assert accepted.revision == there.tags["v2"] == there.branches["main"]


@by_lfs
def test_what_is_merged_while_it_is_read_is_finished(hub, hub_remote, there, better, proposed):
    def merge(reply):
        hub.faults.clear()
        merge_by_click()
        return reply

    hub.faults.append(Fault("GET", "/discussions/1$", after=merge))

    assert hub_remote.accept(NAME, 1, better).revision == there.tags["v2"]


@by_lfs
@pytest.mark.parametrize(
    ("token", "hint"),
    [("hf_mallory", "only who may write to it can merge"), (None, "log in")],
)
def test_who_may_not_merge_is_told_so(
    hub, hub_remote, there, better, proposed, as_user, token, hint
):
    as_user(token)

    with pytest.raises(RemoteDenied) as caught:
        hub_remote.accept(NAME, 1, better)
    assert hint in caught.value.hint
    assert there.discussions[1].status == "open"
    assert there.tags.keys() == {"v1"}


@by_lfs
def test_a_patch_that_was_changed_here_is_not_accepted(hub, hub_remote, better, proposed):
    better.patch.files["requests.jsonl"].write_bytes(b"{}\n")

    with pytest.raises(DigestMismatch, match="was changed since it was stored"):
        hub_remote.accept(NAME, 1, better)
    assert not hub.requests


@by_lfs
def test_reviewing_and_accepting_ask_for_no_more_than_they_must(
    hub, hub_remote, proposed, better, into
):
    hub_remote.proposal(NAME, 1, into)

    files = ["GET resolve", "GET resolve", "GET storage", "GET resolve"]
    assert asked(hub) == [
        *("GET discussions/1", "GET refs", "GET tree"),
        *files,
        "GET tree",  # the main branch, of which it may change nothing else
        "GET resolve",  # the note
    ]
    hub.requests.clear()
    hub_remote.accept(NAME, 1, better)
    assert asked(hub) == [
        *("GET discussions/1", "GET refs", "GET tree", "GET tree"),
        "POST discussions/1/merge",
        *("GET discussions/1", "GET tree"),  # which commit it ended in, and what is there
        "POST tag",
    ]
    hub.requests.clear()
    hub_remote.accept(NAME, 1, better)
    assert asked(hub) == ["GET discussions/1", "GET refs", "GET tree"]
