"""Every way in which proposing, fetching and accepting break on the Hub.

Each ends well after all, or says why; nothing is proposed twice, nothing wrong gets a tag. The same
again, with nothing broken, ends well.
"""

from dataclasses import replace

import pytest
from loopback_faults import DOWNLOAD, HANG_UP, UPLOAD, Fault, corrupt, cut, lose_reply
from loopback_messages import Reply
from pull_requests import NAME, TEXT
from weightpatch.patches.errors import DigestMismatch
from weightpatch.registry.remotes.errors import (
    RemoteBusy,
    RemoteDenied,
    RemoteNotFound,
    RemoteRace,
    RemoteUnreachable,
)

BUSY = Reply(429, b"", {"Retry-After": "3"})
CLOSED = Reply(429, b"", {"Retry-After": "3600"})
LIST, DETAILS, REFS, TREE = "/discussions$", "/discussions/1$", "/refs$", "/tree/"
COMMIT, MERGE, TAG, NOTE = "/commit/", "/merge$", "/tag/", "/attestations/"


def failing(path: str, method: str = "GET", skip: int = 0) -> dict:
    """What goes wrong with any request: once or for ever, and how it ends."""
    return {
        "500": (Fault(method, path, instead=Reply(500), skip=skip), None),
        "500 for ever": (
            Fault(method, path, instead=Reply(500), skip=skip, times=None),
            RemoteUnreachable,
        ),
        "429": (Fault(method, path, instead=BUSY, skip=skip), None),
        "429 for an hour": (Fault(method, path, instead=CLOSED, skip=skip), RemoteBusy),
        "reset": (Fault(method, path, instead=HANG_UP, skip=skip), None),
        "reset for ever": (
            Fault(method, path, instead=HANG_UP, skip=skip, times=None),
            RemoteUnreachable,
        ),
        "reply lost": (Fault(method, path, after=lose_reply, skip=skip), None),
        "done, then 500": (Fault(method, path, after=lambda _: Reply(500), skip=skip), None),
        "403": (Fault(method, path, instead=Reply(403), skip=skip), RemoteDenied),
        "nonsense": (Fault(method, path, instead=Reply(200, b"<"), skip=skip), RemoteUnreachable),
    }


def cases(**parts: dict) -> dict:
    return {f"{part} {case}": end for part, ends in parts.items() for case, end in ends.items()}


def only(ends: dict, *kinds: str) -> dict:
    return {kind: ends[kind] for kind in kinds}


PROPOSING = cases(
    refs=only(failing(REFS), "500", "500 for ever", "403", "nonsense"),
    list=only(failing(LIST), "429 for an hour", "reset for ever", "403"),
    tree=only(failing(TREE), "429", "500"),
    card=only(failing("/validate-yaml$", "POST"), "500", "500 for ever"),
    preupload=only(failing("/preupload/", "POST"), "429", "500 for ever", "403"),
    commit=failing(COMMIT, "POST"),
    arrived=only(failing(TREE, skip=1), "500", "nonsense"),
)
UPLOADING = cases(
    upload=only(
        failing(UPLOAD, "PUT POST"), "500", "500 for ever", "403", "reply lost", "reset for ever"
    )
)
FETCHING = cases(
    details=only(failing(DETAILS), "500", "500 for ever", "429", "reset", "403", "nonsense"),
    refs=only(failing(REFS), "500", "429 for an hour"),
    tree=only(failing(TREE), "500", "403"),
    main=only(failing(TREE, skip=1), "500", "403"),
    note=only(failing(NOTE), "500", "500 for ever", "reset"),
    download=only(failing(DOWNLOAD), "500", "500 for ever", "reset", "reset for ever")
    | {
        "cut": (Fault("GET", DOWNLOAD, after=cut(20)), None),
        "corrupted": (Fault("GET", DOWNLOAD, after=corrupt), None),
        "corrupted for ever": (Fault("GET", DOWNLOAD, after=corrupt, times=None), DigestMismatch),
        "404": (Fault("GET", DOWNLOAD, instead=Reply(404), times=None), RemoteNotFound),
    },
)
ACCEPTING = cases(
    details=only(failing(DETAILS), "500", "500 for ever", "403"),
    refs=only(failing(REFS), "500", "429 for an hour"),
    tree=only(failing(TREE), "500", "403"),
    note=only(failing(NOTE), "500", "500 for ever")
    | {
        "corrupted": (Fault("GET", NOTE, after=corrupt), None),
        "corrupted for ever": (Fault("GET", NOTE, after=corrupt, times=None), DigestMismatch),
    },
    merge=only(
        failing(MERGE, "POST"),
        *("500", "500 for ever", "429", "429 for an hour", "reset", "reset for ever"),
        *("reply lost", "done, then 500", "403"),
    )
    | {
        "conflict": (Fault("POST", MERGE, instead=Reply(409)), RemoteRace),
        "not done": (Fault("POST", MERGE, instead=Reply(200)), RemoteUnreachable),
    },
    merged=only(failing(DETAILS, skip=1), "500", "500 for ever", "nonsense"),
    arrived=only(failing(TREE, skip=2), "500", "403", "nonsense"),
    tag=only(
        failing(TAG, "POST"),
        *("500", "500 for ever", "429", "reset", "reply lost", "done, then 500", "403"),
    ),
)
by_lfs = pytest.mark.parametrize("transfer", ["lfs"])


@by_lfs
@pytest.mark.parametrize("case", PROPOSING)
def test_proposing_breaks(hub, hub_remote, there, better, waits, case):
    check_proposing(hub, hub_remote, there, better, *PROPOSING[case])


@pytest.mark.parametrize("case", UPLOADING)
def test_uploading_what_is_proposed_breaks(hub, hub_remote, there, better, waits, case):
    check_proposing(hub, hub_remote, there, better, *UPLOADING[case])


def check_proposing(hub, hub_remote, there, better, fault, error):
    broken = replace(fault)
    hub.faults.append(broken)

    if error is None:
        assert not hub_remote.propose(better, TEXT).already_there
    else:
        with pytest.raises(error) as caught:
            hub_remote.propose(better, TEXT)
        assert "hf_" not in f"{caught.value.message} {caught.value.why} {caught.value.hint}"

    assert broken.was_hit
    broken.times = broken.hits
    made = hub_remote.propose(better, TEXT)
    assert made.number == 1
    assert there.discussions.keys() == {1}
    assert files(there.head("refs/pr/1"), better) == files(None, better)
    assert there.tags.keys() == {"v1"}


@by_lfs
def test_of_a_proposal_that_was_made_but_not_found_there_is_one(
    hub, hub_remote, there, better, waits
):
    hub.faults.append(Fault("POST", COMMIT, after=lose_reply))
    hub.faults.append(broken := Fault("GET", LIST, instead=Reply(500), skip=1, times=None))
    with pytest.raises(RemoteUnreachable):
        hub_remote.propose(better, TEXT)

    broken.times = broken.hits
    assert hub_remote.propose(better, TEXT).already_there
    assert there.discussions.keys() == {1}


@by_lfs
@pytest.mark.parametrize("path", ["patch.json", "README.md"])
def test_what_arrives_otherwise_than_sent_is_told(hub, hub_remote, there, better, path):
    def damage(reply):
        tree = there.head("refs/pr/1")
        tree[path] = replace(tree[path], data=corrupt(Reply(200, tree[path].data)).body)
        return reply

    hub.faults.append(Fault("POST", COMMIT, after=damage))

    with pytest.raises(DigestMismatch, match=f"{path} did not arrive") as caught:
        hub_remote.propose(better, TEXT)
    assert caught.value.hint.startswith(f"close it at {hub.url}/acme/tongues/discussions/1")


@by_lfs
@pytest.mark.parametrize("page", ["/discussions/x", "/discussions/1000000000", "", None])
def test_a_number_that_cannot_be_one_is_refused(hub, hub_remote, there, better, page):
    def lie(reply):
        oid = there.pulls["refs/pr/1"]
        told = {"commitUrl": f"{hub.url}/{NAME}/commit/{oid}", "commitOid": oid}
        address = None if page is None else f"{hub.url}/{NAME}{page}"
        return Reply.json({**told, "pullRequestUrl": address})

    hub.faults.append(Fault("POST", COMMIT, after=lie))

    with pytest.raises(RemoteUnreachable):
        hub_remote.propose(better, TEXT)
    assert hub_remote.propose(better, TEXT).number == 1


@pytest.mark.parametrize("case", FETCHING)
def test_fetching_breaks(hub, hub_remote, proposed, better, waits, tmp_path, case):
    fault, error = FETCHING[case]
    broken = replace(fault)
    hub.faults.append(broken)
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()

    if error is None:
        assert hub_remote.proposal(NAME, 1, first).patch.digest == better.patch.digest
    else:
        with pytest.raises(error):
            hub_remote.proposal(NAME, 1, first)

    assert broken.was_hit
    broken.times = broken.hits
    candidate = hub_remote.proposal(NAME, 1, second)
    assert candidate.patch.digest == better.patch.digest
    assert list(candidate.attestations.values()) == [b"of two"]


@by_lfs
@pytest.mark.parametrize("case", ACCEPTING)
def test_accepting_breaks(hub, hub_remote, there, proposed, better, waits, case):
    fault, error = ACCEPTING[case]
    broken = replace(fault)
    hub.faults.append(broken)

    if error is None:
        assert not hub_remote.accept(NAME, 1, better).already_there
    else:
        with pytest.raises(error) as caught:
            hub_remote.accept(NAME, 1, better)
        assert "hf_" not in f"{caught.value.message} {caught.value.why} {caught.value.hint}"
        assert there.tags.keys() == {"v1"}

    if broken.after is lose_reply:
        assert hub.asked("POST", MERGE) == 1
    assert broken.was_hit
    broken.times = broken.hits
    accepted = hub_remote.accept(NAME, 1, better)
    assert there.tags["v2"] == there.branches["main"] == accepted.revision
    titles = [commit.title for commit in there.log(accepted.revision)]
    assert titles == [f"{TEXT.title} (#1)", "Publish acme/tongues@1", "initial commit"]
    assert files(there.head(), better) == files(None, better)


def files(tree, bundle):
    """The bytes of a version's files, in a tree or as they should be."""
    if tree is None:
        return {path: file.read_bytes() for path, file in bundle.patch.files.items()}
    return {path: tree[path].data for path in bundle.patch.files}
