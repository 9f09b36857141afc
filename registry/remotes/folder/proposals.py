"""Proposals in a folder: each in `pr/<N>/` beside the versions, its text in `pr/<N>.md`.

A number is taken by making the text, which fails if it is there, and the version is renamed into
its place afterwards. Accepting writes `v<M>` from what was reviewed: the files of a proposal stay
in the hands of its author.
"""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ....patches.builds.staging import sync
from ....patches.digests import sha256
from ....patches.errors import InputError, TargetExists
from ....patches.format.manifest import MAX_BYTES
from ....patches.format.names import quoted
from ....patches.format.patch import MANIFEST, Patch
from ....patches.progress import Progress, silent
from ..base import Bundle, Pushed
from ..errors import RemoteNotFound, RemoteRace, RemoteRefused
from ..location import tag
from ..proposals import MERGED, OPEN, Candidate, Proposal, Proposed, Text
from ..transfer import from_place, read_limited
from .existing import (
    check_whole,
    copy_version,
    differing,
    foreign,
    read_attestations,
    real_entries,
    require_folder,
)
from .notes import Note, read_note
from .publishing import incoming_name, make_folder, publish, settle, staged

PROPOSALS = "pr"
LAST_NUMBER = 999_999_999
TRIES = 100
"""How often a number is tried that somebody else takes at the same time."""

_PROPOSAL = re.compile(r"([1-9][0-9]{0,8})(\.md)?")


@dataclass(frozen=True)
class FolderProposals:
    """The proposals for one patch; `home` is the folder that its versions lie in."""

    home: Path
    name: str

    def propose(self, bundle: Bundle, text: Text, newest: int, progress: Progress) -> Proposed:
        """Lay a version down under the next number.

        Raises RemoteRefused, RemoteRace, PathRefused, OSError, and what `staged` does.
        """
        require_next(bundle.patch, newest)
        make_folder(self._folder, mode=self.home.stat().st_mode)
        require_folder(self._folder)
        known = next((one for one in self._numbers() if self._holds(one, bundle.patch)), None)
        if known is not None:
            return Proposed(known, str(self._place(known)), None, None, already_there=True)
        with staged(self._folder, bundle, progress) as incoming:
            number = self._settle(incoming, bundle, text)
        return Proposed(number, str(self._place(number)), None, None, already_there=False)

    def waiting(self) -> list[Proposal]:
        """Those that were neither accepted nor taken away, newest first.

        Raises PathRefused, OSError.
        """
        return [self._proposal(number, OPEN) for number in self._numbers()]

    def fetch(self, number: int, into: Path, progress: Progress) -> Candidate:
        """Copy a proposed version, or what became of it, into an empty folder.

        Raises RemoteNotFound, the InputError that says what is wrong with it, and OSError.
        """
        source, status = self._place(number), OPEN
        if not self._waits(number):
            source, status = self._merged(number), MERGED
        besides = tuple(foreign(source))
        check_whole(source)
        with from_place(source):
            copy_version(source, into, self.name, None, progress)
            patch, attestations = Patch.open(into), read_attestations(source)
        return Candidate(self._proposal(number, status), patch, attestations, None, besides)

    def accept(self, number: int, bundle: Bundle, newest: int) -> Pushed:
        """Make a version of what was reviewed, if that still is what is proposed.

        Raises as `Remote.accept`, and OSError.
        """
        source, reviewed = self._place(number), bundle.patch
        target = self.home / tag(bundle.version)
        if not self._waits(number):
            self._merged(number)
        already_there = _is_there(target, reviewed)
        if not already_there:
            try:
                self._check(source, reviewed, newest)
                publish(self.home, target, bundle, silent)
            except (TargetExists, RemoteNotFound, RemoteRace) as error:
                already_there = _is_there(target, reviewed)
                if not already_there:
                    raise _taken(reviewed) if isinstance(error, TargetExists) else error from None
        self._take_away(number, reviewed)
        return Pushed(str(target), None, already_there=already_there)

    @property
    def _folder(self) -> Path:
        return self.home / PROPOSALS

    def _place(self, number: int) -> Path:
        return self._folder / str(number)

    def _text(self, number: int) -> Path:
        return self._folder / f"{number}.md"

    def _waits(self, number: int) -> bool:
        """Whether anything lies where a proposal would; raises PathRefused."""
        if os.path.lexists(self._folder):
            require_folder(self._folder)
        return os.path.lexists(self._place(number))

    def _names(self) -> Sequence[str]:
        return real_entries(self._folder) if os.path.lexists(self._folder) else ()

    def _numbers(self) -> list[int]:
        """The numbers of those that lie there, highest first."""
        numbers = [
            int(name) for name in self._names() if _PROPOSAL.fullmatch(name) and "." not in name
        ]
        return sorted((one for one in numbers if _is_folder(self._place(one))), reverse=True)

    def _next(self) -> int:
        """A number that no proposal ever had, as texts stay; raises RemoteRefused."""
        names = {
            int(match[1]): name for name in self._names() if (match := _PROPOSAL.fullmatch(name))
        }
        last = max(names, default=0)
        if last >= LAST_NUMBER:
            raise RemoteRefused(
                f"{self.name} has no number left for a proposal",
                why=f"{self._folder / names[last]} has the last one",
                hint="whoever keeps the folder can take it out, if it is no proposal",
            )
        return last + 1

    def _settle(self, incoming: Path, bundle: Bundle, text: Text) -> int:
        """Take the next number that nobody else takes, and give the folder this name."""
        page = Note.of(text, bundle.version, bundle.patch.digest).to_bytes(text)
        for _ in range(TRIES):
            number = self._next()
            try:
                _write_new(self._text(number), page)
                settle(incoming, self._place(number))
            except (FileExistsError, TargetExists):
                continue
            return number
        raise RemoteRace(
            f"no number for a proposal could be had in {self._folder}",
            why=f"{TRIES} times somebody else had it first",
            hint="try again",
        )

    def _proposal(self, number: int, status: str) -> Proposal:
        note = read_note(self._text(number))
        place = str(self._place(number))
        if note is None:
            return Proposal(number, "(its text cannot be read)", "", "", status, place)
        return Proposal(number, note.title, note.author, note.created, status, place, note.version)

    def _holds(self, number: int, patch: Patch) -> bool:
        return _is_there(self._place(number), patch)

    def _merged(self, number: int) -> Path:
        """The version that a proposal became; raises RemoteNotFound."""
        if not os.path.lexists(self._text(number)):
            known = ", ".join(map(str, self._numbers())) or "none"
            raise RemoteNotFound(
                f"{self.name} has no proposal {number}",
                why=f"proposals that wait there: {known}",
                hint="check the number",
            )
        note = read_note(self._text(number))
        if note is not None:
            version = self.home / tag(note.version)
            if _digest(version) == note.digest:
                return version
        raise RemoteNotFound(
            f"proposal {number} for {self.name} was never finished, or taken away",
            why="its text is there, and nothing that it speaks of",
            hint="ask whoever keeps the patch, or propose it again",
        )

    def _check(self, source: Path, reviewed: Patch, newest: int) -> None:
        """Raise unless a proposal is what was reviewed, and may become a version."""
        if reviewed.manifest.name != self.name:
            raise RemoteRefused(f"{reviewed.label} is no version of {self.name}")
        if others := foreign(source):
            raise RemoteRefused(
                f"the proposal holds {quoted(others[0])}, which belongs to no version",
                why="it would lie among the files of the version, and nobody could pull that",
                hint=f"whoever keeps {source} can take it out; then review it again",
            )
        if other := differing(source, reviewed):
            raise _changed(other)
        if reviewed.manifest.version != newest + 1:
            raise _taken(reviewed)

    def _take_away(self, number: int, patch: Patch) -> None:
        """Remove a proposal that is a version already, if it is that still.

        Its files are its author's: what cannot be removed stays, and accepting it again tries anew.
        """
        with suppress(OSError), incoming_name(self._folder) as hidden:
            if self._holds(number, patch):
                self._place(number).rename(hidden)
                sync(self._folder)


def require_next(patch: Patch, newest: int) -> None:
    """Raise RemoteRefused unless a version is numbered one above the newest."""
    if patch.manifest.version != newest + 1:
        raise RemoteRefused(
            f"{patch.label} cannot be proposed",
            why=f"the newest version there is {newest}, so a proposal is numbered {newest + 1}",
            hint="propose it again: it gets the number that is next now",
        )


def _changed(name: str) -> RemoteRace:
    return RemoteRace(
        f"{quoted(name)} of the proposal is not what was reviewed",
        why="somebody changed it since",
        hint="review it again",
    )


def _taken(patch: Patch) -> RemoteRefused:
    return RemoteRefused(
        f"the number of {patch.label} was taken meanwhile",
        why="another version was pushed or accepted since it was proposed",
        hint="whoever proposed it can propose it again, for the next number",
    )


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _is_there(folder: Path, patch: Patch) -> bool:
    """Whether a folder holds a version, byte for byte; what cannot be read holds none."""
    try:
        return differing(folder, patch) is None
    except (RemoteNotFound, InputError, OSError):
        return False


def _digest(folder: Path) -> str | None:
    """The digest of the version in a folder, if one can be read there."""
    try:
        require_folder(folder)
        return sha256(read_limited(folder / MANIFEST, MAX_BYTES))
    except (RemoteNotFound, InputError, OSError):
        return None


def _write_new(path: Path, data: bytes) -> None:
    """Make a file that nobody else makes at once; raises FileExistsError, OSError."""
    with path.open("xb") as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            path.unlink()
            raise
