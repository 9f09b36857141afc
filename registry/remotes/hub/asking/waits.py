"""A pause before something is asked again: shown for as long as it lasts."""

from contextvars import ContextVar
from dataclasses import dataclass

from .....patches.progress import Progress, silent


@dataclass
class Wait:
    """At most one pause at a time, and who is told of it."""

    progress: Progress = silent
    why: str | None = None

    def begin(self, why: str) -> None:
        """Show a pause, in place of one that is shown."""
        self.end()
        self.why = why
        self.progress(why, 0, None)

    def end(self) -> None:
        """Show no pause."""
        if self.why is not None:
            self.progress(self.why, 0, 0)
        self.why = None


WAIT: ContextVar[Wait | None] = ContextVar("wait", default=None)
"""The pauses of what is being asked now, if somebody is to be told."""
