"""What a push would do, said beforehand, and what the card says that it writes."""

from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from weightpatch.patches.errors import NameRefused
from weightpatch.registry.errors import VersionClash
from weightpatch.registry.remotes.errors import RemoteNotFound, RemoteRefused
from weightpatch.registry.sharing.exchange import plan, push

BASE = "f" * 64


def test_a_push_to_a_folder_is_planned_and_nothing_is_made(
    registry, make_draft, make_evaluation, tmp_path
):
    info = registry.publish(make_draft())
    drive = tmp_path / "drive"
    before = registry.log()
    planned = plan(registry, info.label, str(drive))
    assert (planned.makes, planned.private, planned.already_there) == (True, None, False)
    assert registry.log() == before
    assert not drive.exists()

    there = Path(push(registry, info.label, str(drive)).location)
    assert planned.location == str(there)
    assert planned.files == {path.name: path.stat().st_size for path in there.iterdir()}
    again = plan(registry, info.label, str(drive))
    assert (again.makes, again.already_there, again.files) == (False, True, {})

    registry.record_evaluation(info.digest, BASE, make_evaluation())
    late = plan(registry, info.label, str(drive))
    assert late.already_there
    push(registry, info.label, str(drive))
    assert late.files == {
        str(path.relative_to(there)): path.stat().st_size
        for path in [there / "README.md", *(there / "attestations").iterdir()]
    }


def test_a_push_that_would_be_refused_is_refused_when_planned(registry, make_draft, three):
    info = registry.publish(make_draft(seed=7))
    with pytest.raises(VersionClash):
        plan(registry, info.label, str(three))
    with pytest.raises(RemoteNotFound, match="there is no folder"):
        plan(registry, info.label, str(three / "not" / "mounted"))
    with pytest.raises(RemoteRefused, match="cannot make it public"):
        push(registry, info.label, str(three), public=True)


def test_a_push_to_the_hub_is_planned_and_nothing_is_sent(registry, hub, make_draft):
    info = registry.publish(make_draft("alice/tongues"))
    for public in (False, True):
        planned = plan(registry, info.label, "hf://", public=public)
        assert (planned.makes, planned.private) == (True, not public)
        assert planned.location == "hf://alice/tongues@v1"
        assert set(planned.files) == {
            "patch.json",
            "delta.safetensors",
            "requests.jsonl",
            "README.md",
        }
    assert hub.asked("POST PUT DELETE", "") == 0

    push(registry, info.label, "hf://", public=True)
    assert not hub["alice/tongues"].private
    asked = hub.asked("POST PUT DELETE", "")
    again = plan(registry, info.label, "hf://")
    assert (again.makes, again.private, again.already_there, again.files) == (False, None, True, {})
    later = plan(registry, registry.publish(make_draft("alice/tongues", seed=2)).label, "hf://")
    assert (later.makes, later.private, later.already_there) == (False, None, False)
    assert later.files["patch.json"] > 0
    assert hub.asked("POST PUT DELETE", "") == asked


def test_a_push_to_the_hub_that_was_cut_off_is_planned_as_what_is_left(
    registry, hub, make_draft, theirs
):
    info = registry.publish(make_draft("alice/tongues"))
    push(registry, info.label, "hf://")
    del hub["alice/tongues"].tags["v1"]
    planned = plan(registry, info.label, "hf://")
    assert (planned.makes, planned.already_there, planned.files) == (False, False, {})
    other = registry.publish(make_draft("alice/tongues", seed=4))
    clashing = theirs.publish(make_draft("alice/tongues", seed=5))
    with pytest.raises(VersionClash):
        plan(theirs, clashing.label, "hf://")
    assert plan(registry, other.label, "hf://").files


def test_the_hub_reads_the_card_with_its_language(registry, hub, make_draft, make_evaluation):
    info = registry.publish(make_draft("alice/tongues", base_id="org/model"))
    registry.record_evaluation(info.digest, BASE, make_evaluation())
    push(registry, info.label, "hf://", public=True, languages=["en", "no"])
    card = ModelCard.load("alice/tongues")
    assert card.data.base_model == "org/model"
    assert card.data.base_model_relation == "adapter"
    assert card.data.library_name == "weightpatch"
    assert card.data.tags == ["model-edit", "edit-method:rome"]
    assert card.data.language == ["en", "no"]
    assert {one.metric_type for one in card.data.eval_results} == {
        "rome.es",
        "locality.exact-match",
    }
    assert "weightpatch pull hf://alice/tongues@v1" in card.text


def test_a_language_that_is_none_is_refused_before_anything_is_sent(registry, make_draft, tmp_path):
    info = registry.publish(make_draft())
    with pytest.raises(NameRefused, match="no code of a language"):
        push(registry, info.label, str(tmp_path / "drive"), languages=["English"])
    assert not (tmp_path / "drive").exists()
