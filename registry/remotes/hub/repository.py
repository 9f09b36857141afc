"""One repository of the Hub: each thing we ask of it, checked, with our errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from ....patches.errors import LimitExceeded
from ....patches.progress import Progress, silent
from ..errors import RemoteUnreachable
from ..location import is_commit, tagged_version
from .client import asking, client, uploading
from .files import Listed
from .progress import counting

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

MAX_LISTED = 5_000


@dataclass(frozen=True)
class Refs:
    """The commits that version tags and branches stand for."""

    versions: Mapping[int, str]
    branches: Mapping[str, str]


@dataclass(frozen=True)
class Repository:
    """A model repository by name; nothing is asked before a method is called.

    Every method raises RemoteError.
    """

    name: str
    api: "HfApi" = field(default_factory=client)

    def refs(self) -> Refs:
        """Read all version tags and branches, in one request."""
        with asking(self.name):
            refs = self.api.list_repo_refs(self.name)
            tags = {tagged_version(ref.name): commit(ref.target_commit) for ref in refs.tags}
            branches = {ref.name: commit(ref.target_commit) for ref in refs.branches}
        versions = {number: oid for number, oid in tags.items() if number is not None}
        return Refs(versions, branches)

    def resolve(self, revision: str) -> str:
        """The commit that a revision stands for now; never an older one from the cache."""
        with asking(f"{self.name}@{revision}"):
            return commit(self.api.model_info(self.name, revision=revision).sha)

    def listing(self, oid: str, *, recursive: bool = True) -> dict[str, Listed]:
        """List the files at a commit by path; raises LimitExceeded if there are too many."""
        from huggingface_hub.hf_api import RepoFile

        with asking(self.name):
            tree = self.api.list_repo_tree(self.name, revision=oid, recursive=recursive)
            entries = list(islice(tree, MAX_LISTED + 1))
            if len(entries) > MAX_LISTED:
                raise LimitExceeded(f"{self.name} holds more than {MAX_LISTED} files")
            files = [Listed.read(entry) for entry in entries if isinstance(entry, RepoFile)]
        return {file.path: file for file in files}

    def download(
        self, file: Listed, oid: str, *, force: bool = False, progress: Progress = silent
    ) -> Path:
        """Download a file at a commit into the Hub's cache, or find it there; it is not hashed."""
        from huggingface_hub import hf_hub_download

        bar = counting(progress, f"download {file.path}", file.size)
        with asking(self.name):
            path = hf_hub_download(
                self.name,
                file.path,
                revision=oid,
                force_download=force,
                tqdm_class=bar,
                library_name="weightpatch",
            )
        return Path(path)

    def create(self, *, private: bool) -> None:
        """Make the repository."""
        with asking(self.name):
            self.api.create_repo(self.name, private=private)

    def commit(
        self,
        operations: "Sequence[CommitOperationAdd | CommitOperationDelete]",
        *,
        message: str,
        parent: str,
        branch: str,
    ) -> str:
        """Make one commit on top of `parent`; RemoteRace if that is no longer the branch's head.

        Gives the branch's head, which is another commit if there was nothing to change.
        """
        with asking(self.name), uploading():
            made = self.api.create_commit(
                self.name,
                operations,
                commit_message=message,
                parent_commit=parent,
                revision=branch,
            )
            return commit(made.oid)

    def tag(self, name: str, oid: str) -> None:
        """Tag a commit; raises RemoteRace if the tag exists."""
        with asking(self.name):
            self.api.create_tag(self.name, tag=name, revision=oid)

    def branch(self, name: str, oid: str) -> None:
        """Start a branch at a commit; raises RemoteRace if it exists."""
        with asking(self.name):
            self.api.create_branch(self.name, branch=name, revision=oid)


def commit(oid: object) -> str:
    """Give back the full name of a commit; raises RemoteUnreachable if it is anything else."""
    if not isinstance(oid, str) or not is_commit(oid):
        raise RemoteUnreachable(
            "the Hub names a commit that cannot be one", hint="is HF_ENDPOINT really a Hub?"
        )
    return oid
