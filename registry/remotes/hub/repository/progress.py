"""The Hub client's progress bars, bent to call ours and to stop a download that does not end."""

from typing import Any, Self

from .....patches.errors import SizeMismatch
from .....patches.progress import Progress


def counting(progress: Progress, phase: str, size: int) -> type:
    """A class to use in place of tqdm: reports to `progress`, raises SizeMismatch past `size`."""

    class Counter(_Bar):
        def update(self, count: float | None = 1) -> None:
            self.n += int(count or 0)
            if self.n > size:
                raise SizeMismatch(
                    f"the Hub sends more than the {size} bytes that it announced",
                    why=f"this happened to: {phase}",
                    hint="try again; if it stays so, do not trust this source",
                )
            progress(phase, self.n, size)

    return Counter


class _Bar:
    """As much of tqdm as the Hub's client calls."""

    n: int
    total: int | None

    def __init__(self, *, total: int | None = None, initial: int = 0, **_: Any) -> None:  # noqa: ANN401
        self.n = initial
        self.total = total

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def update_transfer(self, count: float) -> None:
        """Ignore bytes on the wire: those written to disk are counted."""

    def set_postfix_str(self, *_: object, **__: object) -> None:
        """Show nothing."""

    def set_transfer_postfix_str(self, *_: object, **__: object) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Show nothing."""
