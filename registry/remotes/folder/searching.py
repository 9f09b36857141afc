"""Search a folder: of each patch the manifest of the newest version, and what its card claims."""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from ....patches.checkpoints.checkpoint import Checkpoint
from ....patches.errors import NameRefused, WeightpatchError
from ....patches.format.manifest import MAX_BYTES, BaseRecord, Manifest
from ....patches.format.names import check_patch_name
from ....patches.format.patch import CARD, MANIFEST
from ....patches.progress import Progress, silent
from ..base import read_manifest
from ..card_scores import read_scores
from ..catalogue import Found, Published, Unanswered, Wanted
from ..errors import RemoteNotFound
from ..location import tag
from ..transfer import read_limited
from .existing import real_entries, require_folder

MAX_PATCHES = 10_000
MAX_CARD = 1 << 20
MAX_METADATA = 1 << 16
_METADATA = re.compile(rb"---\r?\n(.*?)\r?\n---\r?\n", re.DOTALL)


Versions = Callable[[str], Sequence[int]]
"""Gives the numbers of a patch that are there, in order; raises RemoteNotFound for none."""


def search(
    root: Path, versions: Versions, wanted: Wanted, limit: int, *, progress: Progress = silent
) -> Found:
    """Find at most `limit` patches, the newest first, out of the first `MAX_PATCHES` by name.

    One that cannot be read is told and stops nothing. Raises RemoteNotFound, PathRefused, OSError.
    """
    found: list[Published] = []
    unanswered: list[Unanswered] = []
    names = list(islice(_names(root, wanted.author, unanswered), MAX_PATCHES + 1))
    for done, name in enumerate(names[:MAX_PATCHES]):
        progress("search the folder", done, len(names))
        if not wanted.has_words(name):
            continue
        try:
            found += _matching(root / name, name, versions(name), wanted)
        except RemoteNotFound:  # no version is there, or none any more
            continue
        except (WeightpatchError, OSError) as error:
            unanswered.append(Unanswered(name, str(root), error))
    found.sort(key=lambda each: each.changed or "", reverse=True)
    more = len(found) > limit or len(names) > MAX_PATCHES
    return Found(tuple(found[:limit]), tuple(unanswered), left_out=0, more=more)


def _names(root: Path, author: str | None, unanswered: list[Unanswered]) -> Iterator[str]:
    """What could be patches, of one author if that is given; links are not followed.

    A namespace that cannot be read is told in `unanswered`.
    """
    if not root.is_dir():
        raise RemoteNotFound(f"there is no folder {root}", hint="is the drive mounted?")
    for namespace in sorted(entry.name for entry in root.iterdir()):
        if author not in (None, namespace) or not _can_be_patch(f"{namespace}/x"):
            continue
        try:
            halves = real_entries(root / namespace) if _is_folder(root / namespace) else []
        except RemoteNotFound:  # it was taken away just now
            continue
        except (WeightpatchError, OSError) as error:
            unanswered.append(Unanswered(namespace, str(root), error))
            continue
        yield from filter(_can_be_patch, (f"{namespace}/{half}" for half in halves))


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _can_be_patch(name: str) -> bool:
    try:
        check_patch_name(name)
    except NameRefused:
        return False
    return True


def _matching(
    home: Path, name: str, versions: Sequence[int], wanted: Wanted
) -> Iterator[Published]:
    """The patch, if its newest version is what is looked for."""
    folder = home / tag(max(versions))
    require_folder(folder)
    manifest = read_manifest(read_limited(folder / MANIFEST, MAX_BYTES), name, max(versions))
    if wanted.method not in (None, manifest.method.name) or not _has_base(manifest, wanted.base):
        return
    scores = read_scores({"cardData": _metadata(folder / CARD)})
    if wanted.has_scores(scores):
        bases = tuple(dict.fromkeys(base.id for base in manifest.bases))
        method, created = manifest.method.name, manifest.created
        yield Published(name, tuple(versions), method, bases, scores, created)


def _has_base(manifest: Manifest, wanted: str | Checkpoint | None) -> bool:
    if wanted is None:
        return True
    if isinstance(wanted, str):
        return any(wanted in (base.id, base.label) for base in manifest.bases)
    return any(_fits(base, wanted) for base in manifest.bases)


def _fits(base: BaseRecord, checkpoint: Checkpoint) -> bool:
    """Whether the checkpoint has every tensor that is touched, with its digest."""
    there = set(base.tensors) <= set(checkpoint.tensors)
    return there and all(
        checkpoint.digest(name) == record.sha256 for name, record in base.tensors.items()
    )


def _metadata(card: Path) -> object:
    """The metadata of a card; nothing if it has none, or none that can be read."""
    from .. import card_yaml

    try:
        match = _METADATA.match(read_limited(card, MAX_CARD))
    except (WeightpatchError, OSError):
        return None
    if match is None or len(match[1]) > MAX_METADATA:
        return None
    return card_yaml.read(match[1])
