"""What a model answered, kept on disk line by line, so that it need not be asked again.

A run that is stopped leaves the lines that it had written; the next one reads them and asks only
for the rest. Nothing that a file says is believed unless its line carries the digest of the model,
the place of computation, the question and the answer together.
"""

import errno
import os
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..digests import sha256
from ..errors import ManifestError
from ..format import jsonfile

if TYPE_CHECKING:
    from ..checkpoints.models import EditableModel

MAX_BYTES = 1 << 28
_FORMAT = 1


class Journal:
    """Answers of one model by question, both plain JSON; without a file nothing is kept.

    `label` tells the model, and all else that answers depend on, from any other.
    """

    def __init__(self, file: Path | None = None, label: Mapping[str, Any] | None = None) -> None:
        self._file = file
        self._label = _canonical(dict(label or {}))
        self._known: dict[bytes, Any] | None = None

    def get(self, question: object) -> Any:  # noqa: ANN401 - any JSON value
        """The answer that is kept, or None; its shape is for the caller to check."""
        if self._file is None:
            return None
        if self._known is None:
            self._known = self._read(self._file)
        return self._known.get(_canonical(question))

    def put(self, answers: Iterable[tuple[object, object]]) -> None:
        """Append answers to questions; those that JSON cannot spell, as infinity, are left out.

        A file that cannot be written, or is no regular one, costs time later, no more.
        """
        if self._file is None:
            return
        lines = []
        for question, answer in answers:
            with suppress(ManifestError):
                lines.append(_canonical([question, answer, self._digest(question, answer)]) + b"\n")
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with open(self._file, "ab", buffering=0, opener=_regular) as stream:
                if os.fstat(stream.fileno()).st_size <= MAX_BYTES:
                    stream.write(b"\n" + b"".join(lines))  # a torn line before it stays alone

    def forget(self) -> None:
        """Drop everything that is kept."""
        self._known = None
        if self._file is not None:
            with suppress(OSError):
                self._file.unlink()

    def _read(self, file: Path) -> dict[bytes, Any]:
        try:
            with open(file, "rb", opener=_regular) as stream:
                data = stream.read(MAX_BYTES + 1)
        except OSError:
            return {}
        if len(data) > MAX_BYTES:
            return {}
        known = {}
        for line in filter(None, data.split(b"\n")):
            with suppress(ValueError, ManifestError):
                record = jsonfile.decode(line)
                if isinstance(record, list) and len(record) == 3:
                    question, answer, digest = record
                    if digest == self._digest(question, answer):
                        known[_canonical(question)] = answer
        return known

    def _digest(self, question: object, answer: object) -> str:
        return sha256(self._label + _canonical([question, answer]))


def open_journal(
    folder: Path | None, model: "EditableModel", suite: str, *, patch: str | None = None
) -> Journal:
    """The journal of a base or, given the digest of a patch on it, of the edited model."""
    if folder is None:
        return Journal()
    from .environment import environment

    place = environment(model.model)
    del place["threads"]
    label = {
        "format": _FORMAT,
        "base": model.checkpoint.fingerprint,
        "tokenizer": model.checkpoint.tokenizer_digest,
        "patch": patch,
        "suite": suite,
        "environment": place,
    }
    return Journal(folder / f"{sha256(_canonical(label))}.jsonl", label)


def _regular(path: str, flags: int) -> int:
    """Open a regular file; a link, a pipe or a device is an OSError, and none is waited for."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", path)
    return descriptor


def _canonical(value: object) -> bytes:
    return jsonfile.canonical(value, what="an observation")
