"""What tests of pull requests share: the text of one, and what else happens to a repository."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from loopback_hub import LoopbackHub
from loopback_repositories import Repository
from weightpatch.patches.format.patch import Patch
from weightpatch.registry.remotes.base import Bundle
from weightpatch.registry.remotes.proposals import Text

NAME = "acme/tongues"
TEXT = Text("Say it in Latin", "Fixes **one** fact.\n\n| score | before | after |\n")
_THING = re.compile(
    r"discussions(?:/\d+)?(?:/merge)?$|objects/batch|refs$|tree|validate-yaml|preupload|commit|"
    r"tag|resolve|storage|verify"
)


def card_of(patch: Patch) -> str:
    """A card that is quick to write."""
    return f"---\ntags: [model-edit]\n---\n\n# {patch.label}\n"


def as_bundle(patch: Patch, notes: Mapping[str, bytes] = MappingProxyType({})) -> Bundle:
    """A version to be accepted, with the card and the `notes` that it was proposed with."""
    folder = patch.files["patch.json"].parent.parent
    for digest, data in notes.items():
        (folder / digest).write_bytes(data)
    return Bundle(patch, card_of(patch), {digest: folder / digest for digest in notes})


def asked(hub: LoopbackHub) -> list[str]:
    """What the hub was asked, in words."""
    return [f"{method} {_THING.search(path)[0]}" for method, path in hub.requests]


def change(repository: Repository, branch: str, changes: dict[str, bytes | None]) -> None:
    """Commit changes directly; None deletes."""
    tree = dict(repository.head(branch))
    for path in [path for path, data in changes.items() if data is None]:
        del tree[path]
    repository.move(branch, repository.add(tree, parent=repository.resolve(branch)))
    repository.put({path: data for path, data in changes.items() if data is not None}, branch)


def merge_by_click() -> None:
    """What the button on the page does."""
    from huggingface_hub import HfApi  # not before it is known which hub the tests are for

    HfApi().merge_pull_request(NAME, 1)
