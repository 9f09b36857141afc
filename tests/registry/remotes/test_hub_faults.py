"""Every way in which a transfer breaks: it succeeds after all, or says why and left nothing.

Whatever happened, the same push or pull again, with nothing broken, ends well.
"""

from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import constants
from loopback_faults import (
    DOWNLOAD,
    HANG_UP,
    UPLOAD,
    Fault,
    corrupt,
    cut,
    endless,
    lose_reply,
    short,
    with_headers,
)
from loopback_messages import Reply
from weightpatch.patches.errors import DigestMismatch, SizeMismatch
from weightpatch.registry.remotes.base import open_remote
from weightpatch.registry.remotes.errors import (
    RemoteBusy,
    RemoteDenied,
    RemoteNotFound,
    RemoteRefused,
    RemoteUnreachable,
)
from weightpatch.registry.remotes.hub.files import Content

BUSY = Reply(429, b"", {"Retry-After": "3"})
CLOSED = Reply(429, b"", {"Retry-After": "3600"})
PERMISSION = "/objects/batch$|/xet-write-token/"
COMPLETION = "^/verify$|^/v1/shards$"
RESOLVE = r"/resolve/.*safetensors$"
TEXT = r"/requests\.jsonl$"
LOOP = Reply(302, b"", {"Location": "/acme/tongues/resolve/main/patch.json"})

PUSHES = {
    "upload cut": (Fault("PUT POST", UPLOAD, upload_stops=100), None),
    "upload 500": (Fault("PUT POST", UPLOAD, instead=Reply(500)), None),
    "upload 500 for ever": (
        Fault("PUT POST", UPLOAD, instead=Reply(500), times=None),
        RemoteUnreachable,
    ),
    "upload 401": (Fault("PUT POST", UPLOAD, instead=Reply(401)), RemoteDenied),
    "upload 403": (Fault("PUT POST", UPLOAD, instead=Reply(403)), RemoteDenied),
    "upload reset for ever": (
        Fault("PUT POST", UPLOAD, instead=HANG_UP, times=None),
        RemoteUnreachable,
    ),
    "upload reply lost": (Fault("PUT POST", UPLOAD, after=lose_reply), None),
    "permission 401": (Fault("GET POST", PERMISSION, instead=Reply(401)), RemoteDenied),
    "permission 403": (Fault("GET POST", PERMISSION, instead=Reply(403)), RemoteDenied),
    "permission 404": (Fault("GET POST", PERMISSION, instead=Reply(404)), RemoteNotFound),
    "permission 429": (Fault("GET POST", PERMISSION, instead=BUSY), None),
    "permission 500": (Fault("GET POST", PERMISSION, instead=Reply(500)), None),
    "completion 400": (Fault("POST", COMPLETION, instead=Reply(400)), RemoteRefused),
    "completion 404": (Fault("POST", COMPLETION, instead=Reply(404)), RemoteNotFound),
    "completion 500": (Fault("POST", COMPLETION, instead=Reply(500)), None),
    "completion reply lost": (Fault("POST", COMPLETION, after=lose_reply), None),
    "card check 500": (Fault("POST", "/validate-yaml$", instead=Reply(500)), None),
    "card check 500 for ever": (
        Fault("POST", "/validate-yaml$", instead=Reply(500), times=None),
        RemoteUnreachable,
    ),
    "preupload 429": (Fault("POST", "/preupload/", instead=BUSY), None),
    "preupload 429 for an hour": (Fault("POST", "/preupload/", instead=CLOSED), RemoteBusy),
    "preupload 500": (Fault("POST", "/preupload/", instead=Reply(500)), None),
    "preupload 500 for ever": (
        Fault("POST", "/preupload/", instead=Reply(500), times=None),
        RemoteUnreachable,
    ),
    "commit 429": (Fault("POST", "/commit/", instead=BUSY), None),
    "commit 429 for ever": (Fault("POST", "/commit/", instead=BUSY, times=None), RemoteBusy),
    "commit 429 for an hour": (Fault("POST", "/commit/", instead=CLOSED), RemoteBusy),
    "commit 500": (Fault("POST", "/commit/", instead=Reply(500)), None),
    "commit 500 for ever": (
        Fault("POST", "/commit/", instead=Reply(500), times=None),
        RemoteUnreachable,
    ),
    "commit 503": (Fault("POST", "/commit/", instead=Reply(503)), None),
    "commit 403": (Fault("POST", "/commit/", instead=Reply(403)), RemoteDenied),
    "commit made, 500": (Fault("POST", "/commit/", after=lambda _: Reply(500)), None),
    "commit made, reply lost": (Fault("POST", "/commit/", after=lose_reply), None),
    "commit reset": (Fault("POST", "/commit/", instead=HANG_UP), None),
    "refs 500": (Fault("GET", "/refs$", instead=Reply(500)), None),
    "refs 500 for ever": (
        Fault("GET", "/refs$", instead=Reply(500), times=None),
        RemoteUnreachable,
    ),
    "tree 500": (Fault("GET", "/tree/", instead=Reply(500)), None),
    "tree cut": (Fault("GET", "/tree/", after=cut(20)), None),
    "new repository 500": (Fault("GET", "/revision/main$", instead=Reply(500)), None),
    "new repository cut": (Fault("GET", "/revision/main$", after=cut(20)), None),
    "tag 500": (Fault("POST", "/tag/", instead=Reply(500)), None),
    "tag 500 for ever": (Fault("POST", "/tag/", instead=Reply(500), times=None), RemoteUnreachable),
    "tag made, reply lost": (Fault("POST", "/tag/", after=lose_reply), None),
    "repository 429": (Fault("POST", "/repos/create$", instead=BUSY), None),
    "repository 500 for ever": (
        Fault("POST", "/repos/create$", instead=Reply(500), times=None),
        RemoteUnreachable,
    ),
    "repository made, reply lost": (Fault("POST", "/repos/create$", after=lose_reply), None),
}
"""What breaks, and the error that a push ends with, if it does."""

PULLS = {
    "download cut": (Fault("GET", DOWNLOAD, after=cut(20)), None, None),
    "download cut at once for ever": (
        Fault("GET", DOWNLOAD, after=cut(0), times=None),
        RemoteUnreachable,
        RemoteUnreachable,
    ),
    "download reset": (Fault("GET", DOWNLOAD, instead=HANG_UP), None, None),
    "download 429": (Fault("GET", DOWNLOAD, instead=BUSY), None, None),
    "download 500": (Fault("GET", DOWNLOAD, instead=Reply(500)), None, None),
    "download 500 for ever": (
        Fault("GET", DOWNLOAD, instead=Reply(500), times=None),
        RemoteUnreachable,
        RemoteUnreachable,
    ),
    "download 403": (Fault("GET", DOWNLOAD, instead=Reply(403)), None, None),
    "download 403 for ever": (
        Fault("GET", DOWNLOAD, instead=Reply(403), times=None),
        RemoteDenied,
        RemoteDenied,
    ),
    "download 404": (
        Fault("GET", DOWNLOAD, instead=Reply(404), times=None),
        RemoteNotFound,
        RemoteNotFound,
    ),
    "download short": (
        Fault("GET", DOWNLOAD, after=short, times=None),
        RemoteUnreachable,
        RemoteUnreachable,
    ),
    "download without end": (Fault("GET", DOWNLOAD, after=endless), SizeMismatch, None),
    "wrong byte": (Fault("GET", DOWNLOAD, after=corrupt), None, None),
    "wrong byte for ever": (
        Fault("GET", DOWNLOAD, after=corrupt, times=None),
        DigestMismatch,
        DigestMismatch,
    ),
    "head 429": (Fault("HEAD", RESOLVE, instead=BUSY), None, None),
    "head 500": (Fault("HEAD", RESOLVE, instead=Reply(500)), None, None),
    "head 500 for ever": (
        Fault("HEAD", RESOLVE, instead=Reply(500), times=None),
        RemoteUnreachable,
        RemoteUnreachable,
    ),
    "head without commit": (
        Fault("HEAD", RESOLVE, after=with_headers(X_Repo_Commit="")),
        RemoteUnreachable,
        RemoteUnreachable,
    ),
    "head with another digest": (
        Fault("HEAD", RESOLVE, after=with_headers(X_Linked_Etag=f'"{"0" * 64}"')),
        None,
        None,
    ),
    "head with another size": (
        Fault("HEAD", RESOLVE, after=with_headers(X_Linked_Size="7")),
        None,
        None,
    ),
    "redirects without end": (
        Fault("HEAD GET", "/resolve/", instead=LOOP, times=None),
        RemoteUnreachable,
        RemoteUnreachable,
    ),
    "tree 500": (Fault("GET", "/tree/", instead=Reply(500)), None, None),
    "tree cut": (Fault("GET", "/tree/", after=cut(20)), None, None),
    "refs 429": (Fault("GET", "/refs$", instead=BUSY), None, None),
    "refs 429 for an hour": (Fault("GET", "/refs$", instead=CLOSED), RemoteBusy, RemoteBusy),
    "refs 500": (Fault("GET", "/refs$", instead=Reply(500)), None, None),
    "refs 500 for ever": (
        Fault("GET", "/refs$", instead=Reply(500), times=None),
        RemoteUnreachable,
        RemoteUnreachable,
    ),
    "refs cut": (Fault("GET", "/refs$", after=cut(20)), None, None),
}
"""What breaks with a large file, and the error of the pull, if any: by LFS, and by Xet."""

SMALL_PULLS = {
    **{
        case: (fault, error)
        for case, (fault, error, _) in PULLS.items()
        if fault.path == DOWNLOAD or case.startswith("redirects")
    },
    "way there 429": (Fault("GET", RESOLVE, instead=BUSY), None),
    "way there 429 for an hour": (Fault("GET", RESOLVE, instead=CLOSED), RemoteBusy),
    "way there 401": (Fault("GET", RESOLVE, instead=Reply(401)), RemoteDenied),
    "way there 403": (Fault("GET", RESOLVE, instead=Reply(403)), RemoteDenied),
    "way there 404": (Fault("GET", RESOLVE, instead=Reply(404)), RemoteNotFound),
    "way there 500": (Fault("GET", RESOLVE, instead=Reply(500)), None),
    "way there 500 for ever": (
        Fault("GET", RESOLVE, instead=Reply(500), times=None),
        RemoteUnreachable,
    ),
    "way there reset": (Fault("GET", RESOLVE, instead=HANG_UP), None),
    "way there leads nowhere": (
        Fault("GET", RESOLVE, after=with_headers(Location="ftp://nowhere"), times=None),
        RemoteUnreachable,
    ),
    "text cut": (Fault("GET", TEXT, after=cut(20)), None),
    "text short": (Fault("GET", TEXT, after=short, times=None), RemoteUnreachable),
    "text without end": (Fault("GET", TEXT, after=endless), SizeMismatch),
    "text with a wrong byte": (Fault("GET", TEXT, after=corrupt), None),
    "text with a wrong byte for ever": (
        Fault("GET", TEXT, after=corrupt, times=None),
        DigestMismatch,
    ),
}
"""What breaks with a small file, which is asked for once, and the error, if there is one."""

XET_PULLS = {
    "token 401": (Fault("GET", "/xet-read-token/", instead=Reply(401)), RemoteDenied),
    "token 500": (Fault("GET", "/xet-read-token/", instead=Reply(500)), None),
    "plan 401": (
        Fault("GET", "^/v./reconstructions/", instead=Reply(401), times=None),
        RemoteDenied,
    ),
    "plan 404": (
        Fault("GET", "^/v./reconstructions/", instead=Reply(404), times=None),
        RemoteNotFound,
    ),
    "plan 500": (Fault("GET", "^/v./reconstructions/", instead=Reply(500)), None),
    "plan is no plan": (
        Fault("GET", "^/v./reconstructions/", instead=Reply(200, b"<html>"), times=None),
        RemoteUnreachable,
    ),
    "hash is none": (
        Fault("HEAD", RESOLVE, after=with_headers(X_Xet_Hash="evil")),
        RemoteUnreachable,
    ),
}


@pytest.mark.parametrize("case", PUSHES)
def test_a_push_that_breaks(hub, hub_remote, bundle, tmp_path, waits, case):
    fault, error = PUSHES[case]
    sent = bundle(notes=(b"{}",))
    broken = replace(fault)
    hub.faults.append(broken)

    if error is None:
        hub_remote.push(sent)
    else:
        with pytest.raises(error) as caught:
            hub_remote.push(sent)
        assert_nothing_is_told(caught.value)
        assert_whole_or_unpublished(hub, sent)

    assert broken.was_hit
    broken.times = broken.hits
    hub_remote.push(sent)
    assert_whole_or_unpublished(hub, sent)
    assert len(hub["acme/tongues"].commits) == 2
    assert_pulled(hub_remote, sent, tmp_path)


@pytest.mark.usefixtures("all_large")
@pytest.mark.parametrize("case", PULLS)
def test_a_pull_that_breaks(hub, hub_remote, bundle, into, tmp_path, waits, transfer, case):
    fault, by_lfs, by_xet = PULLS[case]
    error = by_xet if transfer == "xet" else by_lfs
    check_pull(hub, hub_remote, bundle(notes=(b"{}",)), into, tmp_path, fault, error)


@pytest.mark.parametrize("transfer", ["lfs"])
@pytest.mark.parametrize("case", SMALL_PULLS)
def test_a_pull_of_small_files_that_breaks(hub, hub_remote, bundle, into, tmp_path, waits, case):
    fault, error = SMALL_PULLS[case]
    check_pull(hub, hub_remote, bundle(notes=(b"{}",)), into, tmp_path, fault, error)
    assert not hub.asked("HEAD", "")


@pytest.mark.usefixtures("all_large")
@pytest.mark.parametrize("transfer", ["xet"])
@pytest.mark.parametrize("case", XET_PULLS)
def test_a_pull_by_xet_that_breaks(hub, hub_remote, bundle, into, tmp_path, waits, case):
    fault, error = XET_PULLS[case]
    check_pull(hub, hub_remote, bundle(notes=(b"{}",)), into, tmp_path, fault, error)


def check_pull(hub, hub_remote, sent, into, tmp_path, fault, error):
    hub_remote.push(sent)
    broken = replace(fault)
    hub.faults.append(broken)

    if error is None:
        assert hub_remote.pull("acme/tongues", 1, into).patch.digest == sent.patch.digest
    else:
        with pytest.raises(error) as caught:
            hub_remote.pull("acme/tongues", 1, into)
        assert_nothing_is_told(caught.value)
        assert not cached("delta.safetensors")
        assert_kept_files_are_right()

    assert broken.was_hit
    broken.times = broken.hits
    assert_pulled(hub_remote, sent, tmp_path)


@pytest.mark.parametrize("fault", [Reply(500), BUSY, HANG_UP])
def test_a_file_of_an_older_version_is_never_given(
    hub, hub_remote, bundle, into, tmp_path, waits, fault
):
    hub_remote.push(bundle(1, seed=1))
    hub_remote.pull("acme/tongues", None, into)
    hub_remote.push(bundle(2, seed=2))
    hub.faults.append(Fault("HEAD GET", "/resolve/", instead=fault, times=None))
    (tmp_path / "second").mkdir()

    with pytest.raises((RemoteUnreachable, RemoteBusy)):
        hub_remote.pull("acme/tongues", None, tmp_path / "second")


@pytest.mark.parametrize("fault", [Reply(500), BUSY, HANG_UP])
def test_a_branch_is_never_resolved_from_memory(
    hub, hub_remote, bundle, into, tmp_path, waits, fault
):
    hub_remote.push(bundle(1, seed=1))
    open_remote("hf://acme/tongues@main").pull("acme/tongues", None, into)
    hub_remote.push(bundle(2, seed=2))
    hub.faults.append(Fault("GET", "/revision/main$", instead=fault, times=None))
    (tmp_path / "second").mkdir()

    with pytest.raises((RemoteUnreachable, RemoteBusy)):
        open_remote("hf://acme/tongues@main").pull("acme/tongues", None, tmp_path / "second")


def test_a_wait_that_the_hub_asks_for_is_kept(hub, hub_remote, bundle, waits):
    hub.faults.append(Fault("POST", "/preupload/", instead=BUSY))
    hub.faults.append(
        Fault("GET", "/tree/", instead=Reply(429, b"", {"RateLimit": '"api";r=0;t=9'}))
    )

    hub_remote.push(bundle())

    assert sorted(waits) == [4.0, 10.0]


def test_a_pause_that_only_we_keep_is_shown_and_never_cut_short(hub, hub_remote, bundle, waits):
    hub.faults.append(Fault("POST", "/commit/", instead=BUSY))
    shown = []

    hub_remote.push(bundle(), progress=lambda phase, *_: shown.append(phase))

    assert "the Hub asks for a pause of 3 s" in shown
    (waited,) = waits
    assert 3 < waited < 5


def test_nobody_waits_for_an_hour(hub, hub_remote, bundle, waits):
    hub.faults.append(Fault("POST", "/preupload/", instead=CLOSED))

    with pytest.raises(RemoteBusy) as caught:
        hub_remote.push(bundle())
    assert caught.value.hint == "try again in 3600 seconds"
    assert not waits


def test_what_fails_for_ever_is_asked_for_three_times(hub, hub_remote, bundle, waits):
    hub.faults.append(Fault("POST", "/commit/", instead=Reply(500), times=None))

    with pytest.raises(RemoteUnreachable, match="status 500"):
        hub_remote.push(bundle())
    assert hub.asked("POST", "/commit/") == len(waits) + 1 == 3


def assert_nothing_is_told(error):
    """An error carries no token, and no address of a storage, which may be signed."""
    told = f"{error.message} {error.why} {error.hint}"
    assert "hf_" not in told
    assert "xet_" not in told
    assert "/storage/" not in told


def assert_whole_or_unpublished(hub, sent):
    """A tag stands for exactly what was sent, or there is none."""
    repository = hub.repositories.by_name.get("acme/tongues")
    for oid in repository.tags.values() if repository else ():
        tree = repository.commits[oid]
        assert {path: tree[path].data for path in sent.patch.files} == {
            path: file.read_bytes() for path, file in sent.patch.files.items()
        }


def assert_pulled(hub_remote, sent, tmp_path):
    (tmp_path / "again").mkdir()
    pulled = hub_remote.pull("acme/tongues", 1, tmp_path / "again")
    assert pulled.patch.digest == sent.patch.digest
    for path, file in sent.patch.files.items():
        assert pulled.patch.files[path].read_bytes() == file.read_bytes()


def assert_kept_files_are_right():
    """What is kept by its digest has it."""
    for path in Path(constants.HF_ASSETS_CACHE).glob("weightpatch/**/*"):
        if path.is_file():
            assert path.name in (Content.of(path).sha256, Content.of(path).git)


def cached(name: str) -> list[Path]:
    return list(Path(constants.HF_HUB_CACHE).glob(f"*/snapshots/*/{name}"))
