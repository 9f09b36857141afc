"""Every error of the registry, each with a code a program can match.

WeightpatchError
└── RegistryError         the registry cannot do what was asked          exit 1
    ├── RegistryMissing   E_NO_REGISTRY   there is no registry in this place
    ├── SchemaTooOld      E_SCHEMA_OLD    the database waits for an upgrade
    ├── SchemaTooNew      E_SCHEMA_NEW    the database belongs to a newer weightpatch
    ├── DatabaseFailed    E_DATABASE      the database gave an error
    ├── BlobLost          E_BLOB          a stored file is missing or damaged
    ├── BlobsOfAnother    E_HOME          a folder of blobs that belongs to another registry
    ├── ReferenceRefused  E_REFERENCE     not a reference to a version
    ├── QueryRefused      E_QUERY         what is looked for makes no sense
    ├── NotFound          E_NOT_FOUND     nothing of that name or digest
    ├── Ambiguous         E_AMBIGUOUS     several things have that digest prefix
    ├── NameTooAlike      E_NAME_ALIKE    a name that reads like another one
    ├── VersionClash      E_CLASH         a known version, with other content
    ├── Yanked            E_YANKED        a version that was withdrawn
    ├── Deleted           E_DELETED       a version that was deleted
    ├── AliasHeld         E_ALIAS         an alias stands in the way
    └── HistoryRewritten  E_HISTORY       the ledger is not the one that a checkpoint was made of
                                           (exit 3)
"""

from pathlib import Path

from ..patches.errors import InputError, WeightpatchError


class RegistryError(WeightpatchError):
    """The registry cannot do what was asked."""


class RegistryMissing(RegistryError):
    """There is no registry in this place."""

    code = "E_NO_REGISTRY"


class SchemaTooOld(RegistryError):
    """The database was made by an older weightpatch and waits for an upgrade."""

    code = "E_SCHEMA_OLD"


class SchemaTooNew(RegistryError):
    """The database was made or upgraded by a newer weightpatch."""

    code = "E_SCHEMA_NEW"


class DatabaseFailed(RegistryError):
    """The database gave an error, or cannot be reached."""

    code = "E_DATABASE"


class BlobLost(RegistryError):
    """A stored file is missing, or is not what it was."""

    code = "E_BLOB"


class BlobsOfAnother(RegistryError):
    """The folder holds the blobs of another registry."""

    code = "E_HOME"


class ReferenceRefused(RegistryError):
    """A text that does not refer to a version."""

    code = "E_REFERENCE"


class QueryRefused(RegistryError, InputError):
    """What is looked for can be in no version."""

    code = "E_QUERY"


class NotFound(RegistryError):
    """Nothing in the registry has that name or digest."""

    code = "E_NOT_FOUND"


class Ambiguous(RegistryError):
    """Several things have that digest prefix."""

    code = "E_AMBIGUOUS"


class NameTooAlike(RegistryError):
    """A new name that reads like a name already taken in its namespace."""

    code = "E_NAME_ALIKE"


class VersionClash(RegistryError):
    """A version number that is known with other content."""

    code = "E_CLASH"


class Yanked(RegistryError):
    """A version that was withdrawn, and that nothing but its exact name or digest means."""

    code = "E_YANKED"


class Deleted(RegistryError):
    """A version that was deleted: it is not used, and its files are not kept; its rows are."""

    code = "E_DELETED"


class AliasHeld(RegistryError):
    """An alias means the version, or means another one than was expected."""

    code = "E_ALIAS"


class HistoryRewritten(RegistryError):
    """The ledger is not a continuation of the one that a checkpoint was made of."""

    code = "E_HISTORY"
    exit_code = 3


def no_registry(file: Path) -> RegistryMissing:
    """The error for a registry whose database is not there."""
    return RegistryMissing(
        f"there is no registry at {file}", hint="make one with: weightpatch init"
    )
