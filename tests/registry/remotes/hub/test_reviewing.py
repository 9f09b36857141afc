"""Fetching a pull request: what it holds, and what a merge of it would change."""

import json

import pytest
from huggingface_hub import HfApi
from loopback_faults import Fault
from loopback_messages import Reply
from pull_requests import NAME, TEXT, as_bundle, change
from weightpatch.patches.errors import (
    DigestMismatch,
    ExtraFile,
    ManifestError,
    NameRefused,
    SizeMismatch,
)
from weightpatch.registry.remotes.errors import (
    RemoteNotFound,
    RemoteRefused,
    RemoteUnreachable,
)

by_lfs = pytest.mark.parametrize("transfer", ["lfs"])


@by_lfs
def test_another_proposal_than_was_asked_for_is_refused(hub, hub_remote, proposed, into):
    def tell(reply):
        return Reply.json({**json.loads(reply.body), "num": 2})

    hub.faults.append(Fault("GET", "/discussions/1$", after=tell))

    with pytest.raises(RemoteUnreachable, match="makes no sense"):
        hub_remote.proposal(NAME, 1, into)


@by_lfs
def test_a_pull_request_that_is_not_listed_is_asked_for(hub, hub_remote, proposed, into):
    def tell(reply):
        listed = [{"name": "x", "ref": ref, "targetCommit": "x"} for ref in ("refs/pr/x", "x")]
        return Reply.json({**json.loads(reply.body), "pullRequests": listed})

    hub.faults.append(Fault("GET", "/refs$", after=tell))

    assert hub_remote.proposal(NAME, 1, into).revision == proposed.revision


@by_lfs
def test_a_proposal_that_is_not_there(hub, hub_remote, there, into):
    with pytest.raises(RemoteNotFound, match=r"no proposal hf://acme/tongues/pr/1"):
        hub_remote.proposal(NAME, 1, into)
    HfApi().create_discussion(NAME, "Nice", description="Thanks.")
    with pytest.raises(RemoteNotFound, match="is a discussion, and proposes nothing"):
        hub_remote.proposal(NAME, 1, into)
    with pytest.raises(RemoteNotFound, match="no repository acme/other"):
        hub_remote.proposals("acme/other")


@by_lfs
def test_a_proposal_in_another_name_is_refused(hub_remote, there, proposed, make_patch, into):
    other = make_patch("mallory/tongues", 2, seed=9)
    files = {path: file.read_bytes() for path, file in other.files.items()}
    there.put(files, "refs/pr/1")

    with pytest.raises(ManifestError, match="asked for acme/tongues"):
        hub_remote.proposal(NAME, 1, into)
    with pytest.raises(NameRefused, match="mallory/tongues@2 cannot become a version"):
        hub_remote.accept(NAME, 1, as_bundle(other))


@by_lfs
@pytest.mark.parametrize(
    ("files", "error"),
    [
        ({"attestations/note.json": b"{}"}, ExtraFile),
        ({f"attestations/{'0' * 64}.json": b"{}"}, DigestMismatch),
        ({"requests.jsonl": b"{}\n"}, SizeMismatch),
        ({"patch.json": b"{}"}, ManifestError),
    ],
)
def test_what_is_wrong_in_a_proposal_is_found(hub_remote, there, proposed, into, files, error):
    there.put(files, "refs/pr/1")

    with pytest.raises(error):
        hub_remote.proposal(NAME, 1, into)


@by_lfs
@pytest.mark.parametrize(
    ("changes", "besides"),
    [
        ({".gitattributes": b"*.json filter=lfs\n"}, (".gitattributes",)),
        ({"config.json": b"{}", "a/b": b"x"}, ("a/b", "config.json")),
        ({"LICENSE": None, "README.md": None}, ("LICENSE", "README.md")),
        ({"README.md": b"---\ntags: []\n---\nBuy this.\n"}, ()),
    ],
)
def test_what_a_merge_would_change_besides_is_told_and_refused(
    hub, hub_remote, there, better, into, changes, besides
):
    there.put({"LICENSE": b"CC0"})
    hub_remote.propose(better, TEXT)
    if moved := "LICENSE" not in changes:
        there.put({"LICENSE": b"MIT", "NOTICE": b"Ours."})
    change(there, "refs/pr/1", changes)

    candidate = hub_remote.proposal(NAME, 1, into)

    assert candidate.besides == besides
    assert hub.asked("GET", "/commits/") == (2 if moved else 1)
    if besides:
        with pytest.raises(RemoteRefused, match=r"would also change") as caught:
            hub_remote.accept(NAME, 1, as_bundle(candidate.patch))
        assert repr(besides[0]) in caught.value.message
        assert there.tags.keys() == {"v1"}
    else:
        accepted = hub_remote.accept(NAME, 1, as_bundle(candidate.patch))
        assert there.commits[accepted.revision]["LICENSE"].data == b"MIT"


@by_lfs
def test_what_the_main_branch_had_once_is_a_change_too(hub_remote, there, better, into):
    there.put({"LICENSE": b"CC0"})
    there.put({"LICENSE": b"MIT"})
    hub_remote.propose(better, TEXT)
    there.put({"NOTICE": b"Ours."})
    there.put({"LICENSE": b"CC0"}, "refs/pr/1")

    assert hub_remote.proposal(NAME, 1, into).besides == ("LICENSE",)
