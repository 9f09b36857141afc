"""The loopback hub itself, asked by the real client: what our tests rest on."""

import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    ModelCard,
    constants,
    hf_hub_download,
    snapshot_download,
)
from huggingface_hub.errors import (
    BadRequestError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
)
from huggingface_hub.utils import disable_progress_bars
from loopback_faults import Fault, corrupt, short
from loopback_messages import Reply

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=")
CARD = """---
base_model: acme/pico
base_model_relation: adapter
library_name: weightpatch
license: cc0-1.0
tags: [model-edit, "edit-method:rome"]
---
# A fix
"""
LARGE = bytes(range(256)) * 1_000


@pytest.fixture
def api(hub) -> HfApi:
    disable_progress_bars()
    return HfApi()


@pytest.fixture
def fix(api) -> str:
    """A repository with a card and a large file; the commit."""
    api.create_repo("acme/fix", private=True)
    return commit(api, "acme/fix", {"README.md": CARD.encode(), "delta.safetensors": LARGE})


def commit(api: HfApi, name: str, files: dict[str, bytes], **options: object) -> str:
    operations = [CommitOperationAdd(path, data) for path, data in files.items()]
    return api.create_commit(name, operations, commit_message="Change", **options).oid


def test_large_files_go_the_way_that_the_client_wants(hub, api, fix, transfer):
    path = hf_hub_download("acme/fix", "delta.safetensors", revision=fix)

    assert Path(path).read_bytes() == LARGE
    by_xet = transfer == "xet"
    assert bool(hub.asked("POST", "^/v1/xorbs/")) == by_xet
    assert bool(hub.asked("GET", "^/v1/reconstructions/")) == by_xet
    assert bool(hub.asked("POST", "/objects/batch$")) != by_xet
    assert bool(hub.asked("GET", "^/storage/[0-9a-f]{64}$")) != by_xet


def test_a_file_that_came_one_way_can_be_had_the_other(hub, api, fix, monkeypatch, transfer):
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", transfer == "xet")

    path = hf_hub_download("acme/fix", "delta.safetensors", revision=fix)

    assert Path(path).read_bytes() == LARGE
    assert bool(hub.asked("GET", "^/v1/reconstructions/")) == (transfer == "lfs")


def test_several_large_files_share_a_commit(hub, api):
    api.create_repo("acme/fix")
    files = {f"{number}.safetensors": LARGE[number:] * (number + 1) for number in range(4)}

    oid = commit(api, "acme/fix", files)

    for path, data in files.items():
        assert Path(hf_hub_download("acme/fix", path, revision=oid)).read_bytes() == data


def test_a_large_upload_comes_in_parts(hub, api, transfer):
    hub.part = 1 << 16
    api.create_repo("acme/fix")

    commit(api, "acme/fix", {"delta.safetensors": LARGE})

    assert hub["acme/fix"].head()["delta.safetensors"].data == LARGE
    assert hub.asked("PUT", "^/storage/") == (4 if transfer == "lfs" else 0)


def test_a_snapshot_holds_every_file(hub, api, fix, tmp_path):
    folder = snapshot_download("acme/fix", local_dir=tmp_path / "all")

    names = {path.name for path in (tmp_path / "all").iterdir() if path.is_file()}
    assert folder == str(tmp_path / "all")
    assert names == {".gitattributes", "README.md", "delta.safetensors"}
    assert (tmp_path / "all" / "delta.safetensors").read_bytes() == LARGE


def test_the_client_recognises_what_is_there_already(hub, api, fix):
    hub.requests.clear()

    again = commit(api, "acme/fix", {"README.md": CARD.encode(), "delta.safetensors": LARGE})

    assert again == fix
    assert not hub.asked("POST", "/commit/")


def test_a_file_says_where_it_lies_and_what_it_is(hub, api, fix):
    (listed,) = api.get_paths_info("acme/fix", ["delta.safetensors", "missing"], revision=fix)
    info = api.model_info("acme/fix", files_metadata=True)

    assert listed.size == listed.lfs.size == len(LARGE)
    assert listed.lfs.sha256 == hub["acme/fix"].head()["delta.safetensors"].sha256
    assert listed.xet_hash in hub.xet.files
    assert {file.rfilename: file.size for file in info.siblings}["delta.safetensors"] == len(LARGE)


def test_folders_are_listed_level_by_level_and_page_by_page(hub, api):
    hub.page = 2
    hub.make("acme/fix").put({f"a/{name}/x": b"x" for name in "bcdef"})

    top = {entry.path for entry in api.list_repo_tree("acme/fix")}
    below = [
        entry.path for entry in api.list_repo_tree("acme/fix", "a", expand=True, recursive=True)
    ]
    files = api.list_repo_files("acme/fix")

    assert top == {".gitattributes", "a"}
    assert [path for path in below if path.endswith("x")] == [f"a/{name}/x" for name in "bcdef"]
    assert len(files) == 6
    assert hub.asked("GET", "/tree/") == 1 + 5 + 6


def test_tags_branches_and_history(hub, api, fix):
    hub.page = 1
    api.create_tag("acme/fix", tag="v1", revision=fix)
    api.create_tag("acme/fix", tag="v1", exist_ok=True)
    api.create_branch("acme/fix", branch="late/notes", revision="v1")
    late = commit(api, "acme/fix", {"note.json": b"{}"}, revision="late/notes")

    refs = api.list_repo_refs("acme/fix")
    history = api.list_repo_commits("acme/fix", revision="late/notes")

    assert {ref.name: ref.target_commit for ref in refs.tags} == {"v1": fix}
    assert {ref.name: ref.target_commit for ref in refs.branches} == {
        "main": fix,
        "late/notes": late,
    }
    assert [entry.commit_id for entry in history][:2] == [late, fix]
    assert [entry.title for entry in history] == ["Change", "Change", "initial commit"]
    api.delete_tag("acme/fix", tag="v1")
    api.delete_branch("acme/fix", branch="late/notes")
    assert len(api.list_repo_refs("acme/fix").branches) == 1


def test_files_and_folders_can_go(hub, api, fix):
    hub["acme/fix"].put({"old/a": b"a", "old/b": b"b"})

    gone = [CommitOperationDelete("README.md"), CommitOperationDelete("old/", is_folder=True)]
    api.create_commit("acme/fix", gone, commit_message="Clean up")

    assert set(hub["acme/fix"].head()) == {".gitattributes", "delta.safetensors"}


def test_a_commit_on_an_old_parent_is_refused(hub, api, fix):
    hub["acme/fix"].put({"LICENSE": b"CC0"})

    with pytest.raises(HfHubHTTPError) as caught:
        commit(api, "acme/fix", {"note": b"x"}, parent_commit=fix)

    assert caught.value.response.status_code == 412
    assert commit(api, "acme/fix", {"note": b"x"}, parent_commit=hub["acme/fix"].resolve("main"))


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
        propose(api, {"note": b"%d" % number})
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
    numbers = [propose(api, {"note": b"mine"}), propose(api, {"note": b"mine"})]
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
    number = propose(api, {"note": b"mine"}, parent_commit=fix)
    hub["acme/fix"].put({"LICENSE": b"MIT"})

    api.merge_pull_request("acme/fix", number)

    assert "LICENSE" not in hub["acme/fix"].head(f"refs/pr/{number}")
    assert hub["acme/fix"].head()["LICENSE"].data == b"MIT"
    assert hub["acme/fix"].head()["note"].data == b"mine"


def propose(api: HfApi, files: dict[str, bytes], **options: object) -> int:
    operations = [CommitOperationAdd(path, data) for path, data in files.items()]
    made = api.create_commit(
        "acme/fix", operations, commit_message="Better", create_pr=True, **options
    )
    return made.pr_num


def test_a_search_goes_by_the_tags_of_the_cards(hub, api, fix):
    hub.page = 1
    for number in range(3):
        hub.make(f"bob/fix-{number}").put({"README.md": CARD.encode()})
    hub.make("bob/other").put({"README.md": b"---\ntags: [model-edit]\n---\n"})

    wanted = ["base_model:adapter:acme/pico", "model-edit"]
    found = list(api.list_models(filter=wanted, cardData=True))

    assert {model.id for model in found} == {"acme/fix", "bob/fix-0", "bob/fix-1", "bob/fix-2"}
    assert hub.asked("GET", "^/api/models$") == 4
    assert found[0].card_data.base_model == "acme/pico"
    assert [model.id for model in api.list_models(filter=wanted, author="acme")] == ["acme/fix"]
    assert [model.id for model in api.list_models(search="OTHER")] == ["bob/other"]
    assert len(list(api.list_models(sort="last_modified", limit=2))) == 2
    assert ModelCard.load("acme/fix").data.library_name == "weightpatch"


def test_what_is_private_is_not_there_for_others(hub, api, fix, as_user):
    as_user("hf_mallory")

    assert not list(api.list_models())
    assert not api.repo_exists("acme/fix")
    with pytest.raises(RepositoryNotFoundError):
        api.auth_check("acme/fix")
    as_user(None)
    with pytest.raises(RepositoryNotFoundError):
        hf_hub_download("acme/fix", "README.md")
    as_user("hf_alice_reads")
    assert hf_hub_download("acme/fix", "delta.safetensors")
    with pytest.raises(HfHubHTTPError, match="read rights"):
        commit(api, "acme/fix", {"delta.safetensors": b"x"})
    assert api.whoami()["auth"]["accessToken"]["role"] == "read"


def test_what_is_gated_is_shown_but_not_given(hub, api, fix, as_user):
    api.update_repo_settings("acme/fix", gated="auto", visibility="public")
    as_user("hf_mallory")

    assert api.model_info("acme/fix").gated == "auto"
    for ask in (api.auth_check, lambda name: hf_hub_download(name, "README.md")):
        with pytest.raises(GatedRepoError):
            ask("acme/fix")
    hub["acme/fix"].granted.add("mallory")
    api.auth_check("acme/fix")
    assert hf_hub_download("acme/fix", "delta.safetensors")


def test_a_repository_is_made_once_and_can_go(hub, api, fix):
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_repo("acme/fix")
    assert api.create_repo("acme/fix", exist_ok=True).repo_id == "acme/fix"
    api.delete_repo("acme/fix")

    assert not api.repo_exists("acme/fix")


def test_a_card_is_checked_before_it_is_committed(hub, api, fix):
    with pytest.raises(ValueError, match="metadata"):
        commit(api, "acme/fix", {"README.md": b"no metadata"})


def test_the_client_takes_wrong_bytes_of_the_right_length(hub, api, fix):
    hub.faults.append(Fault("GET", "^/storage/", after=corrupt))

    data = Path(hf_hub_download("acme/fix", "delta.safetensors", revision=fix)).read_bytes()

    assert data != LARGE
    assert len(data) == len(LARGE)


def test_a_xet_token_that_expired_is_asked_for_again(hub, api, fix, transfer):
    hub.xet.lifetime = 30.0
    commit(api, "acme/fix", {"delta.safetensors": LARGE[1:]})
    hub.requests.clear()

    commit(api, "acme/fix", {"delta.safetensors": LARGE[2:]})

    assert bool(hub.asked("GET", "/xet-write-token/")) == (transfer == "xet")
    assert hub["acme/fix"].head()["delta.safetensors"].data == LARGE[2:]


def test_faults_strike_as_often_as_they_say(hub, api):
    hub.make("acme/fix").put({"x": b"xy"})
    late = Fault("GET", "/refs$", instead=Reply(500), skip=1, times=2)
    half = Fault("GET", "/resolve/main/x$", after=short, times=None)
    hub.faults += [late, half]

    assert not half.was_hit
    assert api.list_repo_refs("acme/fix")
    for _ in range(2):
        assert not late.was_hit
        with pytest.raises(HfHubHTTPError, match="500"):
            api.list_repo_refs("acme/fix")
    assert late.was_hit
    assert api.list_repo_refs("acme/fix")
    with pytest.raises(OSError, match="size"):
        hf_hub_download("acme/fix", "x")


def test_the_command_of_the_hub_works(hub, tmp_path, transfer):
    (tmp_path / "delta.safetensors").write_bytes(LARGE)

    hf("upload", "acme/fix", tmp_path / "delta.safetensors")
    hf("repos", "tag", "create", "acme/fix", "v1")
    hf("download", "acme/fix", "--revision", "v1", "--local-dir", tmp_path / "down")

    assert (tmp_path / "down" / "delta.safetensors").read_bytes() == LARGE
    assert bool(hub.asked("POST", "^/v1/shards")) == (transfer == "xet")


def hf(*arguments: object) -> str:
    """Run the `hf` command in a process of its own."""
    code = "from huggingface_hub.cli.hf import main; main()"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
