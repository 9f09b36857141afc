"""Revisions on the Hub: a branch or commit is a version only if its tag says so."""

import pytest
from weightpatch.patches.errors import NameRefused
from weightpatch.registry.registry import Registry
from weightpatch.registry.remotes.base import open_remote
from weightpatch.registry.remotes.errors import RemoteNotFound, RemoteRefused
from weightpatch.registry.remotes.proposals import Text
from weightpatch.registry.sharing.exchange import pull
from weightpatch.registry.sharing.finding import look

pytestmark = pytest.mark.parametrize("transfer", ["lfs"])
NAME = "acme/tongues"
TEXT = Text("Better", "One fact.")


@pytest.fixture
def two(hub, hub_remote, bundle):
    """Two versions that are there; the commit of each."""
    made = [hub_remote.push(bundle(number, seed=number)).revision for number in (1, 2)]
    hub.requests.clear()
    return made


@pytest.fixture
def proposed_commit(there, hub, proposed):
    """The commit of a pull request that nobody accepted, numbered 2 after version 1."""
    return proposed.revision


def at(revision):
    return open_remote(f"hf://{NAME}@{revision}")


@pytest.mark.parametrize("revision", ["refs/pr/1", "{commit}"])
@pytest.mark.parametrize("fetch", ["pull", "look"])
def test_what_nobody_accepted_is_no_version(hub, proposed_commit, tmp_path, into, revision, fetch):
    place = f"hf://{NAME}@{revision.format(commit=proposed_commit)}"

    with Registry.create(home=tmp_path / "home", actor="tester") as registry:
        with pytest.raises((NameRefused, RemoteRefused)) as caught:
            pull(registry, NAME, place) if fetch == "pull" else look(place)

        assert "weightpatch review hf://acme/tongues" in caught.value.hint
        assert registry.versions() == []
    assert not hub.asked("GET", r"/resolve/.*\.(safetensors|jsonl)$")


def test_what_is_on_a_branch_and_not_published_is_refused(hub, two, bundle, into):
    repository = hub[NAME]
    data = bundle(3, seed=3).patch.files["patch.json"].read_bytes()
    repository.put({"patch.json": data})

    with pytest.raises(RemoteRefused, match="is not a version") as caught:
        at("main").pull(NAME, None, into)
    assert caught.value.why == "it has no tag v3, so it is not published"


def test_another_version_under_a_published_number_is_refused(hub, two, bundle, into):
    data = bundle(2, seed=3).patch.files["patch.json"].read_bytes()
    hub[NAME].put({"patch.json": data})

    with pytest.raises(RemoteRefused, match="is not a version") as caught:
        at("main").pull(NAME, None, into)
    assert "tag v2 stands for another" in caught.value.why


@pytest.mark.parametrize(("revision", "requests"), [("v2", 0), ("{commit}", 0), ("main", 1)])
def test_a_revision_costs_hardly_more_than_a_number(hub, two, into, revision, requests):
    found = at(revision.format(commit=two[1])).pull(NAME, None, into)

    assert (found.patch.label, found.revision) == (f"{NAME}@2", two[1])
    assert found.location == f"hf://{NAME}@v2"
    assert len(hub.requests) == 6 + requests


def test_a_branch_that_went_on_with_the_same_version_is_that_version(hub, hub_remote, two, into):
    """Whatever was added there since, scores too, nobody published with it."""
    changed = hub[NAME].put({"README.md": b"# New", f"attestations/{'0' * 64}.json": b"{}"})

    for number, revision in enumerate(("main", changed)):
        folder = into / str(number)
        folder.mkdir()
        found = at(revision).pull(NAME, None, folder)
        assert (found.patch.label, found.revision) == (f"{NAME}@2", two[1])
        assert found.attestations == {}


def test_a_number_and_a_revision_must_be_the_same_version(two, tmp_path):
    for number, revision in enumerate(("v2", "main", two[1])):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert at(revision).pull(NAME, 2, folder).patch.label == f"{NAME}@2"
        with pytest.raises(NameRefused, match="@1 is not what lies at") as caught:
            at(revision).pull(NAME, 1, tmp_path)
        assert caught.value.why == f"that is {NAME}@2"
    for revision in ("nonexistent", "v9"):
        with pytest.raises(RemoteNotFound):
            at(revision).pull(NAME, 1, tmp_path)


@pytest.mark.parametrize("revision", ["dev", "v1", "{commit}"])
def test_nothing_is_sent_to_a_revision(hub, two, bundle, revision):
    remote, sent = at(revision.format(commit=two[0])), bundle(3, seed=3)

    for send in (remote.push, remote.plan, lambda it: remote.propose(it, TEXT)):
        with pytest.raises(NameRefused, match="one state of a patch") as caught:
            send(sent)
        assert caught.value.hint == f"leave the revision out: hf://{NAME}"
    assert not hub.requests
