"""The loopback hub itself, asked by the real client: files, commits, branches and faults."""

import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import (
    CommitOperationDelete,
    constants,
    hf_hub_download,
    snapshot_download,
)
from huggingface_hub.errors import HfHubHTTPError
from loopback_contents import CARD, LARGE, commit
from loopback_faults import Fault, corrupt, short
from loopback_messages import Reply

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=")


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
