"""Files on their way to the Hub: how much of them was sent, and an end to waiting for the rest."""

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Timer
from typing import BinaryIO, cast

from huggingface_hub import CommitOperationAdd

from .....patches.progress import Progress
from ...errors import RemoteUnreachable

PATIENCE = 600.0
"""Seconds that Xet's store may take to confirm what came, besides the time for sending it."""
SLOWEST = 16_000
"""Bytes a second that are sent at least."""


class Addition(CommitOperationAdd):
    """A file or bytes to commit, which tells `progress` how much of it the client has sent.

    It is told where large files go by LFS. Xet reads them by itself, and shows how far it is in
    nothing but its own bars; small files are part of the commit.
    """

    def __init__(self, path: str, source: Path | bytes, progress: Progress) -> None:
        super().__init__(path, source)
        self._progress = progress

    @contextmanager
    def as_file(self, with_tqdm: bool = False) -> Iterator[BinaryIO]:
        """Open the content; `with_tqdm` is the client's word for reading it to send it."""
        with super().as_file() as file:
            yield cast("BinaryIO", _Counted(file, self._tell)) if with_tqdm else file

    def _tell(self, done: int) -> None:
        self._progress(f"upload {self.path_in_repo}", done, self.upload_info.size)


@contextmanager
def ending(operations: Iterable[object]) -> Iterator[None]:
    """Raise RemoteUnreachable if an upload by Xet takes longer than any should.

    Its client sets no time limit to the last request of an upload, in which the store confirms it.
    Nor is there one with a client that has no such way to end it.
    """
    abort = _abort()
    if abort is None:
        yield
        return
    additions = [one for one in operations if isinstance(one, CommitOperationAdd)]
    seconds = PATIENCE + sum(one.upload_info.size for one in additions) / SLOWEST
    is_over = Event()

    def end() -> None:
        is_over.set()
        abort()

    timer = Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except RuntimeError:
        if not is_over.is_set():
            raise
        raise RemoteUnreachable(
            "the Hub does not confirm what was sent to it",
            why=f"it was waited for for {seconds:.0f} s",
            hint="repeat the command later: it finishes what was cut off",
        ) from None
    finally:
        timer.cancel()


def _abort() -> Callable[[], None] | None:
    """What ends all that Xet does; it is no part of what the client promises to have."""
    try:
        from huggingface_hub.utils._xet import abort_xet_session
    except ImportError:
        return None
    return cast("Callable[[], None]", abort_xet_session)


class _Counted(io.BufferedIOBase):
    """A file that tells how far it was read; what is sent again is read again."""

    def __init__(self, file: BinaryIO, tell: Callable[[int], None]) -> None:
        self._file = file
        self._tell = tell

    def read(self, size: int | None = -1, /) -> bytes:
        """Read, and tell."""
        data = self._file.read(-1 if size is None else size)
        self._tell(self._file.tell())
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go somewhere else."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Where it is."""
        return self._file.tell()

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True
