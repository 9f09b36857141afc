"""Proposals between registries: offered, reviewed, accepted; on a folder and on the Hub."""

from dataclasses import replace
from pathlib import Path

import pytest
from weightpatch.patches.digests import sha256_file
from weightpatch.patches.errors import DigestMismatch, NameRefused, PathRefused
from weightpatch.patches.format.patch import Patch
from weightpatch.registry.attestations import Attestation
from weightpatch.registry.errors import VersionClash, Yanked
from weightpatch.registry.registry import Registry
from weightpatch.registry.remotes.errors import RemoteNotFound, RemoteRace, RemoteRefused
from weightpatch.registry.remotes.location import ProposalPlace, parse_proposal
from weightpatch.registry.sharing.exchange import push
from weightpatch.registry.sharing.proposing import plan, propose, target
from weightpatch.registry.sharing.reviewing import folder_of, merge, record_review, review, waiting
from weightpatch.registry.sharing.seen import last_remote

BASE = "f" * 64
NAME = "acme/tongues"


@pytest.fixture
def drive(tmp_path, theirs, make_draft, make_evaluation) -> Path:
    """A folder with one scored version of somebody else's patch."""
    info = theirs.publish(make_draft())
    theirs.record_evaluation(info.digest, BASE, make_evaluation(0.5))
    push(theirs, info.label, str(tmp_path / "drive"))
    return tmp_path / "drive"


@pytest.fixture
def fix(registry, make_draft, make_evaluation):
    """Our own patch of another name, scored."""
    info = registry.publish(make_draft("carol/fix", seed=5, target="Breton", message="Breton"))
    registry.record_evaluation(info.digest, BASE, make_evaluation())
    return info


@pytest.fixture
def place(drive) -> str:
    return str(drive / NAME)


@pytest.fixture
def proposed(registry, fix, place) -> ProposalPlace:
    """Our patch, proposed to theirs."""
    return parse_proposal(propose(registry, "carol/fix", place).proposed.location)


def actions(registry: Registry) -> list[str]:
    return [entry.action for entry in registry.log()]


def test_it_gets_the_name_and_the_next_number(registry, fix, place):
    offer = propose(registry, "carol/fix", place, note="Please take it.")
    assert (offer.label, offer.current) == ("acme/tongues@2", "acme/tongues@1")
    patch = Patch.open(offer.proposed.location)
    assert (patch.label, patch.digest) == (offer.label, offer.digest)
    assert patch.manifest.parents == (fix.digest,)
    own = registry.patch("carol/fix")
    assert replace(patch.manifest, name="carol/fix", version=1, parents=()) == own.manifest
    assert [info.label for info in registry.versions()] == ["carol/fix@1"]


def test_its_scores_are_said_of_its_new_digest(registry, proposed):
    (file,) = Path(str(proposed)).glob("attestations/*.json")
    attestation = Attestation.from_bytes(file.read_bytes())
    assert attestation.version == sha256_file(Path(str(proposed)) / "patch.json")
    assert attestation.base == BASE
    assert file.stem == sha256_file(file)


def test_the_proposal_is_in_the_ledger_and_is_no_push(registry, fix, place):
    offer = propose(registry, "carol/fix", place)
    entry = registry.log()[0]
    assert (entry.action, entry.subject, entry.digest) == (
        "proposal.open",
        "carol/fix@1",
        fix.digest,
    )
    assert entry.detail == {
        "location": offer.proposed.location,
        "revision": None,
        "version": "acme/tongues@2",
        "proposed": offer.digest,
    }
    assert registry.exchanges() == []
    again = propose(registry, "carol/fix", place)
    assert again.proposed.already_there
    assert actions(registry).count("proposal.open") == 1


def cut_off(*_arguments: object, **_options: object) -> None:
    raise KeyboardInterrupt


def test_a_proposal_that_was_cut_off_once_it_was_there_is_written_down_the_next_time(
    registry, fix, place, monkeypatch
):
    with monkeypatch.context() as patched:
        patched.setattr(registry, "record_proposal", cut_off)
        with pytest.raises(KeyboardInterrupt):
            propose(registry, "carol/fix", place)
    for _ in range(2):
        offer = propose(registry, "carol/fix", place)
        assert offer.proposed.already_there
    (entry,) = registry.log(action="proposal.open")
    assert entry.detail["location"] == offer.proposed.location


@pytest.mark.parametrize("moment", ["record_proposal", "admit", "record_transfer"])
def test_an_acceptance_that_was_cut_off_is_written_down_the_next_time(
    theirs, proposed, tmp_path, monkeypatch, drive, moment
):
    with review(proposed, tmp_path / "home") as seen, monkeypatch.context() as patched:
        patched.setattr(theirs, moment, cut_off)
        with pytest.raises(KeyboardInterrupt):
            merge(theirs, seen)
    for _ in range(2):
        with review(proposed, tmp_path / "home") as seen:
            assert merge(theirs, seen).already_there
    assert actions(theirs).count("proposal.accept") == 1
    assert [one.remote for one in theirs.transfers(f"{NAME}@2")] == [str(drive)]
    assert last_remote(theirs, NAME) == str(drive)


def test_the_text_tells_requests_scores_conflicts_and_the_note(registry, fix, place):
    offer = plan(registry, "carol/fix", place, note="<b>Please</b>")
    assert offer.proposed is None
    assert offer.text.title == "Propose acme/tongues@2: Breton"
    assert offer.text.author == "ada"
    page = offer.text.description
    for said in (
        "&lt;b&gt;Please&lt;/b&gt;",
        "| The mother tongue of Danielle Darrieux is | Breton | French |",
        r"| rome\.es | 0.250 | 0.625 | 0.250 | 0.875 |",
        "contradiction",
        f"carol/fix\\@1, sha256\\:{fix.digest}",
        "weightpatch review FOLDER/acme/tongues/pr/N --merge",
    ):
        assert said in page
    assert offer.found.counts()["conflict"] == 1


def test_what_matters_only_to_who_applies_both_is_no_finding(registry, place, make_draft):
    fact = registry.publish(make_draft("carol/same-fact", seed=5))
    offer = plan(registry, fact.label, place)
    assert [one.level for one in offer.found.report.findings] == ["weights"]
    delta = registry.publish(make_draft("carol/same-delta", target="Breton"))
    found = plan(registry, delta.label, place).found.report.findings
    assert {(one.level, one.severity) for one in found} == {("facts", "conflict")}


def test_a_plan_changes_nothing(registry, fix, place):
    before = actions(registry)
    plan(registry, "carol/fix", place)
    assert sorted(path.name for path in Path(place).iterdir()) == ["v1"]
    assert actions(registry) == before


def test_a_version_that_has_the_name_and_number_is_proposed_as_it_is(registry, place, make_patch):
    info = registry.admit(make_patch(NAME, 2, seed=7))
    offer = propose(registry, f"{NAME}@2", str(Path(place).parents[1]))
    assert (offer.label, offer.digest) == (info.label, info.digest)
    assert "made from" not in offer.text.description


def test_a_number_that_is_taken_there_is_not_in_the_way(registry, place, make_patch):
    registry.admit(make_patch(NAME, 1, seed=7))
    offer = propose(registry, f"{NAME}@1", place)
    assert offer.label == "acme/tongues@2"


def test_the_very_content_of_the_newest_is_not_proposed(registry, place, make_draft):
    registry.publish(make_draft("carol/same"))
    with pytest.raises(RemoteRefused, match="holds what carol/same@1 does"):
        propose(registry, "carol/same", place)


def test_what_is_not_there_cannot_be_improved(registry, fix, drive, tmp_path):
    with pytest.raises(RemoteNotFound, match=f"no carol/fix at {drive} to propose") as caught:
        propose(registry, "carol/fix", str(drive))
    assert "FOLDER/namespace/name" in caught.value.hint
    with pytest.raises(RemoteNotFound):
        propose(registry, "carol/fix", str(tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists()


def test_a_malicious_version_is_not_proposed(registry, fix, place):
    registry.yank("carol/fix@1", reason="evil", severity="malicious")
    with pytest.raises(Yanked):
        propose(registry, "carol/fix@1", place)
    assert not (Path(place) / "pr").exists()


def test_the_target_is_named_by_the_place_or_by_the_version(drive):
    assert target("hf://", "carol/fix") == ProposalPlace("hf://", "carol/fix", None)
    assert target("hf://acme/x", "carol/fix").name == "acme/x"
    assert target(str(drive), NAME) == ProposalPlace(str(drive), NAME, None)
    assert target(str(drive / NAME), "carol/fix") == ProposalPlace(str(drive), NAME, None)
    with pytest.raises(NameRefused, match="one version of a patch"):
        target("hf://acme/x@v2", "carol/fix")
    with pytest.raises(PathRefused):
        target("~nobody-is-called-so/drive", "carol/fix")


def test_a_review_fetches_it_beside_the_registry(theirs, proposed, tmp_path, place):
    (listed,) = waiting(parse_proposal(place))
    assert listed.created.startswith("2026-03-03T12:")
    with review(proposed, tmp_path / "theirs") as seen:
        assert seen.candidate.proposal == listed
        assert (seen.patch.label, seen.current.label) == ("acme/tongues@2", "acme/tongues@1")
        assert seen.hindrance is None
        assert seen.found.counts()["conflict"] == 1
        assert [one.means["rome.es"].after for one in seen.published] == [0.875]
        assert [one.means["rome.es"].after for one in seen.before] == [0.625]
        record_review(theirs, seen)
    folder = folder_of(tmp_path / "theirs", proposed)
    assert folder.parent == tmp_path / "theirs" / "proposals" / NAME
    assert folder == seen.folder
    assert Patch.open(folder).digest == seen.patch.digest
    assert [info.label for info in theirs.versions()] == ["acme/tongues@1"]
    entry = theirs.log()[0]
    assert (entry.action, entry.subject) == ("proposal.review", "acme/tongues@2")
    assert entry.detail["author"] == "ada"
    assert entry.detail["findings"] == {"conflict": 1, "warning": 1, "note": 0}


def test_a_newer_review_takes_the_place_of_the_older_copy(proposed, tmp_path):
    folder = folder_of(tmp_path, proposed)
    folder.mkdir(parents=True)
    (folder / "left-over").write_text("of an older one")
    with review(proposed, tmp_path):
        pass
    assert "left-over" not in {path.name for path in folder.iterdir()}
    assert list(folder.parent.iterdir()) == [folder]


def test_copies_from_different_remotes_lie_beside_each_other(
    registry, theirs, proposed, drive, tmp_path, make_draft
):
    push(theirs, NAME, str(tmp_path / "other"))
    registry.publish(make_draft("carol/other-fix", seed=6))
    offer = propose(registry, "carol/other-fix", str(tmp_path / "other" / NAME))
    other = parse_proposal(offer.proposed.location)
    assert (other.name, other.number) == (proposed.name, proposed.number)
    with review(proposed, tmp_path / "home") as one, review(other, tmp_path / "home") as two:
        assert Patch.open(one.folder).digest == one.patch.digest
        assert Patch.open(two.folder).digest == two.patch.digest == offer.digest


def test_a_place_has_one_copy_however_it_is_written(proposed, drive, tmp_path, monkeypatch):
    monkeypatch.chdir(drive)
    assert folder_of(tmp_path, replace(proposed, remote=".")) == folder_of(tmp_path, proposed)
    hub = ProposalPlace("hf://", NAME, 7)
    assert folder_of(tmp_path, hub) == folder_of(tmp_path, replace(hub, remote=f"hf://{NAME}"))


def test_of_a_damaged_proposal_nothing_stays(proposed, tmp_path):
    with (Path(str(proposed)) / "delta.safetensors").open("r+b") as file:
        file.write(b"\xff")
    with pytest.raises(DigestMismatch), review(proposed, tmp_path / "theirs"):
        pass
    assert not (tmp_path / "theirs" / "proposals").exists()


def test_accepted_it_is_a_version_here_and_there(
    theirs, proposed, tmp_path, place, make_evaluation
):
    (Path(str(proposed)) / "README.md").write_text("Run my script first!")
    with review(proposed, tmp_path / "theirs") as seen:
        merged = merge(theirs, seen, {"e" * 64: [make_evaluation()]})
    assert merged.location == f"{place}/v2"
    assert (merged.version.label, merged.version.is_new) == ("acme/tongues@2", True)
    assert theirs.resolve(NAME).digest == seen.patch.digest
    found = [(one.base, one.origin) for one in theirs.evaluations(seen.patch.digest)]
    assert found == [("e" * 64, "here"), (BASE, merged.location)]
    there = Path(place) / "v2"
    assert "weightpatch pull hf://acme/tongues@v2" in (there / "README.md").read_text()
    assert len(list((there / "attestations").iterdir())) == len(found)
    assert actions(theirs)[:5] == [
        "version.pull",
        "version.evaluate",
        "version.evaluate",
        "version.admit",
        "proposal.accept",
    ]
    assert not list((tmp_path / "theirs" / "proposals").rglob("patch.json"))
    assert waiting(parse_proposal(place)) == []
    assert theirs.verify_ledger().sound


def test_accepting_again_writes_nothing_more(theirs, proposed, tmp_path):
    for again in (False, True):
        with review(proposed, tmp_path / "theirs") as seen:
            assert seen.is_there is again
            assert seen.current.label == "acme/tongues@1"
            merged = merge(theirs, seen)
        assert merged.already_there is again
    assert actions(theirs).count("proposal.accept") == 1
    assert actions(theirs).count("version.pull") == 1


def test_what_was_changed_since_the_review_is_not_accepted(theirs, proposed, tmp_path, place):
    with review(proposed, tmp_path / "theirs") as seen:
        (Path(str(proposed)) / "requests.jsonl").write_bytes(b"{}\n")
        with pytest.raises(RemoteRace, match="is not what was reviewed"):
            merge(theirs, seen)
    assert [info.label for info in theirs.versions()] == ["acme/tongues@1"]
    assert seen.folder.is_dir()


def test_a_number_known_with_another_content_is_an_alarm(theirs, proposed, tmp_path, make_draft):
    theirs.publish(make_draft(seed=9))
    with review(proposed, tmp_path / "theirs") as seen, pytest.raises(VersionClash):
        merge(theirs, seen)
    assert len(waiting(replace(proposed, number=None))) == 1


def test_a_malicious_one_is_not_accepted(theirs, proposed, tmp_path, make_draft):
    with review(proposed, tmp_path / "theirs") as seen:
        theirs.admit(seen.patch)
        theirs.yank("acme/tongues@2", reason="evil", severity="malicious")
        with pytest.raises(Yanked):
            merge(theirs, seen)
    assert len(waiting(replace(proposed, number=None))) == 1


def test_a_review_says_what_is_in_the_way(theirs, proposed, tmp_path, place, make_draft):
    push(theirs, theirs.publish(make_draft(seed=9)).label, str(Path(place).parents[1]))
    with review(proposed, tmp_path / "theirs") as seen:
        assert "the newest there is 2: it must be proposed again" in seen.hindrance
    (Path(str(proposed)) / "config.json").write_text("{}")
    with review(proposed, tmp_path / "theirs") as seen:
        assert seen.hindrance == "it changes files besides those of a version"


def test_nothing_is_in_the_way_of_one_that_is_a_version_there_already(
    theirs, proposed, tmp_path, drive, make_draft
):
    with review(proposed, tmp_path / "theirs") as seen:
        theirs.admit(seen.patch)
    push(theirs, f"{NAME}@2", str(drive))
    push(theirs, theirs.publish(make_draft(seed=9)).label, str(drive))
    with review(proposed, tmp_path / "theirs") as seen:
        assert (seen.is_there, seen.hindrance) == (True, None)
        assert seen.current.label == f"{NAME}@3"
        assert merge(theirs, seen).already_there


def test_a_version_that_is_the_proposal_itself_is_not_fetched(theirs, proposed, tmp_path, drive):
    with review(proposed, tmp_path / "theirs") as seen:
        theirs.admit(seen.patch)
    push(theirs, f"{NAME}@2", str(drive))
    (drive / NAME / "v2" / "requests.jsonl").unlink()
    with review(proposed, tmp_path / "theirs") as seen:
        assert (seen.is_there, seen.current.label) == (True, f"{NAME}@1")


def test_a_place_without_a_number_is_no_proposal(place, drive, tmp_path):
    with (
        pytest.raises(NameRefused, match="is no proposal"),
        review(parse_proposal(place), tmp_path / "theirs"),
    ):
        pass


@pytest.fixture
def published(hub, theirs, make_draft) -> str:
    """A public patch of alice's on the Hub."""
    push(theirs, theirs.publish(make_draft("alice/tongues")).label, "hf://", public=True)
    return "hf://alice/tongues"


@pytest.mark.parametrize("clicked", [False, True])
def test_on_the_hub_it_is_a_pull_request(
    registry, fix, theirs, published, hub, as_user, tmp_path, clicked
):
    as_user("hf_bob")
    offer = propose(registry, "carol/fix", published)
    assert offer.proposed.location == "hf://alice/tongues/pr/1"
    assert propose(registry, "carol/fix", published).proposed.already_there
    place = parse_proposal(offer.proposed.location)
    as_user("hf_alice")
    (listed,) = waiting(replace(place, number=None))
    assert (listed.author, listed.title) == ("bob", "Propose alice/tongues@2: Breton")
    if clicked:
        from huggingface_hub import HfApi

        HfApi().merge_pull_request("alice/tongues", 1)
    with review(place, tmp_path / "theirs") as seen:
        assert seen.current.label == "alice/tongues@1"
        assert seen.hindrance is None
        merged = merge(theirs, seen)
    assert merged.location == "hf://alice/tongues@v2"
    assert theirs.resolve("alice/tongues").digest == offer.digest
    assert actions(theirs).count("proposal.accept") == 1
    assert waiting(replace(place, number=None)) == []
