"""The loopback hub itself, asked by the real client: pull requests."""

from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, hf_hub_download
from huggingface_hub.errors import BadRequestError, HfHubHTTPError
from loopback_contents import CARD, LARGE, commit, propose

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=")


def test_a_stranger_proposes_and_the_owner_merges(hub, api, fix, as_user):
    hub["acme/fix"].private = False
    as_user("hf_mallory")
    files = {"delta.safetensors": LARGE[1:], "README.md": CARD.encode() + b"Better.\n"}
    operations = [CommitOperationAdd(path, data) for path, data in files.items()]
    made = api.create_commit(
        "acme/fix", operations, commit_message="Better", commit_description="See", create_pr=True
    )
    with pytest.raises(HfHubHTTPError, match="403"):
        api.merge_pull_request("acme/fix", made.pr_num)
    again = commit(api, "acme/fix", {"note": b"mine"}, revision=made.pr_revision)

    as_user("hf_alice")
    (listed,) = api.get_repo_discussions("acme/fix", discussion_type="pull_request")
    shown = api.get_discussion_details("acme/fix", made.pr_num)
    proposed = api.list_repo_refs("acme/fix", include_pull_requests=True).pull_requests
    path = hf_hub_download("acme/fix", "delta.safetensors", revision=made.pr_revision)
    api.merge_pull_request("acme/fix", made.pr_num, comment="Thanks")

    assert (listed.title, listed.author, listed.status) == ("Better", "mallory", "open")
    assert shown.events[0].content == "See"
    assert "delta.safetensors" in shown.diff
    assert [(ref.ref, ref.target_commit) for ref in proposed] == [("refs/pr/1", again)]
    assert Path(path).read_bytes() == LARGE[1:]
    assert hub["acme/fix"].head()["delta.safetensors"].data == LARGE[1:]
    merged = api.get_discussion_details("acme/fix", made.pr_num)
    assert (merged.status, merged.merge_commit_oid) == ("merged", hub["acme/fix"].resolve("main"))


def test_a_pull_request_is_a_draft_until_it_is_opened(hub, api, fix):
    draft = api.create_pull_request("acme/fix", title="Draft", description="soon")
    commit(api, "acme/fix", {"note": b"x"}, revision=draft.git_reference)

    with pytest.raises(HfHubHTTPError, match="draft"):
        api.merge_pull_request("acme/fix", draft.num)
    api.change_discussion_status("acme/fix", draft.num, "open")
    api.rename_discussion("acme/fix", draft.num, "Ready")
    api.comment_discussion("acme/fix", draft.num, "go")
    api.merge_pull_request("acme/fix", draft.num)

    assert "note" in hub["acme/fix"].head()
    kinds = [event.type for event in api.get_discussion_details("acme/fix", draft.num).events]
    assert kinds == ["comment", "status-change", "title-change", "comment", "status-change"]


def test_a_pull_request_with_conflicts_is_not_merged(hub, api, fix):
    made = api.create_commit(
        "acme/fix", [CommitOperationAdd("note", b"mine")], commit_message="Mine", create_pr=True
    )
    hub["acme/fix"].put({"note": b"theirs"})

    assert api.get_discussion_details("acme/fix", made.pr_num).conflicting_files == ["note"]
    with pytest.raises(HfHubHTTPError, match="conflicts in note"):
        api.merge_pull_request("acme/fix", made.pr_num)


@pytest.mark.parametrize("transfer", ["lfs"])
def test_pull_requests_are_listed_by_kind_status_and_author(hub, api, fix, as_user):
    hub.page = 2
    hub["acme/fix"].private = False
    as_user("hf_mallory")
    for number in range(4):
        propose(api, "acme/fix", {"note": b"%d" % number})
    api.create_pull_request("acme/fix", title="Draft")
    as_user("hf_alice")
    api.create_discussion("acme/fix", title="Why?")
    api.change_discussion_status("acme/fix", 2, "closed")
    api.merge_pull_request("acme/fix", 3)

    def numbers(**wanted):
        return [one.num for one in api.get_repo_discussions("acme/fix", **wanted)]

    pulls = {"discussion_type": "pull_request"}
    assert numbers() == [6, 5, 4, 3, 2, 1]
    assert numbers(**pulls, discussion_status="open") == [5, 4, 1]
    assert numbers(**pulls, discussion_status="closed") == [3, 2]
    assert numbers(**pulls, author="alice") == []
    assert numbers(discussion_type="discussion") == [6]
    hub.requests.clear()
    assert numbers(discussion_status="open") == [6, 5, 4, 1]
    assert hub.asked("GET", "/discussions$") == 2


@pytest.mark.parametrize("transfer", ["lfs"])
def test_only_an_open_pull_request_is_merged(hub, api, fix):
    numbers = [
        propose(api, "acme/fix", {"note": b"mine"}),
        propose(api, "acme/fix", {"note": b"mine"}),
    ]
    api.create_discussion("acme/fix", title="Why?")
    api.change_discussion_status("acme/fix", numbers[0], "closed")
    api.merge_pull_request("acme/fix", numbers[1])

    for number in (*numbers, 3):
        with pytest.raises(BadRequestError, match="cannot be merged"):
            api.merge_pull_request("acme/fix", number)
    with pytest.raises(BadRequestError, match="is merged"):
        api.change_discussion_status("acme/fix", numbers[1], "open")
    with pytest.raises(HfHubHTTPError, match="404"):
        api.merge_pull_request("acme/fix", 4)


@pytest.mark.parametrize("transfer", ["lfs"])
def test_a_merge_takes_over_only_what_was_changed_since_the_base(hub, api, fix):
    hub["acme/fix"].put({"LICENSE": b"CC0"})
    number = propose(api, "acme/fix", {"note": b"mine"}, parent_commit=fix)
    hub["acme/fix"].put({"LICENSE": b"MIT"})

    api.merge_pull_request("acme/fix", number)

    assert "LICENSE" not in hub["acme/fix"].head(f"refs/pr/{number}")
    assert hub["acme/fix"].head()["LICENSE"].data == b"MIT"
    assert hub["acme/fix"].head()["note"].data == b"mine"
