"""The loopback hub itself, asked by the real client: what is found, by whom, and who may what."""

import pytest
from huggingface_hub import ModelCard, hf_hub_download
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError
from loopback_contents import CARD, commit

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=")


def test_a_search_goes_by_the_tags_of_the_cards(hub, api, fix):
    hub.page = 1
    for number in range(3):
        hub.make(f"bob/fix-{number}").put({"README.md": CARD.encode()})
    hub.make("bob/other").put({"README.md": b"---\ntags: [model-edit]\n---\n"})

    wanted = ["base_model:adapter:acme/pico", "model-edit"]
    found = list(api.list_models(filter=wanted, cardData=True))

    assert {model.id for model in found} == {"acme/fix", "bob/fix-0", "bob/fix-1", "bob/fix-2"}
    assert hub.asked("GET", "^/api/models$") == 4
    assert found[0].card_data.base_model == "acme/pico"
    assert [model.id for model in api.list_models(filter=wanted, author="acme")] == ["acme/fix"]
    assert [model.id for model in api.list_models(search="OTHER")] == ["bob/other"]
    assert len(list(api.list_models(sort="last_modified", limit=2))) == 2
    assert ModelCard.load("acme/fix").data.library_name == "weightpatch"


def test_what_is_private_is_not_there_for_others(hub, api, fix, as_user):
    as_user("hf_mallory")

    assert not list(api.list_models())
    assert not api.repo_exists("acme/fix")
    with pytest.raises(RepositoryNotFoundError):
        api.auth_check("acme/fix")
    as_user(None)
    with pytest.raises(RepositoryNotFoundError):
        hf_hub_download("acme/fix", "README.md")
    as_user("hf_alice_reads")
    assert hf_hub_download("acme/fix", "delta.safetensors")
    with pytest.raises(HfHubHTTPError, match="read rights"):
        commit(api, "acme/fix", {"delta.safetensors": b"x"})
    assert api.whoami()["auth"]["accessToken"]["role"] == "read"


def test_what_is_gated_is_shown_but_not_given(hub, api, fix, as_user):
    api.update_repo_settings("acme/fix", gated="auto", visibility="public")
    as_user("hf_mallory")

    assert api.model_info("acme/fix").gated == "auto"
    for ask in (api.auth_check, lambda name: hf_hub_download(name, "README.md")):
        with pytest.raises(GatedRepoError):
            ask("acme/fix")
    hub["acme/fix"].granted.add("mallory")
    api.auth_check("acme/fix")
    assert hf_hub_download("acme/fix", "delta.safetensors")


def test_a_repository_is_made_once_and_can_go(hub, api, fix):
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_repo("acme/fix")
    assert api.create_repo("acme/fix", exist_ok=True).repo_id == "acme/fix"
    api.delete_repo("acme/fix")

    assert not api.repo_exists("acme/fix")


def test_a_card_is_checked_before_it_is_committed(hub, api, fix):
    with pytest.raises(ValueError, match="metadata"):
        commit(api, "acme/fix", {"README.md": b"no metadata"})
