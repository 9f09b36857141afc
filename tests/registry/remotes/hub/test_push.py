"""Pushing to the Hub: what is there afterwards, and what is when something comes in between."""

import pytest
from loopback_faults import CREATING, Fault, lose_reply
from loopback_messages import Reply
from weightpatch.patches.errors import DigestMismatch
from weightpatch.registry.errors import VersionClash
from weightpatch.registry.remotes.errors import (
    RemoteDenied,
    RemoteRace,
    RemoteRefused,
    RemoteUnreachable,
)
from weightpatch.registry.remotes.hub.asking import retrying

FILES = {"README.md", "delta.safetensors", "patch.json", "requests.jsonl"}


def test_a_version_is_one_commit_with_a_tag_in_a_private_repository(hub, hub_remote, bundle):
    sent = bundle(notes=(b"{}",))

    pushed = hub_remote.push(sent)

    repository = hub["acme/tongues"]
    (note,) = sent.attestations
    assert repository.private
    assert repository.tags == {"v1": repository.branches["main"]} == {"v1": pushed.revision}
    assert len(repository.commits) == 2
    assert set(repository.head()) == FILES | {".gitattributes", f"attestations/{note}.json"}
    assert repository.head()["delta.safetensors"].large
    assert pushed.location == "hf://acme/tongues@v1"


def test_the_next_version_takes_the_place_of_the_last(hub, hub_remote, bundle):
    first = bundle(1, seed=1, notes=(b"of one",))
    second = bundle(2, seed=2, notes=(b"of two",))
    hub_remote.push(first)

    hub_remote.push(second)

    repository = hub["acme/tongues"]
    (note,) = second.attestations
    assert set(repository.head()) == FILES | {".gitattributes", f"attestations/{note}.json"}
    manifests = [repository.commits[oid]["patch.json"].sha256 for oid in repository.tags.values()]
    assert manifests == [first.patch.digest, second.patch.digest]


def test_a_push_cut_off_before_the_tag_is_finished_by_the_next(hub, hub_remote, bundle, waits):
    sent = bundle()
    hub.faults.append(untagged := Fault("POST", "/tag/", instead=Reply(503), times=None))
    with pytest.raises(RemoteUnreachable, match="status 503") as caught:
        hub_remote.push(sent)
    assert "finished by doing it again" in caught.value.hint
    assert not hub["acme/tongues"].tags

    untagged.times = untagged.hits
    pushed = hub_remote.push(sent)

    assert not pushed.already_there
    assert hub["acme/tongues"].tags == {"v1": pushed.revision}
    assert len(hub["acme/tongues"].commits) == 2


def test_a_version_left_untagged_below_a_newer_one_is_tagged(hub, hub_remote, bundle, waits, into):
    first = bundle(1, seed=1)
    hub.faults.append(Fault("POST", "/tag/", instead=Reply(503), times=3))
    with pytest.raises(RemoteUnreachable):
        hub_remote.push(first)
    second = hub_remote.push(bundle(2, seed=2))

    with pytest.raises(RemoteRefused, match="is at version 2 already"):
        hub_remote.push(bundle(1, seed=3))
    hub_remote.push(first)

    repository = hub["acme/tongues"]
    assert len(repository.commits) == 3
    assert repository.tags["v2"] == repository.branches["main"] == second.revision
    assert hub_remote.pull("acme/tongues", 1, into).patch.digest == first.patch.digest


def test_a_commit_whose_reply_was_lost_is_not_made_again(hub, hub_remote, bundle, waits):
    hub.faults.append(Fault("POST", "/commit/", after=lose_reply))

    pushed = hub_remote.push(bundle())

    assert hub["acme/tongues"].tags == {"v1": pushed.revision}
    assert len(hub["acme/tongues"].commits) == 2
    assert hub.asked("POST", "/commit/") == 2  # the second is refused: its parent is not the head


def test_a_change_by_somebody_else_meanwhile_is_kept(hub, hub_remote, bundle, waits):
    hub.make("acme/tongues")
    hub.before_commit = lambda: hub["acme/tongues"].put({"LICENSE": b"CC0"})

    pushed = hub_remote.push(bundle())

    assert hub.asked("POST", "/commit/") == 2
    assert set(hub["acme/tongues"].commits[pushed.revision]) == FILES | {
        ".gitattributes",
        "LICENSE",
    }


def test_of_two_who_publish_one_number_the_second_gets_the_alarm(hub, hub_remote, bundle, waits):
    mine, theirs = bundle(1, seed=1), bundle(1, seed=2)
    hub.before_commit = lambda: hub_remote.push(theirs)

    with pytest.raises(VersionClash, match="another acme/tongues@1") as caught:
        hub_remote.push(mine)

    tagged = hub["acme/tongues"].commits[hub["acme/tongues"].tags["v1"]]
    assert tagged["patch.json"].sha256 == theirs.patch.digest
    assert "nothing was changed" in caught.value.why


def test_a_number_that_is_committed_but_not_tagged_is_taken_too(hub, hub_remote, bundle, waits):
    hub.faults.append(Fault("POST", "/tag/", instead=Reply(503), times=None))
    with pytest.raises(RemoteUnreachable):
        hub_remote.push(bundle(1, seed=1))

    with pytest.raises(VersionClash):
        hub_remote.push(bundle(1, seed=2))
    assert not hub["acme/tongues"].tags


def test_two_who_publish_the_same_agree(hub, hub_remote, bundle, waits):
    sent = bundle()
    hub.before_commit = lambda: hub_remote.push(sent)

    assert hub_remote.push(sent).already_there
    assert len(hub["acme/tongues"].commits) == 2


def test_who_is_always_overtaken_is_told_so(hub, hub_remote, bundle, waits):
    repository = hub.make("acme/tongues")
    commits = iter(range(100))

    def overtake():
        repository.put({"LICENSE": b"%d" % next(commits)})
        hub.before_commit = overtake

    hub.before_commit = overtake

    with pytest.raises(Exception, match="somebody else changed acme/tongues") as caught:
        hub_remote.push(bundle())
    assert caught.value.code == "E_RACE"
    assert hub.asked("POST", "/commit/") == len(waits) + 1 == 5
    assert all(2**number / 2 <= pause <= 2**number * 1.5 for number, pause in enumerate(waits))
    assert not repository.tags


@pytest.mark.parametrize("transfer", ["lfs"])
def test_nobody_is_overtaken_for_longer_than_half_a_minute(
    hub, hub_remote, bundle, waits, monkeypatch
):
    monkeypatch.setattr(retrying, "SECONDS", -1)
    hub.faults.append(Fault("POST", "/commit/", instead=Reply(412)))

    with pytest.raises(RemoteRace, match="somebody else changed"):
        hub_remote.push(bundle())
    assert not waits


@pytest.mark.parametrize("transfer", ["lfs"])
def test_a_hub_that_makes_another_repository_is_asked_a_few_times(hub, hub_remote, bundle, waits):
    hub.faults.append(Fault("POST", "/repos/create$", instead=CREATING, times=None))

    with pytest.raises(RemoteRace, match="making another repository") as caught:
        hub_remote.push(bundle())
    assert caught.value.hint == "try again in a minute"
    assert hub.asked("POST", "/repos/create$") == len(waits) + 1 == 5


def test_what_arrives_otherwise_than_sent_is_not_tagged(hub, hub_remote, bundle):
    def damage(reply):
        repository = hub["acme/tongues"]
        blob = repository.head()["requests.jsonl"]
        repository.head()["requests.jsonl"] = type(blob)(blob.data[:-1] + b" ", large=False)
        return reply

    hub.faults.append(Fault("POST", "/commit/", after=damage))

    with pytest.raises(DigestMismatch, match=r"requests.jsonl did not arrive"):
        hub_remote.push(bundle())
    assert not hub["acme/tongues"].tags


def test_a_repository_that_holds_a_model_is_left_alone(hub, hub_remote, bundle):
    repository = hub.make("acme/tongues")
    repository.put({"config.json": b"{}", "README.md": b"my model"})

    with pytest.raises(RemoteRefused, match=r"is not a patch: it holds 'config.json'"):
        hub_remote.push(bundle())
    assert repository.head()["README.md"].data == b"my model"


def test_a_manifest_that_cannot_be_read_is_left_alone(hub, hub_remote, bundle):
    repository = hub.make("acme/tongues")
    repository.put({"patch.json": b"{}"})

    with pytest.raises(RemoteRefused, match=r"patch.json that cannot be read"):
        hub_remote.push(bundle())
    assert len(repository.commits) == 2


def test_an_older_version_does_not_go_on_top_of_a_newer_one(hub, hub_remote, bundle):
    hub_remote.push(bundle(2, seed=2))

    with pytest.raises(RemoteRefused, match="is at version 2 already") as caught:
        hub_remote.push(bundle(1, seed=1))
    assert "in their order" in caught.value.hint


def test_a_tag_moved_to_a_damaged_version_is_noticed(hub, hub_remote, bundle):
    sent = bundle()
    hub_remote.push(sent)
    repository = hub["acme/tongues"]
    repository.tags["v1"] = repository.put({"requests.jsonl": b"{}\n"})

    with pytest.raises(DigestMismatch, match=r"requests.jsonl of acme/tongues@1"):
        hub_remote.push(sent)


def test_late_evaluations_go_to_a_branch_beside_the_tag(hub, hub_remote, bundle, waits):
    pushed = hub_remote.push(bundle(notes=(b"early",)))
    hub.before_commit = lambda: hub_remote.push(bundle(notes=(b"theirs",)))

    hub_remote.push(bundle(notes=(b"early", b"mine")))

    repository = hub["acme/tongues"]
    late = {path for path in repository.head("v1-evaluations") if path.startswith("attestations/")}
    assert len(late) == 3
    assert repository.tags["v1"] == repository.branches["main"] == pushed.revision


@pytest.mark.parametrize(
    ("token", "message"),
    [
        (None, "does not know who asks"),
        ("hf_wrong", "does not know who asks"),
        ("hf_mallory", "not allowed"),
        ("hf_alice_reads", "not allowed"),
    ],
)
def test_who_may_not_write_is_told_what_to_do(hub, hub_remote, bundle, as_user, token, message):
    as_user(token)

    with pytest.raises(RemoteDenied, match=message) as caught:
        hub_remote.push(bundle())
    assert "token" in caught.value.hint.lower()
    assert "hf_" not in f"{caught.value.message} {caught.value.why}"
    assert "acme/tongues" not in hub.repositories.by_name


def test_no_repository_is_made_for_a_file_that_was_changed(hub, hub_remote, bundle):
    sent = bundle()
    sent.patch.files["requests.jsonl"].write_bytes(b"{}\n")

    with pytest.raises(DigestMismatch, match="was changed since it was stored"):
        hub_remote.push(sent)
    assert not hub.requests
