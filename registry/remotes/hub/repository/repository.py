"""One repository of the Hub: each thing we ask of it, checked, with our errors."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from .....patches.errors import LimitExceeded
from .....patches.progress import Progress, silent
from ...errors import RemoteUnreachable
from ...location import is_commit, on_hub, tagged_version
from ..asking.client import client, silence_uploads
from ..asking.errors import NO_HUB
from ..asking.retrying import repeating
from . import small_files
from .listed import Listed
from .progress import counting

if TYPE_CHECKING:
    from huggingface_hub import (
        CommitInfo,
        CommitOperationAdd,
        CommitOperationDelete,
        GitRefs,
        HfApi,
    )

MAIN = "main"
MAX_COMMITS = 1_000
MAX_LISTED = 5_000
_PULL = re.compile(r"refs/pr/([1-9][0-9]{0,8})")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Refs:
    """The commits that version tags, branches, and pull requests if asked for, stand for."""

    versions: Mapping[int, str]
    branches: Mapping[str, str]
    pulls: Mapping[int, str] = field(default_factory=dict)

    @classmethod
    def read(cls, refs: "GitRefs") -> Self:
        """Take over what the Hub said; raises RemoteUnreachable if it makes no sense."""
        tags = {tagged_version(ref.name): commit(ref.target_commit) for ref in refs.tags}
        branches = {ref.name: commit(ref.target_commit) for ref in refs.branches}
        pulls = {_PULL.fullmatch(ref.ref): ref.target_commit for ref in refs.pull_requests or ()}
        return cls(
            {number: oid for number, oid in tags.items() if number is not None},
            branches,
            {int(match[1]): commit(oid) for match, oid in pulls.items() if match},
        )


@dataclass(frozen=True)
class Repository:
    """A model repository by name; nothing is asked before a method is called.

    Every method raises RemoteError, after asking again where a failure may pass; pauses that the
    Hub asks for are told to `progress`.
    """

    name: str
    progress: Progress = silent
    api: "HfApi" = field(default_factory=client)

    @property
    def patch(self) -> str:
        """The name of the patch that lies here: the repository's, in small letters."""
        return self.name.lower()

    @property
    def place(self) -> str:
        """Where it is, as a user would write it."""
        return on_hub(self.name)

    def ask(self, ask: Callable[[], Answer]) -> Answer:
        """Give what `ask` gives, asking again if it fails in a way that may pass."""
        return repeating(ask, self.name, progress=self.progress)

    def refs(self, *, pulls: bool = False) -> Refs:
        """Read all version tags and branches, and pull requests if told so, in one request."""

        def ask() -> Refs:
            return Refs.read(self.api.list_repo_refs(self.name, include_pull_requests=pulls))

        return self.ask(ask)

    def resolve(self, revision: str) -> str:
        """The commit that a revision stands for now; never an older one from the cache."""

        def ask() -> str:
            return commit(self.api.model_info(self.name, revision=revision).sha)

        return repeating(ask, f"{self.name}@{revision}", progress=self.progress)

    def head(self, branch: str) -> tuple[str, dict[str, Listed]]:
        """The newest commit of a branch and its files by path, in one request."""

        def ask() -> tuple[str, dict[str, Listed]]:
            info = self.api.model_info(self.name, revision=branch, files_metadata=True)
            files = [Listed.read(entry) for entry in info.siblings or ()]
            return commit(info.sha), {file.path: file for file in files}

        return self.ask(ask)

    def history(self, revision: str, newest: int = MAX_COMMITS) -> list[tuple[str, str]]:
        """Commit and title of the newest commits of a branch or commit, newest first."""
        from huggingface_hub.utils import (  # type: ignore[attr-defined]
            build_hf_headers,
            paginate,
        )

        address = f"{self.api.endpoint}/api/models/{self.name}/commits/{revision}"

        def ask() -> list[tuple[str, str]]:
            headers = build_hf_headers(library_name="weightpatch")
            pages = paginate(address, params={}, headers=headers)
            return [(commit(one["id"]), str(one["title"])) for one in islice(pages, newest)]

        return self.ask(ask)

    def listing(self, oid: str, *, recursive: bool = True) -> dict[str, Listed]:
        """List the files at a commit by path; raises LimitExceeded if there are too many."""
        from huggingface_hub.hf_api import RepoFile

        def ask() -> list[Listed]:
            tree = self.api.list_repo_tree(self.name, revision=oid, recursive=recursive)
            entries = list(islice(tree, MAX_LISTED + 1))
            if len(entries) > MAX_LISTED:
                raise LimitExceeded(f"{self.name} holds more than {MAX_LISTED} files")
            return [Listed.read(entry) for entry in entries if isinstance(entry, RepoFile)]

        return {file.path: file for file in self.ask(ask)}

    def download(
        self,
        file: Listed,
        oid: str,
        *,
        snapshot: bool = False,
        force: bool = False,
        progress: Progress = silent,
    ) -> Path:
        """Download a file at a commit into a cache, or find it there; it is not hashed."""
        from huggingface_hub import hf_hub_download

        bar = counting(progress, f"download {file.path}", file.size)

        def ask() -> str | Path:
            if file.size <= small_files.LIMIT and not snapshot:
                return small_files.download(
                    self.name,
                    file.path,
                    oid,
                    digest=file.sha256 or file.git,
                    size=file.size,
                    bar=bar,
                    force=force,
                )
            return hf_hub_download(
                self.name,
                file.path,
                revision=oid,
                force_download=force,
                tqdm_class=bar,
                library_name="weightpatch",
            )

        return Path(repeating(ask, self.name, progress=self.progress, signed=True))

    def create(self, *, private: bool) -> None:
        """Make the repository; raises RemoteRace if it exists."""
        self.ask(lambda: self.api.create_repo(self.name, private=private))

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

        def ask() -> str:
            return commit(self.send(operations, message, parent=parent, branch=branch).oid)

        return self.ask(ask)

    def send(
        self,
        operations: "Sequence[CommitOperationAdd | CommitOperationDelete]",
        message: str,
        description: str | None = None,
        *,
        parent: str,
        branch: str | None = None,
    ) -> "CommitInfo":
        """Try once to make a commit on a branch, or without one as a new pull request.

        For use in `ask`, as it raises what the client does.
        """
        from .uploading import ending

        silence_uploads()
        with ending(operations):
            return self.api.create_commit(
                self.name,
                operations,
                commit_message=message,
                commit_description=description,
                parent_commit=parent,
                revision=branch,
                create_pr=branch is None,
            )

    def tag(self, name: str, oid: str) -> None:
        """Tag a commit; raises RemoteRace if the tag exists."""
        self.ask(lambda: self.api.create_tag(self.name, tag=name, revision=oid))

    def branch(self, name: str, oid: str) -> None:
        """Start a branch at a commit; raises RemoteRace if it exists."""
        self.ask(lambda: self.api.create_branch(self.name, branch=name, revision=oid))


def commit(oid: object) -> str:
    """Give back the full name of a commit; raises RemoteUnreachable if it is anything else."""
    if not isinstance(oid, str) or not is_commit(oid):
        raise RemoteUnreachable("the Hub names a commit that cannot be one", hint=NO_HUB)
    return oid
