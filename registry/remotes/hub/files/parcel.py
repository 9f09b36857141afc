"""What a push sends: the files of a version, hashed before, and compared once they are there."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from .....patches.errors import DigestMismatch
from .....patches.format.patch import ATTESTATIONS, CARD
from .....patches.progress import Progress, silent
from ... import attestations as attested
from ...base import Bundle
from ...transfer import read_limited
from ..repository.listed import Content, Listed
from ..repository.repository import Repository

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete


@dataclass(frozen=True)
class Parcel:
    """A bundle as paths in a repository, each with its content."""

    bundle: Bundle

    @cached_property
    def sources(self) -> dict[str, Path | bytes]:
        """Where the bytes of each path come from; raises LimitExceeded, DigestMismatch."""
        files: dict[str, Path | bytes] = dict(self.bundle.patch.files)
        files[CARD] = self.bundle.card.encode()
        for digest, source in self.bundle.attestations.items():
            data = read_limited(source, attested.MAX_BYTES, follow=True)
            files[f"{ATTESTATIONS}/{attested.file_name(digest)}"] = attested.check(digest, data)
        return files

    @cached_property
    def contents(self) -> dict[str, Content]:
        """Size and digests of each path; raises DigestMismatch if the manifest says otherwise."""
        contents = {path: Content.of(source) for path, source in self.sources.items()}
        for path, record in self.bundle.records().items():
            if (contents[path].sha256, contents[path].size) != (record.sha256, record.size):
                raise DigestMismatch(
                    f"{path} of {self.bundle.label} was changed since it was stored",
                    why="so it was not pushed",
                    hint="pull or make the version again",
                )
        return contents

    def check(self) -> None:
        """Raise what `contents` does: nothing is asked before our own files are right."""
        _ = self.contents

    def missing(self, listed: Mapping[str, Listed]) -> list[str]:
        """Paths that are not there, or there with another content."""
        return [
            path for path, content in self.contents.items() if not content.is_at(listed.get(path))
        ]

    def stale(self, listed: Iterable[str]) -> list[str]:
        """Attestations there that are not of this version."""
        return sorted(set(filter(is_attestation, listed)) - set(self.sources))

    def is_at(self, listed: Mapping[str, Listed]) -> bool:
        """Whether the files of the version are there; the card and attestations do not matter."""
        return not set(self.bundle.records()).intersection(self.missing(listed))

    def send(
        self,
        repository: Repository,
        paths: Iterable[str],
        *,
        delete: Iterable[str] = (),
        parent: str,
        branch: str,
        progress: Progress,
    ) -> str:
        """Make one commit of these paths, compare what is there, and give the commit.

        Raises RemoteError, and DigestMismatch if something else arrived.
        """
        paths = list(paths)
        total = sum(self.contents[path].size for path in paths)
        progress(f"push {self.bundle.label}", 0, None)
        commit = repository.commit(
            self.operations(paths, delete, progress),
            message=title(self.bundle),
            parent=parent,
            branch=branch,
        )
        damaged = set(paths).intersection(self.missing(repository.listing(commit)))
        if damaged:
            raise DigestMismatch(
                f"{min(damaged)} did not arrive at {repository.name} as it was sent",
                why="so it was not tagged",
                hint="push again",
            )
        progress(f"push {self.bundle.label}", total, total)
        return commit

    def operations(
        self, paths: Iterable[str], delete: Iterable[str], progress: Progress = silent
    ) -> "list[CommitOperationAdd | CommitOperationDelete]":
        """The changes of one commit, for the Hub's client, which tell how much was sent."""
        from huggingface_hub import CommitOperationDelete

        from ..repository.uploading import Addition

        additions = [Addition(path, self.sources[path], progress) for path in paths]
        return [*additions, *map(CommitOperationDelete, delete)]


def title(bundle: Bundle) -> str:
    """The title of the commit that publishes a version."""
    return f"Publish {bundle.label}"


def is_attestation(path: str) -> bool:
    """Whether a path of a repository is that of an attestation."""
    return path.startswith(f"{ATTESTATIONS}/")
