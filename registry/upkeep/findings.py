"""What an examination can find, and how bad it is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection

from ...patches.progress import Progress
from ..store import Store


class Severity(StrEnum):
    """How bad a finding is."""

    HARMLESS = "harmless"
    """Nothing is wrong that anybody would notice."""
    LOST = "lost"
    """Something is missing or damaged that should be there."""
    TAMPERED = "tampered"
    """Something is not as weightpatch writes it: somebody changed it by other means."""


@dataclass(frozen=True)
class Finding:
    """One thing that an examination found.

    `kind` is its name for programs, `what` says it in words and `hint` what to do next; `mendable`
    is whether `Registry.mend` can. `digest` is that of the blob or version that it is about.
    """

    kind: str
    what: str
    severity: Severity
    hint: str
    mendable: bool = False
    digest: str | None = None

    @property
    def is_wrong(self) -> bool:
        """Whether it is more than a note."""
        return self.severity is not Severity.HARMLESS


@dataclass(frozen=True)
class Examination:
    """What a check looks at: a registry, in one transaction; `full` means every byte and row."""

    store: Store
    connection: Connection
    full: bool
    progress: Progress


Check = Callable[[Examination], Iterator[Finding]]

MEND = "weightpatch doctor --mend"
COMPARE = "compare with a copy of the database from before; keep this one as it is"
