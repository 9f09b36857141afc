"""What a user may have meant by a revision that the Hub does not have."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from ..patches.errors import NameRefused
from ..registry.remotes.errors import RemoteNotFound, RemoteRefused
from ..registry.remotes.location import ON_HUB

_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_SHORT_COMMIT = re.compile(r"[0-9a-f]{7,39}")


@contextmanager
def hints_for(place: str) -> Iterator[None]:
    """Let an error about `hf://namespace/name@revision` say how the revision would be written."""
    try:
        yield
    except (RemoteNotFound, RemoteRefused, NameRefused) as error:
        if hint := _hint(place):
            error.hint = hint
        raise


def _hint(place: str) -> str | None:
    patch, _, revision = place.partition("@")
    if not place.startswith(ON_HUB):
        return None
    if _SHORT_COMMIT.fullmatch(revision) and not _NUMBER.fullmatch(revision):
        return "a commit is written in full, with 40 digits; a version by its tag, as in @v1"
    if _NUMBER.fullmatch(revision):
        return f"versions have tags there: write {patch}@v{revision}"
    return None
