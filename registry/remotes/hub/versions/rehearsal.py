"""A push to the Hub that stops where it would change something, and says what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .....patches.progress import silent
from ...base import Bundle, Plan
from ...location import on_hub, tag
from ..repository.listed import Listed
from ..repository.repository import MAIN, Refs, Repository
from .push import Push

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

_UNMADE = "0" * 40


class _Stop(Exception):
    """The push came to its first change of the repository's files or tags."""

    def __init__(self, files: Mapping[str, int], branch: str) -> None:
        super().__init__()
        self.files = files
        self.branch = branch


@dataclass(frozen=True)
class _Rehearsal(Repository):
    """A repository that is read as it is, and made and changed only in thought."""

    made: list[str] = field(default_factory=list)

    def refs(self, *, pulls: bool = False) -> Refs:
        """As they are; of a repository that would be made, an empty main branch."""
        return Refs({}, {MAIN: _UNMADE}) if self.made else super().refs(pulls=pulls)

    def listing(self, oid: str, *, recursive: bool = True) -> dict[str, Listed]:
        """As it is; nothing of a repository that would be made."""
        return {} if oid == _UNMADE else super().listing(oid, recursive=recursive)

    def head(self, branch: str) -> tuple[str, dict[str, Listed]]:
        """Of a repository that would be made, nothing."""
        return (_UNMADE, {}) if self.made else super().head(branch)

    def create(self, *, private: bool) -> None:  # noqa: ARG002
        """Make nothing."""
        self.made.append(self.name)

    def commit(
        self,
        operations: "Sequence[CommitOperationAdd | CommitOperationDelete]",
        *,
        message: str,  # noqa: ARG002
        parent: str,  # noqa: ARG002
        branch: str,
    ) -> str:
        """Stop here."""
        from huggingface_hub import CommitOperationAdd

        added = [one for one in operations if isinstance(one, CommitOperationAdd)]
        raise _Stop({one.path_in_repo: one.upload_info.size for one in added}, branch)

    def tag(self, name: str, oid: str) -> None:  # noqa: ARG002
        """Stop here: the commit was made before, and the push was cut off."""
        raise _Stop({}, MAIN)

    def branch(self, name: str, oid: str) -> None:
        """Make nothing."""


def rehearse(name: str, bundle: Bundle, *, private: bool) -> Plan:
    """Say what a push would do; raises as the push, but for what only trying tells."""
    stage = _Rehearsal(name)
    place = on_hub(name, tag(bundle.version))
    try:
        Push(stage, bundle, private, silent).run()
    except _Stop as stop:
        made = bool(stage.made)
        there = stop.branch != MAIN
        return Plan(place, made, private if made else None, there, stop.files)
    return Plan(place, makes=False, private=None, already_there=True, files={})
