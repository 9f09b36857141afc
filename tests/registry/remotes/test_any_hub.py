"""What users of any hub do: push, look at it with other programs, pull it, and what is refused."""

from pathlib import Path

import pytest
from huggingface_hub import HfApi, ModelCard, hf_hub_download
from weightpatch.patches.digests import sha256
from weightpatch.patches.errors import NameRefused
from weightpatch.registry.errors import VersionClash
from weightpatch.registry.registry import Registry
from weightpatch.registry.remotes.base import open_remote
from weightpatch.registry.remotes.errors import RemoteNotFound
from weightpatch.registry.remotes.location import parse_proposal
from weightpatch.registry.sharing.exchange import plan, pull, pull_all, push
from weightpatch.registry.sharing.finding import look, search
from weightpatch.registry.sharing.outdated import outdated
from weightpatch.registry.sharing.proposing import propose
from weightpatch.registry.sharing.reviewing import merge, review, waiting

pytestmark = [pytest.mark.any_hub, pytest.mark.usefixtures("any_hub")]
HUB = "hf://"


@pytest.fixture
def mine(tmp_path):
    """The registry of the one who pushes."""
    with Registry.create(home=tmp_path / "mine", actor="ada") as opened:
        yield opened


@pytest.fixture
def pushed(hub_remote, bundle):
    return hub_remote.push(bundle(notes=(b'{"score": 1}',)))


@pytest.mark.parametrize("public", [False, True])
def test_a_repository_is_private_unless_told_otherwise(hub_remote, bundle, patch_name, public):
    (hub_remote.public() if public else hub_remote).push(bundle())

    assert HfApi().model_info(patch_name).private is not public


def test_each_version_is_one_commit_with_a_tag(hub_remote, bundle, patch_name):
    made = [hub_remote.push(bundle(number, seed=number)).revision for number in (1, 2)]

    api = HfApi()
    tags = {ref.name: ref.target_commit for ref in api.list_repo_refs(patch_name).tags}
    titles = [commit.title for commit in api.list_repo_commits(patch_name)]
    assert tags == {"v1": made[0], "v2": made[1]}
    assert titles[:2] == [f"Publish {patch_name}@2", f"Publish {patch_name}@1"]


def test_the_client_of_the_hub_gets_the_same_bytes(bundle, hub_remote, patch_name):
    sent = bundle()
    hub_remote.push(sent)

    for path, record in sent.records().items():
        found = Path(hf_hub_download(patch_name, path, revision="v1"))
        assert sha256(found.read_bytes()) == record.sha256


def test_the_card_is_read_and_derives_no_model(mine, make_draft, make_evaluation, patch_name):
    info = mine.publish(make_draft(patch_name, base_id="acme/pico"))
    mine.record_evaluation(info.digest, "f" * 64, make_evaluation())
    push(mine, info.label, HUB, languages=["en"])

    card = ModelCard.load(patch_name).data
    files = HfApi().list_repo_files(patch_name)
    assert (card.base_model, card["base_model_relation"]) == ("acme/pico", "adapter")
    assert {"model-edit", "edit-method:rome"} <= set(card.tags)
    assert card.eval_results
    assert not {"config.json", "model.safetensors"}.intersection(files)


@pytest.mark.parametrize("revision", ["v1", "main", None])
def test_a_revision_can_be_named_in_the_location(pushed, patch_name, into, revision):
    pulled = open_remote(f"hf://{patch_name}@{revision or pushed.revision}").pull(
        patch_name, None, into
    )

    assert pulled.revision == pushed.revision
    assert pulled.patch.label == f"{patch_name}@1"


@pytest.mark.usefixtures("pushed")
def test_a_revision_that_is_not_there_is_not_found(patch_name, into):
    with pytest.raises(RemoteNotFound, match="no such revision"):
        open_remote(f"hf://{patch_name}@typo").pull(patch_name, None, into)


def test_a_repository_carries_the_name_of_its_patch(bundle, patch_name):
    with pytest.raises(NameRefused, match=f"{patch_name} cannot lie at hf://acme/other"):
        open_remote("hf://acme/other").push(bundle())

    assert not open_remote(f"hf://{patch_name}").push(bundle()).already_there


def test_a_dry_run_says_what_a_push_then_does(mine, make_draft, patch_name):
    label = mine.publish(make_draft(patch_name)).label

    before = plan(mine, label, HUB)
    with pytest.raises(RemoteNotFound):
        open_remote(HUB).versions(patch_name)
    push(mine, label, HUB)
    after = plan(mine, label, HUB)

    there = {entry.path: entry.size for entry in HfApi().list_repo_tree(patch_name)}
    assert before.makes
    assert before.files.items() <= there.items()
    assert after.already_there
    assert not after.files


def test_all_versions_go_from_one_registry_to_another(mine, theirs, make_draft, patch_name):
    for seed in range(3):
        push(mine, mine.publish(make_draft(patch_name, seed=seed)).label, HUB)

    pull(theirs, f"{patch_name}@1", HUB)
    (newer,) = outdated(theirs).newer
    pulled = [fetched.version.label for fetched in pull_all(theirs, patch_name, HUB)]

    assert (newer.here, newer.there) == (1, 3)
    assert pulled == [f"{patch_name}@{number}" for number in (1, 2, 3)]
    assert not outdated(theirs).newer
    for label in pulled:
        assert theirs.resolve(label).digest == mine.resolve(label).digest


def test_an_evaluation_that_came_later_arrives(
    mine, theirs, make_draft, make_evaluation, patch_name
):
    info = mine.publish(make_draft(patch_name))
    push(mine, info.label, HUB)
    mine.record_evaluation(info.digest, "f" * 64, make_evaluation())

    assert push(mine, info.label, HUB).attestations_added == 1
    assert pull(theirs, patch_name, HUB).evaluations == 1


def test_a_number_stands_for_one_content(mine, theirs, make_draft, patch_name):
    push(mine, mine.publish(make_draft(patch_name, seed=1)).label, HUB)
    theirs.publish(make_draft(patch_name, seed=2))

    with pytest.raises(VersionClash):
        push(theirs, patch_name, HUB)
    with pytest.raises(VersionClash):
        pull(theirs, patch_name, HUB)


def test_what_is_proposed_is_reviewed_and_becomes_the_next_version(
    mine, theirs, make_draft, patch_name, tmp_path
):
    push(mine, mine.publish(make_draft(patch_name, seed=1)).label, HUB)
    better = theirs.publish(make_draft("bob/better", seed=2)).label

    offer = propose(theirs, better, f"hf://{patch_name}", note="It says so in Latin.")
    (listed,) = waiting(parse_proposal(f"hf://{patch_name}"))
    with review(parse_proposal(listed.location), tmp_path / "copies") as seen:
        merged = merge(mine, seen)

    assert (offer.label, listed.title) == (f"{patch_name}@2", offer.text.title)
    assert seen.hindrance is None
    assert merged.version.label == f"{patch_name}@2"
    assert {ref.name for ref in HfApi().list_repo_refs(patch_name).tags} == {"v1", "v2"}
    assert pull(theirs, patch_name, HUB).version.digest == merged.version.digest == offer.digest
    assert not waiting(parse_proposal(f"hf://{patch_name}"))


def test_it_is_found_by_its_base_once_it_is_published(mine, make_draft, patch_name, patiently):
    base = f"acme/{patch_name.partition('/')[2]}"
    push(mine, mine.publish(make_draft(patch_name, base_id=base)).label, HUB, public=True)

    patiently(lambda: search(HUB, base=base).patches)

    (found,) = search(HUB, base=base).patches
    assert (found.name, found.versions) == (patch_name, (1,))


def test_it_is_looked_at_without_being_pulled(mine, make_draft, patch_name):
    info = mine.publish(make_draft(patch_name))
    push(mine, info.label, HUB)

    seen = look(f"hf://{patch_name}")

    assert (seen.digest, seen.manifest.label) == (info.digest, info.label)
