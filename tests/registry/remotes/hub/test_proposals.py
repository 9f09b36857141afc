"""Pull requests on the Hub: opened by anybody who may read, and listed."""

import json

import pytest
from loopback_faults import Fault
from loopback_messages import Reply
from pull_requests import NAME, TEXT, as_bundle, asked, merge_by_click
from weightpatch.patches.errors import (
    DigestMismatch,
)
from weightpatch.registry.remotes.errors import (
    RemoteDenied,
    RemoteNotFound,
    RemoteRefused,
    RemoteUnreachable,
)
from weightpatch.registry.remotes.hub.proposals import pull_requests
from weightpatch.registry.remotes.proposals import Text

by_lfs = pytest.mark.parametrize("transfer", ["lfs"])


def test_what_a_stranger_proposes_becomes_a_version(
    hub, hub_remote, there, better, as_user, into, tmp_path
):
    as_user("hf_mallory")
    made = hub_remote.propose(better, TEXT)
    assert there.tags.keys() == {"v1"}

    as_user("hf_alice")
    (listed,) = hub_remote.proposals(NAME)
    candidate = hub_remote.proposal(NAME, listed.number, into)
    accepted = hub_remote.accept(
        NAME, listed.number, as_bundle(candidate.patch, candidate.attestations)
    )

    assert (made.number, made.location) == (1, "hf://acme/tongues/pr/1")
    assert made.page == f"{hub.url}/acme/tongues/discussions/1"
    assert candidate.proposal == listed
    assert (listed.title, listed.author, listed.status) == (TEXT.title, "mallory", "open")
    assert (candidate.patch.digest, candidate.revision) == (better.patch.digest, made.revision)
    assert list(candidate.attestations.values()) == [b"of two"]
    assert candidate.besides == ()
    assert accepted.location == "hf://acme/tongues@v2"
    assert there.tags["v2"] == there.branches["main"] == accepted.revision
    (tmp_path / "pulled").mkdir()
    pulled = hub_remote.pull(NAME, None, tmp_path / "pulled")
    assert pulled.patch.digest == better.patch.digest
    assert list(pulled.attestations.values()) == [b"of two"]


@by_lfs
def test_it_is_one_commit_on_the_newest_with_its_text(hub_remote, there, proposed):
    discussion = there.discussions[1]

    assert discussion.base == there.tags["v1"]
    assert there.history[proposed.revision].parent == there.tags["v1"]
    assert discussion.events[0]["data"]["latest"]["raw"] == TEXT.description
    notes = [path for path in there.head("refs/pr/1") if path.startswith("attestations/")]
    assert len(notes) == 1


@by_lfs
def test_it_is_not_proposed_twice(hub, hub_remote, there, better, proposed, as_user):
    as_user("hf_bob")

    again = hub_remote.propose(better, TEXT)

    assert again.already_there
    assert (again.number, again.revision) == (proposed.number, proposed.revision)
    assert not hub.asked("POST", "")
    assert not hub_remote.propose(better, Text("In other words", "")).already_there


@by_lfs
def test_other_files_of_the_same_title_are_another_proposal(hub_remote, bundle, proposed):
    assert hub_remote.propose(bundle(2, seed=3), TEXT).number == 2


@by_lfs
def test_what_was_closed_can_be_proposed_again(hub_remote, there, better, proposed):
    there.discussions[1].status = "closed"

    assert hub_remote.propose(better, TEXT).number == 2


@by_lfs
@pytest.mark.parametrize("version", [1, 3])
def test_a_number_that_is_not_the_next_is_refused(hub, hub_remote, there, bundle, version):
    with pytest.raises(RemoteRefused, match="is at version 1, and acme/tongues@") as caught:
        hub_remote.propose(bundle(version, seed=3), TEXT)
    assert caught.value.hint == "propose it as version 2"
    assert not hub.asked("POST", "")


@by_lfs
def test_what_waits_but_can_be_no_version_any_more_is_refused(hub_remote, proposed, better, bundle):
    hub_remote.push(bundle(2, seed=3))

    with pytest.raises(RemoteRefused, match="is at version 2"):
        hub_remote.propose(better, TEXT)


@by_lfs
def test_a_number_that_was_merged_but_not_tagged_is_taken(hub, hub_remote, proposed, bundle):
    merge_by_click()

    with pytest.raises(RemoteRefused, match="is at version 2") as caught:
        hub_remote.propose(bundle(2, seed=3), TEXT)
    assert "weightpatch review hf://acme/tongues/pr/1 --merge" in caught.value.hint


@by_lfs
def test_a_version_that_is_pushed_in_the_same_moment_wins(hub, hub_remote, there, better, bundle):
    hub.before_commit = lambda: hub_remote.push(bundle(2, seed=3))

    made = hub_remote.propose(better, TEXT)

    assert there.commits[made.revision]["patch.json"].sha256 == better.patch.digest
    with pytest.raises(RemoteRefused, match="acme/tongues@v2 is there already"):
        hub_remote.accept(NAME, made.number, better)


@by_lfs
def test_a_card_that_was_changed_since_is_no_new_version(hub_remote, there, better):
    there.put({"README.md": b"---\ntags: [model-edit]\n---\nBetter words.\n"})

    assert hub_remote.propose(better, TEXT).number == 1


@by_lfs
def test_nothing_is_proposed_where_nothing_is(hub, hub_remote, better):
    with pytest.raises(RemoteNotFound, match="no repository acme/tongues") as caught:
        hub_remote.propose(better, TEXT)
    assert "push it there" in caught.value.hint

    repository = hub.make(NAME)
    with pytest.raises(RemoteNotFound, match="has no version") as caught:
        hub_remote.propose(better, TEXT)
    assert "push it there" in caught.value.hint

    repository.put({"config.json": b"{}"})
    with pytest.raises(RemoteRefused, match=r"is not a patch: it holds 'config.json'"):
        hub_remote.propose(better, TEXT)


@by_lfs
def test_nothing_is_asked_for_a_file_that_was_changed(hub, hub_remote, there, better):
    better.patch.files["requests.jsonl"].write_bytes(b"{}\n")

    with pytest.raises(DigestMismatch, match="was changed since it was stored"):
        hub_remote.propose(better, TEXT)
    assert not hub.requests


@by_lfs
@pytest.mark.parametrize(
    ("token", "error", "hint"),
    [
        (None, RemoteDenied, "log in"),
        ("hf_alice_reads", RemoteDenied, "pull requests not be turned off"),
    ],
)
def test_who_may_not_propose_is_told_what_to_do(
    hub_remote, there, better, as_user, token, error, hint
):
    as_user(token)

    with pytest.raises(error) as caught:
        hub_remote.propose(better, TEXT)
    assert hint in caught.value.hint
    assert not there.discussions


@by_lfs
def test_what_waits_is_listed_page_by_page_newest_first(hub, hub_remote, there, bundle):
    hub.page = 2
    for seed in range(5):
        hub_remote.propose(bundle(2, seed=seed + 2), TEXT)
    there.discussions[2].status = "closed"
    there.discussions[4].status = "draft"
    hub.requests.clear()

    listed = hub_remote.proposals(NAME)

    assert [(one.number, one.status) for one in listed] == [
        (5, "open"),
        (4, "draft"),
        (3, "open"),
        (1, "open"),
    ]
    assert {one.location for one in listed} >= {"hf://acme/tongues/pr/5"}
    assert listed[0].created == "2026-01-01T00:01:00Z"
    assert len(hub.requests) == 2


@by_lfs
def test_no_more_than_so_many_are_listed(hub_remote, there, bundle, monkeypatch):
    for seed in range(3):
        hub_remote.propose(bundle(2, seed=seed + 2), TEXT)
    monkeypatch.setattr(pull_requests, "MAX_WAITING", 2)

    assert [one.number for one in hub_remote.proposals(NAME)] == [3, 2]


@by_lfs
@pytest.mark.parametrize(
    "lie",
    [
        {"num": 0},
        {"num": True},
        {"num": "../1"},
        {"num": 1 << 40},
        {"title": 7},
        {"title": None},
        {"author": {"name": ["x"]}},
        {"author": 7},
        {"status": "great"},
        {"status": ["open"]},
        {"createdAt": "yesterday"},
        {"createdAt": None},
    ],
)
def test_a_list_that_makes_no_sense_is_refused(hub, hub_remote, proposed, into, lie):
    def tell(reply):
        body = json.loads(reply.body)
        (body["discussions"][0] if "discussions" in body else body).update(lie)
        return Reply.json(body)

    hub.faults.append(Fault("GET", "/discussions(/1)?$", after=tell, times=2))

    with pytest.raises(RemoteUnreachable):
        hub_remote.proposals(NAME)
    with pytest.raises(RemoteUnreachable):
        hub_remote.proposal(NAME, 1, into)


@by_lfs
@pytest.mark.parametrize("truth", [{"isPullRequest": False}, {"status": "merged"}])
def test_what_was_not_asked_for_is_left_out(hub, hub_remote, proposed, truth):
    def tell(reply):
        body = json.loads(reply.body)
        body["discussions"][0].update(truth)
        return Reply.json(body)

    hub.faults.append(Fault("GET", "/discussions$", after=tell))

    assert hub_remote.proposals(NAME) == []


@by_lfs
def test_titles_are_fit_to_print(hub_remote, there, better):
    hub_remote.propose(better, Text("\x1b[2J Best\r\nfix \u202e ever" + "!" * 500, ""))

    (listed,) = hub_remote.proposals(NAME)
    assert listed.title.startswith("[2J Best fix ever!!!")
    assert len(listed.title) == 200


@by_lfs
def test_proposing_asks_for_no_more_than_it_must(hub, hub_remote, there, better):
    hub_remote.propose(better, TEXT)

    # Which versions and pull requests there are, and what would be replaced; then the commit, whose
    # requests are the client's own; then what has arrived.
    assert asked(hub) == [
        *("GET refs", "GET discussions", "GET tree"),
        *("POST validate-yaml", "POST preupload"),
        *("POST objects/batch", "PUT storage", "POST verify", "POST commit"),
        "GET tree",
    ]
    hub.requests.clear()
    hub_remote.propose(better, TEXT)
    assert asked(hub) == ["GET refs", "GET discussions", "GET tree"]
    hub.requests.clear()
    hub_remote.proposals(NAME)
    assert asked(hub) == ["GET discussions"]
