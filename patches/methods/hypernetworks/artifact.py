"""A trained editor as a file: its tensors, what it was trained for and how, and one digest."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...digests import sha256_file
from ...errors import FormatError, LimitExceeded, ManifestError, NonFinite, ShapeMismatch
from ...format import jsonfile
from ...format.fields import Fields
from ...format.names import quoted
from ...format.safetensors_file import METADATA_KEY, Header, open_tensors, write_tensors

FORMAT = "weightpatch.editor/1"
MAX_BYTES = 1 << 32
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Label:
    """What an editor says of itself.

    `tensors` are dtype, shape and sha256 of the weights that it edits, as in a manifest; `scores`
    are those of the requests held out, before and after the training; `data` is count and sha256
    of the requests that it was trained on, those held out among them.
    """

    method: str
    version: str
    base: str
    tensors: Mapping[str, Mapping[str, Any]]
    hyperparameters: Mapping[str, Any]
    seed: int
    data: Mapping[str, Any]
    steps: int
    kept: int
    scores: Mapping[str, Mapping[str, float]]
    tools: Mapping[str, str]

    def to_text(self) -> str:
        """Canonical JSON; raises ManifestError for what JSON cannot say."""
        return jsonfile.canonical({"format": FORMAT, **vars(self)}, what="an editor").decode()

    @classmethod
    def parse(cls, text: str, *, what: str) -> "Label":
        """Read a label strictly; raises ManifestError, LimitExceeded."""
        fields = Fields(jsonfile.parse_canonical(text.encode(), what=what), what)
        if (found := fields.line("format")) != FORMAT:
            raise ManifestError(
                f"{what} has the format {quoted(found)}, not {FORMAT}",
                hint="it may have been trained with a newer weightpatch",
            )
        label = cls(
            method=fields.line("method"),
            version=fields.line("version"),
            base=fields.digest("base"),
            tensors={
                name: _tensor(record, f"{quoted(name)} in {what}")
                for name, record in fields.mapping("tensors").items()
            },
            hyperparameters=fields.mapping("hyperparameters"),
            seed=fields.integer("seed"),
            data=_data(fields.mapping("data"), f"data in {what}"),
            steps=fields.integer("steps"),
            kept=fields.integer("kept"),
            scores=fields.mapping("scores"),
            tools=fields.mapping("tools"),
        )
        fields.done()
        return label


@dataclass(frozen=True, eq=False)
class TrainedEditor:
    """The label and the network's numbers, float32 by name."""

    label: Label
    tensors: Mapping[str, NDArray[np.float32]]

    def write(self, target: Path) -> str:
        """Write the file beside its place and move it there; gives its sha256. Raises OSError."""
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".editor-") as folder:
            fresh = Path(folder) / "editor.safetensors"
            write_tensors(fresh, self.tensors, self.label.to_text())
            digest = sha256_file(fresh)
            fresh.replace(target)
        return digest


def read_editor(path: Path, shapes_for: Callable[[Label], Shapes]) -> tuple[TrainedEditor, str]:
    """An editor and the sha256 of its file; hashed first, then parsed.

    `shapes_for` checks the label and says which tensors there must be; none is read before all
    shapes are right. Raises what it raises, FormatError, NameRefused, ManifestError, LimitExceeded,
    ShapeMismatch, NonFinite.
    """
    what = path.name
    if not path.is_file():
        raise FormatError(f"{quoted(str(path))} is not a file", hint="give the file of an editor")
    if path.stat().st_size > MAX_BYTES:
        raise LimitExceeded(f"the editor {what} is larger than {MAX_BYTES} bytes")
    digest = sha256_file(path)
    labels: list[Label] = []

    def check(header: Header) -> None:
        if METADATA_KEY not in header.metadata:
            raise FormatError(
                f"{what} is not a trained editor",
                hint="make one with: weightpatch method train METHOD BASE --data NAME",
            )
        label = Label.parse(header.metadata[METADATA_KEY], what=what)
        _require_shapes(header, shapes_for(label), what)
        labels.append(label)

    stored, _ = open_tensors(path, check=check)
    tensors = {name: array[:] for name, array in stored.items()}
    for name, array in tensors.items():
        if not np.isfinite(array).all():
            raise NonFinite(f"{name} of the editor {what} holds NaN or infinity")
    if sha256_file(path) != digest:
        raise FormatError(f"{what} changed while it was read", hint="try again")
    return TrainedEditor(labels[0], tensors), digest


def _require_shapes(header: Header, shapes: Shapes, what: str) -> None:
    if set(header.tensors) != set(shapes):
        name = min(set(header.tensors) ^ set(shapes))
        state = "lacks" if name in shapes else "has a tensor that no such editor has,"
        raise FormatError(f"the editor {what} {state} {quoted(name)}")
    for name, record in header.tensors.items():
        if record.dtype != "F32":
            raise FormatError(f"{quoted(name)} of the editor {what} is {record.dtype}, not F32")
        if record.shape != shapes[name]:
            raise ShapeMismatch(
                f"{quoted(name)} of the editor {what} is {list(record.shape)}, "
                f"not {list(shapes[name])}"
            )


def _tensor(record: object, what: str) -> Mapping[str, Any]:
    fields = Fields(record, what)
    found = {
        "dtype": fields.line("dtype"),
        "shape": list(fields.shape("shape")),
        "sha256": fields.digest("sha256"),
    }
    fields.done()
    return found


def _data(record: object, what: str) -> Mapping[str, Any]:
    fields = Fields(record, what)
    found = {"count": fields.integer("count"), "sha256": fields.digest("sha256")}
    fields.done()
    return found
