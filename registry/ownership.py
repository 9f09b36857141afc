"""Whose blobs a folder holds: two registries in one folder would collect each other's files."""

import os
import secrets
from pathlib import Path

from sqlalchemy import Connection

from .blobs import BlobStore, sync_folder
from .errors import BlobsOfAnother
from .ledger.checkpoints import MAX_BYTES
from .ledger.origin import origin

OWNER = "registry"
"""The file among the blobs that holds their registry's origin, as its checkpoints have it."""


def claim(connection: Connection, blobs: BlobStore) -> None:
    """Write down that the blobs are this registry's; raises BlobsOfAnother, OSError.

    A registry without a ledger owns nothing, and claims nothing.
    """
    ours = origin(connection)
    if ours is None:
        return
    owner = _owner(blobs)
    if owner is None:
        _write(blobs, ours)
        owner = _owner(blobs)
    if owner != ours:
        raise BlobsOfAnother(
            f"{blobs.root} holds the files of another registry",
            why=f"they belong to {owner}, this is {ours}, and each would take the other's away",
            hint="nothing was changed; let WEIGHTPATCH_HOME name the folder that belongs to this "
            "database, or an empty one for a new registry",
        )


def stranger(connection: Connection, blobs: BlobStore) -> str | None:
    """The origin of the other registry whose blobs these are, None if they are ours or free."""
    owner, ours = _owner(blobs), origin(connection)
    return owner if ours is not None and owner not in (None, ours) else None


def _owner(blobs: BlobStore) -> str | None:
    try:
        with (blobs.root / OWNER).open("rb") as file:
            return file.read(MAX_BYTES).decode(errors="backslashreplace").strip()
    except FileNotFoundError:
        return None


def _name(partial: Path, final: Path) -> None:
    """Give a file its name unless there is one of that name."""
    try:
        os.link(partial, final)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links
        partial.replace(final)


def _write(blobs: BlobStore, origin: str) -> None:
    """Make the file, whole; if somebody else does so at once, the first one stays."""
    blobs.root.mkdir(parents=True, exist_ok=True)
    partial = blobs.root / f".{OWNER}-{os.getpid()}-{secrets.token_hex(8)}"
    try:
        with partial.open("x") as file:
            file.write(f"{origin}\n")
            file.flush()
            os.fsync(file.fileno())
        _name(partial, blobs.root / OWNER)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(blobs.root)
