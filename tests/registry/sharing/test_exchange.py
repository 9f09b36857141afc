"""Push and pull between registries: one version or all, older ones, clashes, scores, odd paths."""

import shutil
from pathlib import Path

import pytest
from weightpatch.patches.errors import DigestMismatch, InputError, LimitExceeded
from weightpatch.registry.attestations import Attestation
from weightpatch.registry.errors import Deleted, ReferenceRefused, VersionClash, Yanked
from weightpatch.registry.registry import Registry
from weightpatch.registry.remotes.errors import RemoteNotFound, RemoteRefused
from weightpatch.registry.sharing.exchange import plan, pull, pull_all, push
from weightpatch.registry.sharing.seen import last_remote

BASE = "f" * 64


@pytest.fixture
def shared(tmp_path, registry, make_draft, make_evaluation) -> Path:
    """A folder with a version and one evaluation, pushed there from another registry."""
    folder = tmp_path / "shared"
    with Registry.create(home=tmp_path / "theirs", actor="bob") as theirs:
        info = theirs.publish(make_draft())
        theirs.record_evaluation(info.digest, BASE, make_evaluation())
        push(theirs, info.label, str(folder))
    return folder


@pytest.fixture
def odd(tmp_path) -> Path:
    folder = tmp_path / "\udcff"
    folder.mkdir()
    return folder


def test_a_path_that_is_not_text_serves_as_a_remote(registry, make_draft, make_evaluation, odd):
    info = registry.publish(make_draft())
    registry.record_evaluation(info.digest, BASE, make_evaluation())
    push(registry, info.label, str(odd))
    assert registry.log()[0].detail["to"].endswith("/\\udcff/acme/tongues/v1")

    with Registry.create(home=odd.parent / "other", actor="bob") as other:
        fetched = pull(other, "acme/tongues", str(odd))
        assert other.log()[0].detail["from"].endswith("/\\udcff/acme/tongues/v1")
        (evaluation,) = other.evaluations(fetched.version.digest)
        assert evaluation.origin.endswith("/\\udcff/acme/tongues/v1")


def test_a_pulled_score_says_where_it_is_from(registry, shared):
    fetched = pull(registry, "acme/tongues", str(shared))
    (evaluation,) = registry.evaluations(fetched.version.digest)
    assert evaluation.origin == str(shared / "acme" / "tongues" / "v1")
    assert evaluation.to_json()["origin"] == evaluation.origin
    entry = next(entry for entry in registry.log() if entry.action == "version.evaluate")
    assert entry.detail["origin"] == evaluation.origin


def test_measured_here_as_well_it_is_from_here(registry, shared, make_evaluation):
    version = pull(registry, "acme/tongues", str(shared)).version
    for _ in range(2):
        registry.record_evaluation(version.digest, BASE, make_evaluation())
    assert [each.origin for each in registry.evaluations(version.digest)] == ["here"]
    assert [entry.action for entry in registry.log()].count("version.evaluate") == 2

    pull(registry, "acme/tongues", str(shared))
    assert [each.origin for each in registry.evaluations(version.digest)] == ["here"]


def test_an_attestation_that_no_table_holds_is_ignored(registry, shared, make_evaluation):
    home = shared / "acme" / "tongues" / "v1"
    (known,) = (home / "attestations").iterdir()
    version = Attestation.from_bytes(known.read_bytes()).version
    long = Attestation(version, BASE, make_evaluation(case="c" * 256))
    (home / "attestations" / f"{long.digest}.json").write_bytes(long.to_bytes())

    fetched = pull(registry, "acme/tongues", str(shared))
    assert (fetched.evaluations, fetched.ignored) == (1, (long.digest,))


def test_pushes_and_pulls_are_remembered(registry, shared, tmp_path):
    pulled = pull(registry, "acme/tongues", str(shared)).version
    push(registry, "acme/tongues@1", str(tmp_path / "drive"))
    pushed, fetched = registry.transfers("acme/tongues")
    assert (pushed.direction, pushed.remote) == ("push", str(tmp_path / "drive"))
    assert (fetched.direction, fetched.remote, fetched.who) == ("pull", str(shared), "ada")
    assert registry.log(reference=pulled.label)[0].seq == pushed.seq
    assert registry.transfers("acme/tongues", limit=1) == [pushed]


def test_a_transfer_is_written_down_with_its_remote(registry, shared, tmp_path):
    pull(registry, "acme/tongues", str(shared))
    assert registry.log()[0].detail == {
        "from": str(shared / "acme" / "tongues" / "v1"),
        "remote": str(shared),
        "revision": None,
    }
    assert registry.verify_ledger().ok


@pytest.mark.parametrize(
    ("direction", "remote", "error"),
    [("push", "x" * 1_500, LimitExceeded), ("sideways", "/x", ValueError)],
)
def test_a_transfer_that_cannot_be_is_not_written_down(
    registry, make_draft, direction, remote, error
):
    info = registry.publish(make_draft())
    before = registry.log()
    with pytest.raises(error):
        registry.record_transfer(info.digest, direction, remote, place="/x/1", revision=None)
    assert registry.log() == before


def test_a_remote_is_one_however_it_is_written(registry, shared, sql, monkeypatch):
    monkeypatch.chdir(shared.parent)
    for location in ("shared", str(shared), "shared"):
        pull(registry, "acme/tongues", location)
    assert sql("SELECT location FROM remote") == [(str(shared),)]
    assert sql("SELECT count(*) FROM transfer") == [(3,)]


def test_a_malicious_version_is_not_sent(registry, make_draft, tmp_path):
    info = registry.publish(make_draft())
    registry.yank(info.label, reason="a back door", severity="malicious")
    with pytest.raises(Yanked):
        push(registry, info.label, str(tmp_path / "drive"))
    assert not (tmp_path / "drive").exists()


def test_a_deleted_version_is_not_fetched_again(registry, shared):
    info = pull(registry, "acme/tongues", str(shared)).version
    registry.delete(info.label, reason="private data")
    before = registry.log()
    with pytest.raises(Deleted, match="acme/tongues@1"):
        pull(registry, "acme/tongues", str(shared))
    assert registry.log() == before


@pytest.mark.parametrize(
    ("location", "error"), [("x" * 1_000_000, LimitExceeded), ("nul\x00", InputError)]
)
def test_a_place_that_cannot_be_written_down_is_not_used(registry, make_draft, location, error):
    info = registry.publish(make_draft())
    for act in (push, pull):
        with pytest.raises(error):
            act(registry, info.label, location)
    assert registry.transfers(info.label) == []


def test_a_push_that_was_cut_off_once_it_was_there_is_written_down_the_next_time(
    registry, make_draft, tmp_path, monkeypatch
):
    label = registry.publish(make_draft()).label
    drive = str(tmp_path / "drive")

    def cut_off(*_arguments, **_options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(registry, "record_transfer", cut_off)
        with pytest.raises(KeyboardInterrupt):
            push(registry, label, drive)
    assert registry.transfers(label) == []
    for _ in range(2):
        assert push(registry, label, drive).already_there
    assert [(one.direction, one.remote) for one in registry.transfers(label)] == [("push", drive)]


def test_a_push_of_what_came_from_there_says_nothing_new(registry, shared):
    pull(registry, "acme/tongues", str(shared))
    before = registry.log()
    assert push(registry, "acme/tongues", str(shared)).already_there
    assert registry.log() == before


def test_an_alias_cannot_be_asked_of_a_remote(registry, shared):
    with pytest.raises(ReferenceRefused):
        pull(registry, "acme/tongues@stable", str(shared))


def labels(fetched) -> list[tuple[str, bool]]:
    return [(one.version.label, one.version.is_new) for one in fetched]


def spoil(remote: Path, version: int) -> None:
    delta = remote / "acme" / "tongues" / f"v{version}" / "delta.safetensors"
    data = bytearray(delta.read_bytes())
    data[-1] ^= 1
    delta.write_bytes(data)


def test_all_versions_come_oldest_first_and_what_is_here_is_not_fetched_again(registry, three):
    pull(registry, "acme/tongues@2", str(three))
    assert labels(pull_all(registry, "acme/tongues", str(three))) == [
        ("acme/tongues@1", True),
        ("acme/tongues@2", False),
        ("acme/tongues@3", True),
    ]
    before = registry.log()
    for version in (1, 2, 3):
        spoil(three, version)
    again = labels(pull_all(registry, "acme/tongues", str(three)))
    assert [is_new for _, is_new in again] == [False] * 3
    assert registry.log() == before


def test_of_all_versions_one_that_is_another_here_is_an_alarm(registry, three, make_draft):
    registry.publish(make_draft(seed=0))
    registry.publish(make_draft(seed=9))
    before = registry.log()
    with pytest.raises(VersionClash, match="something else as acme/tongues@2") as caught:
        list(pull_all(registry, "acme/tongues", str(three)))
    assert registry.resolve("acme/tongues@2").digest in caught.value.why
    assert registry.log() == before


def test_a_version_that_fails_stops_and_what_came_before_it_stays(registry, three):
    spoil(three, 2)
    with pytest.raises(DigestMismatch):
        list(pull_all(registry, "acme/tongues", str(three)))
    assert [info.label for info in registry.versions()] == ["acme/tongues@1"]


def test_a_version_that_lost_a_file_is_fetched_again_with_the_others(registry, three, home):
    info = pull(registry, "acme/tongues@1", str(three)).version
    delta = registry.patch(info.label).files["delta.safetensors"]
    delta.chmod(0o644)
    delta.unlink()
    assert [is_new for _, is_new in labels(pull_all(registry, "acme/tongues", str(three)))] == [
        False,
        True,
        True,
    ]
    assert registry.patch("acme/tongues@1").files["delta.safetensors"].is_file()


def test_a_version_that_was_deleted_here_is_left_out_of_all(registry, three):
    pull(registry, "acme/tongues@2", str(three))
    registry.delete("acme/tongues@2", reason="private data")
    fetched = list(pull_all(registry, "acme/tongues", str(three)))
    assert fetched[1].version.standing.deleted
    assert [info.version for info in registry.versions()] == [3, 1]


def test_a_number_seen_with_another_digest_is_an_alarm_wherever_it_comes_from(
    registry, shared, tmp_path, make_draft
):
    known = pull(registry, "acme/tongues", str(shared)).version
    with Registry.create(home=tmp_path / "mallory", actor="mallory") as mallory:
        push(mallory, mallory.publish(make_draft(seed=9)).label, str(tmp_path / "elsewhere"))
    before = registry.log()
    for reference in ("acme/tongues", "acme/tongues@1"):
        with pytest.raises(VersionClash, match="another content") as caught:
            pull(registry, reference, str(tmp_path / "elsewhere"), older=True)
        assert known.digest in caught.value.why
    assert registry.log() == before


def test_the_alarm_does_not_forget_what_was_only_made_and_pushed_here(
    registry, make_draft, theirs, tmp_path
):
    push(registry, registry.publish(make_draft(seed=1)).label, str(tmp_path / "mine"))
    push(theirs, theirs.publish(make_draft(seed=2)).label, str(tmp_path / "other"))
    with pytest.raises(VersionClash):
        pull(registry, "acme/tongues", str(tmp_path / "other"))


def test_the_alarm_outlives_a_deletion(registry, shared, make_draft, tmp_path):
    registry.delete(pull(registry, "acme/tongues", str(shared)).version.label, reason="a mistake")
    with Registry.create(home=tmp_path / "mallory", actor="mallory") as mallory:
        push(mallory, mallory.publish(make_draft(seed=9)).label, str(tmp_path / "elsewhere"))
    with pytest.raises(VersionClash):
        pull(registry, "acme/tongues", str(tmp_path / "elsewhere"))


def test_a_remote_that_went_back_is_not_followed_without_a_word(registry, three):
    pull(registry, "acme/tongues", str(three))
    shutil.rmtree(three / "acme" / "tongues" / "v3")
    before = registry.log()
    with pytest.raises(RemoteRefused, match=r"acme/tongues@3 was there before") as caught:
        pull(registry, "acme/tongues", str(three))
    assert "--older" in caught.value.hint
    assert registry.log() == before

    assert pull(registry, "acme/tongues", str(three), older=True).version.version == 2
    assert pull(registry, "acme/tongues@1", str(three)).version.version == 1


def test_what_was_seen_at_another_remote_is_no_reason_to_refuse(registry, three, shared):
    pull(registry, "acme/tongues", str(three))
    assert pull(registry, "acme/tongues", str(shared)).version.version == 1


def test_on_the_hub_the_place_is_the_same_however_it_is_written(registry, hub, make_draft):
    for seed in range(2):
        push(registry, registry.publish(make_draft("alice/tongues", seed=seed)).label, "hf://")
    del hub["alice/tongues"].tags["v2"]
    with pytest.raises(RemoteRefused, match="was there before"):
        pull(registry, "alice/tongues", "hf://alice/tongues")
    assert pull(registry, "alice/tongues", "hf://alice/tongues@v1").version.version == 1
    assert last_remote(registry, "alice/tongues") == "hf://alice/tongues"


def test_the_last_remote_of_a_patch_is_that_of_any_of_its_versions(registry, three, tmp_path):
    assert last_remote(registry, "acme/tongues") is None
    pull(registry, "acme/tongues@2", str(three))
    assert last_remote(registry, "acme/tongues") == str(three)
    push(registry, "acme/tongues@2", str(tmp_path / "drive"))
    assert last_remote(registry, "acme/tongues") == str(tmp_path / "drive")
    assert last_remote(registry, "acme/others") is None


def test_a_drive_that_is_gone_is_not_made_anew(registry, shared):
    version = pull(registry, "acme/tongues", str(shared)).version
    shared.rename(shared.with_name("elsewhere"))
    for act in (push, plan):
        with pytest.raises(RemoteNotFound, match=f"no folder {shared} now") as caught:
            act(registry, version.label, str(shared))
        assert "is the drive mounted?" in caught.value.hint
    assert not shared.exists()
    shared.mkdir()
    assert not push(registry, version.label, str(shared)).already_there


def test_the_languages_of_a_card_stay_until_others_are_given(
    registry, make_draft, make_evaluation, tmp_path
):
    folder = tmp_path / "drive"

    def named(label, *languages):
        push(registry, label, str(folder), languages=languages)
        card = (folder / "acme" / "tongues" / f"v{label[-1]}" / "README.md").read_text()
        return [line[2:] for line in card.split("\n") if line in ("- en", "- fr")]

    first = registry.publish(make_draft())
    assert named(first.label, "en", "fr") == ["en", "fr"]
    registry.record_evaluation(first.digest, BASE, make_evaluation())
    assert named(first.label) == ["en", "fr"]  # written anew, with the scores
    second = registry.publish(make_draft(seed=2))
    assert named(second.label) == ["en", "fr"]
    third = registry.publish(make_draft(seed=3))
    assert named(third.label, "fr") == ["fr"]
    registry.verify_ledger()
