"""Every way in which a transfer breaks: it succeeds after all, or says why and left nothing.

Whatever happened, the same push or pull again, with nothing broken, ends well.
"""

from dataclasses import replace
from pathlib import Path

import pytest
from hub_fault_matrix import BUSY, CLOSED, PULLS, PUSHES, SMALL_PULLS, XET_PULLS
from huggingface_hub import constants
from loopback_faults import HANG_UP, Fault
from loopback_messages import Reply
from weightpatch.registry.remotes.base import open_remote
from weightpatch.registry.remotes.errors import RemoteBusy, RemoteUnreachable
from weightpatch.registry.remotes.hub.repository.listed import Content


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
