"""Whatever the Hub does, the user reads what happened and what to do next."""

import json
import os
import subprocess
import sys

import huggingface_hub
import pytest
from loopback_faults import DOWNLOAD, UPLOAD, Fault, cut, short, slow
from loopback_messages import Reply
from weightpatch.patches.errors import LimitExceeded
from weightpatch.registry.remotes.errors import (
    RemoteBusy,
    RemoteDenied,
    RemoteError,
    RemoteRefused,
    RemoteUnreachable,
)
from weightpatch.registry.remotes.hub.asking import client as hub_client
from weightpatch.registry.remotes.hub.asking import hooks
from weightpatch.registry.remotes.hub.asking.errors import explain, quote
from weightpatch.registry.remotes.hub.proposals.pull_requests import PullRequests
from weightpatch.registry.remotes.hub.repository import repository as hub_repository
from weightpatch.registry.remotes.hub.repository.repository import Repository


@pytest.mark.parametrize(
    ("reply", "error", "hint"),
    [
        (Reply(429, b"", {"Retry-After": "30"}), RemoteBusy, "in 30 seconds"),
        (Reply(429, b"", {"RateLimit": '"api";r=0;t=55'}), RemoteBusy, "in 55 seconds"),
        (Reply(429), RemoteBusy, "in a few minutes"),
        (Reply(500), RemoteUnreachable, "try again later"),
        (Reply(503), RemoteUnreachable, "try again later"),
        (Reply(401), RemoteDenied, "hf auth login"),
        (Reply(429, b"", {"Retry-After": "900"}), RemoteBusy, "in 900 seconds"),
        (Reply(403), RemoteDenied, "allowed to read"),
        (Reply(400), RemoteRefused, None),
        (Reply(200, b"<html>"), RemoteUnreachable, "HF_ENDPOINT"),
        (Reply(200, b"[]"), RemoteUnreachable, "HF_ENDPOINT"),
        (Reply(200, b'{"tags": 1}'), RemoteUnreachable, "HF_ENDPOINT"),
        (Reply(200, b"{}", cut=-1), RemoteUnreachable, "network and proxy"),
    ],
)
def test_each_answer_has_an_error_and_a_way_on(hub, hub_remote, waits, reply, error, hint):
    hub.make("acme/tongues")
    hub.faults.append(Fault("GET", "/refs$", instead=reply, times=None))

    with pytest.raises(error) as caught:
        hub_remote.versions("acme/tongues")
    assert hint is None or hint in caught.value.hint


@pytest.mark.parametrize("commit", ["main", "../../etc", "A" * 40, None, 7])
def test_a_commit_that_is_none_is_refused(hub, hub_remote, commit):
    tag = {"name": "v1", "ref": "refs/tags/v1", "targetCommit": commit}
    refs = {"branches": [], "converts": [], "tags": [tag]}
    hub.faults.append(Fault("GET", "/refs$", instead=Reply(200, json.dumps(refs).encode())))

    with pytest.raises(RemoteUnreachable, match="names a commit that cannot be one"):
        hub_remote.versions("acme/tongues")


@pytest.mark.parametrize(
    "entry",
    [
        {"type": "file", "path": "patch.json", "oid": "x", "size": 1},
        {"type": "file", "path": "patch.json", "oid": "0" * 40, "size": -1},
        {"type": "file", "path": "patch.json", "oid": "0" * 40, "size": True},
        {"type": "file", "path": 7, "oid": "0" * 40, "size": 1},
        {"type": "file", "oid": "0" * 40, "size": 1},
        {
            "type": "file",
            "path": "patch.json",
            "oid": "0" * 40,
            "size": 1,
            "lfs": {"oid": "../evil", "size": 1, "pointerSize": 1},
        },
    ],
)
def test_a_list_of_files_that_makes_no_sense_is_refused(hub, hub_remote, bundle, into, entry):
    hub_remote.push(bundle())
    hub.faults.append(Fault("GET", "/tree/", instead=Reply(200, json.dumps([entry]).encode())))

    with pytest.raises(RemoteUnreachable):
        hub_remote.pull("acme/tongues", 1, into)


def test_a_list_of_files_without_end_is_not_read_to_its_end(
    hub, hub_remote, bundle, into, monkeypatch
):
    hub_remote.push(bundle())
    monkeypatch.setattr(hub_repository, "MAX_LISTED", 3)

    with pytest.raises(LimitExceeded, match="more than 3 files"):
        hub_remote.pull("acme/tongues", 1, into)


@pytest.mark.parametrize(
    ("path", "ask"),
    [
        ("/tree/", lambda: Repository("acme/tongues").listing("main")),
        ("/commits/", lambda: Repository("acme/tongues").history("main")),
        ("/discussions$", lambda: PullRequests(Repository("acme/tongues")).waiting()),
    ],
)
def test_a_list_of_empty_pages_without_end_is_left_at_some_page(hub, monkeypatch, path, ask):
    monkeypatch.setattr(hooks, "MAX_ANSWERS", 3)
    hub.make("acme/tongues")

    def empty(reply):
        if path == "/discussions$":
            return Reply.json({"discussions": [], "count": 9, "start": 0})
        again = hub.requests[-1][1]
        return Reply.json([], Link=f'<{hub.url}{again}>; rel="next"')

    hub.faults.append(Fault("GET", path, after=empty, times=None))

    with pytest.raises(LimitExceeded, match="in more than 3 pages"):
        ask()
    assert len(hub.requests) == 4


def test_a_hub_that_does_not_answer_is_not_waited_for(hub, hub_remote, waits, monkeypatch):
    monkeypatch.setattr(hub_client, "SILENCE_SECONDS", 0.2)
    huggingface_hub.set_client_factory(_without_limits)
    hub.make("acme/tongues")
    hub.faults.append(Fault("GET", "/refs$", after=slow(1), times=None))

    with pytest.raises(RemoteUnreachable, match="does not answer"):
        hub_remote.versions("acme/tongues")
    huggingface_hub.set_client_factory(_without_limits)


def _without_limits():
    from huggingface_hub.utils._http import default_client_factory

    return default_client_factory()


def test_a_hub_that_is_not_there_is_said_to_be_so():
    code = (
        "from weightpatch.registry.remotes.base import open_remote\n"
        "from weightpatch.registry.remotes.errors import RemoteUnreachable\n"
        "try:\n    open_remote('hf://').versions('acme/tongues')\n"
        "except RemoteUnreachable as error:\n    print(error.message)\n"
    )
    environment = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:1"}

    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert found.stdout == "http://127.0.0.1:1 cannot be reached\n", found.stderr
    assert not found.stderr


def test_an_upload_that_fails_says_why(hub, hub_remote, bundle):
    hub.faults.append(Fault("PUT POST", UPLOAD, instead=Reply(403)))

    with pytest.raises(RemoteDenied, match="not allowed to write to acme/tongues"):
        hub_remote.push(bundle())
    assert not hub["acme/tongues"].tags


@pytest.mark.usefixtures("all_large")
@pytest.mark.parametrize("transfer", ["lfs", "xet"])
def test_the_hubs_client_writes_nothing_itself(hub, hub_remote, bundle, into, waits, capfd):
    hub.faults.append(Fault("POST", "/preupload/", instead=Reply(500)))
    hub.faults.append(Fault("PUT POST", UPLOAD, instead=Reply(500)))
    hub.faults.append(Fault("HEAD", "/resolve/", instead=Reply(503)))
    hub.faults.append(Fault("GET", DOWNLOAD, after=cut(20)))

    hub_remote.push(bundle())
    hub_remote.pull("acme/tongues", 1, into)

    assert capfd.readouterr() == ("", "")


def test_a_body_of_another_size_is_said_to_be_so(hub, hub_remote, bundle, into, waits):
    hub_remote.push(bundle())
    hub.faults.append(Fault("GET", "/resolve/.*/patch.json$", after=short, times=None))

    with pytest.raises(RemoteUnreachable, match="did not come whole") as caught:
        hub_remote.pull("acme/tongues", 1, into)
    assert caught.value.why == "it is not as long as the Hub said"


def test_who_may_not_read_is_not_told_to_get_a_token_that_writes(
    hub, hub_remote, bundle, into, waits
):
    hub_remote.push(bundle())
    hub.faults.append(Fault("GET", DOWNLOAD, instead=Reply(403), times=None))

    with pytest.raises(RemoteDenied, match="not allowed to read acme/tongues") as caught:
        hub_remote.pull("acme/tongues", 1, into)
    assert "write" not in caught.value.hint


def test_what_the_hub_says_is_shown_without_secrets():
    said = "no, hf_abcDEF123 is wrong\x1b[31m\n at https://store/x?X-Amz-Signature=abc&b=c"

    shown = quote(said)

    assert shown == "the Hub says: no, … is wrong [31m at https://store/x……"
    assert len(quote("x" * 10_000)) < 250
    assert quote(None) is None


def test_a_full_disk_is_our_own_failure():
    full = OSError(28, "No space left on device")

    assert explain(full, "acme/tongues") is full


def test_the_causes_of_wrapped_errors_are_found():
    wrapped = RuntimeError("Error while uploading")
    wrapped.__cause__ = ConnectionResetError(104, "reset")

    found = explain(wrapped, "acme/tongues")

    assert isinstance(found, RemoteError)
    assert "broke off" in found.message
