"""How places on the Hub are written."""

import pytest
from weightpatch.patches.errors import NameRefused, PluginMissing
from weightpatch.registry.remotes.base import open_remote
from weightpatch.registry.remotes.folder.remote import FolderRemote
from weightpatch.registry.remotes.hub.remote import HubRemote
from weightpatch.registry.remotes.location import (
    HubLocation,
    parse_location,
    parse_proposal,
    tagged_version,
    without_revision,
)


@pytest.mark.parametrize(
    ("text", "location", "version"),
    [
        ("hf://", HubLocation(None, None), None),
        ("hf://acme/tongues", HubLocation("acme/tongues", None), None),
        ("hf://acme/tongues@v3", HubLocation("acme/tongues", "v3"), 3),
        ("hf://acme/tongues@main", HubLocation("acme/tongues", "main"), None),
        ("hf://acme/tongues@refs/heads/dev", HubLocation("acme/tongues", "refs/heads/dev"), None),
    ],
)
def test_a_location_is_read_and_printed(text, location, version):
    assert parse_location(text) == location
    assert location.version == version
    assert str(location) == text


@pytest.mark.parametrize(
    "text",
    [
        "acme/tongues",
        "https://huggingface.co/acme/tongues",
        "hf://acme",
        "hf://acme/tongues/v1",
        "hf://-Acme/tongues",
        "hf://acme/../tongues",
        "hf://acme/tongues@",
        "hf://acme/tongues@../main",
        "hf://acme/tongues@a b",
        "hf://@v1",
        "hf://acme/tongues\n",
    ],
)
def test_what_is_no_location_is_refused(text):
    with pytest.raises(NameRefused):
        parse_location(text)


@pytest.mark.parametrize("text", ["@refs/pr/7", "/pr/7", "/pr/7/", "@refs/pr/7/"])
def test_a_proposal_is_no_version_and_is_reviewed(text):
    with pytest.raises(NameRefused, match="is a proposal, not a version") as caught:
        open_remote(f"hf://acme/tongues{text}")
    assert caught.value.hint == "look at it: weightpatch review hf://acme/tongues/pr/7"


@pytest.mark.parametrize("text", ["hf://acme/tongues@refs/pr/1", "hf://acme/tongues"])
def test_a_revision_can_be_left_out(text):
    """Also one that was written down before it was refused."""
    assert without_revision(text) == "hf://acme/tongues"


@pytest.mark.parametrize("name", ["v0", "v01", "1", "v1.0", "V1", "v", "v1\n", "v9999999999"])
def test_tags_of_other_kinds_are_no_versions(name):
    assert tagged_version(name) is None


def test_remotes_are_found_by_scheme():
    assert isinstance(open_remote("hf://acme/tongues@v1"), HubRemote)
    for known in ("ipfs", "folder", "hub"):
        with pytest.raises(PluginMissing, match=f"{known}:// is not known"):
            open_remote(f"{known}://acme/tongues")
    with pytest.raises(NameRefused, match="neither on the Hub nor in a folder"):
        parse_proposal("folder://acme/tongues/pr/1")


def test_a_place_is_needed():
    with pytest.raises(NameRefused, match="empty"):
        open_remote("")


@pytest.mark.parametrize("read", [open_remote, parse_proposal])
@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("HF://", "hf://"),
        ("hf:/", "hf://"),
        ("hf:/acme/tongues", "hf://acme/tongues"),
        ("Hf:acme/tongues", "hf://acme/tongues"),
        ("HTTPS://huggingface.co/acme/tongues", "hf://namespace/name"),
    ],
)
def test_a_mistyped_address_is_no_folder(read, text, meant):
    with pytest.raises(NameRefused, match="neither an address") as caught:
        read(text)
    assert caught.value.hint == f"write {meant}, or ./{text} for a folder that is called so"


@pytest.mark.parametrize("text", ["./hf:/acme", "c:/acme", "a b:/acme", "/hf:/acme"])
def test_a_folder_may_have_a_colon_in_its_name(text):
    assert isinstance(open_remote(text), FolderRemote)


@pytest.mark.parametrize("text", ["/pr/x", "/pr/0", "/pr/04", "/pr", "/pr/", "@refs/pr/x"])
def test_a_proposal_is_a_number(text):
    for read in (parse_proposal, parse_location):
        with pytest.raises(NameRefused, match="names no proposal") as caught:
            read(f"hf://acme/tongues{text}")
        assert (caught.value.hint or "").startswith("write hf://acme/tongues/pr/7")
