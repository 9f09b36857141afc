"""Is a result right: tensor by tensor against the reference, and against the promised digests."""

import hashlib
import json
from pathlib import Path

import numpy as np

from .weights import open_folder


def differing(expected: Path, found: Path) -> int:
    """Elements of the expected checkpoint whose bits the found one does not have.

    Raises ValueError if the found one lacks a tensor or has it in another type or shape.
    """
    wanted, got = open_folder(expected), open_folder(found)
    count = 0
    for name, tensor in wanted.items():
        if name not in got:
            raise ValueError(f"{name} is missing")
        if got[name].spec != tensor.spec:
            raise ValueError(f"{name} is {got[name].spec}, not {tensor.spec}")
        count += int(np.count_nonzero(tensor.bits != got[name].bits))
    return count


def broken_promises(patch: Path, found: Path) -> list[str]:
    """Tensors of a checkpoint that do not have the digest that the manifest promises."""
    manifest = json.loads((patch / "patch.json").read_text())
    tensors = open_folder(found)
    return [
        name
        for name, digest in manifest["bases"][0]["result"].items()
        if hashlib.sha256(np.ascontiguousarray(tensors[name].bits).data).hexdigest() != digest
    ]
