"""One number, two versions: whose is there, and how to publish the other one."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager

from ...patches.errors import InputError
from ...patches.format.names import quoted
from ...patches.format.patch import Patch
from ..errors import VersionClash
from ..registry import Registry, VersionInfo
from ..remotes.base import Bundle, Remote
from ..remotes.errors import RemoteError
from ..remotes.location import without_revision


@contextmanager
def clash_told(remote: Remote, bundle: Bundle, location: str) -> Iterator[None]:
    """Let a VersionClash say whose version has the number, and how to publish the other one."""
    try:
        yield
    except VersionClash as error:
        try:
            there = remote.look(bundle.name)
        except (RemoteError, InputError, OSError):
            raise error from None
        found, number = there.manifest, bundle.version
        if found.version == number:
            error.why = (
                f"it is sha256:{there.digest[:12]}…, by {quoted(found.author)}, {found.created}; "
                f"yours is sha256:{bundle.patch.digest[:12]}…, and a number stands for one content "
                "for ever"
            )
        else:
            error.why = f"a number stands for one content for ever; the newest is {found.label}"
        place = shlex.quote(location)
        error.hint = (
            f"nothing was changed there; publish yours under the next number: weightpatch push "
            f"{bundle.label} {place} --next"
        )
        raise


def admitted(registry: Registry, patch: Patch, location: str) -> VersionInfo:
    """Take a version in; a VersionClash with one that was never exchanged says how to go on."""
    try:
        return registry.admit(patch)
    except VersionClash as error:
        known = registry.resolve(patch.label, to_read=True)
        is_gone = known.standing and known.standing.deleted
        if not is_gone and not registry.transfers(f"sha256:{known.digest}", limit=1):
            place = shlex.quote(without_revision(location))
            error.hint = (
                "the one here was never exchanged; if it is yours, publish it under the next "
                f"number: weightpatch push {patch.label} {place} --next"
            )
        raise
