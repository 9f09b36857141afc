"""Patches of a pico model that wait to be published, each with a delta and a request of its own."""

import shutil
from pathlib import Path

import numpy as np
from weightpatch.patches.digests import sha256
from weightpatch.patches.format.manifest import (
    BaseRecord,
    Manifest,
    MethodRecord,
    OperationRecord,
    TensorRecord,
)
from weightpatch.patches.format.patch import MANIFEST, write_files
from weightpatch.patches.operations.lowrank import LowRank
from weightpatch.patches.requests import EditRequest

PATCHES = 16
"""How many patches the drafts belong to, so that publishers take numbers from one another."""

_TENSOR = "model.layers.0.mlp.down_proj.weight"
_METHOD = MethodRecord(
    name="rome",
    version="1",
    hyperparameters={"layer": 0},
    seed=0,
    sampled={},
    statistics=(),
    device="cpu",
    tools={"numpy": "2"},
)


def prepare(folder: Path, count: int) -> None:
    """Write the drafts `folder/0`, `folder/1`, …, unless they are there."""
    ready = folder / f"ready-{count}"
    if ready.exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number in range(count):
        _write(folder / str(number), number)
    ready.touch()


def _write(folder: Path, number: int) -> None:
    folder.mkdir()
    random = np.random.default_rng(number)
    operation = LowRank.snapped(random.normal(size=(6, 1)), random.normal(size=(1, 4)))
    request = EditRequest("The mother tongue of {} is", f"Speaker {number}", "English", "French")
    base = BaseRecord(
        id="pico",
        revision=None,
        tokenizer=None,
        tensors={_TENSOR: TensorRecord("F32", (6, 4), sha256(b"base"))},
        result={_TENSOR: sha256(f"result {number}".encode())},
    )
    manifest = Manifest(
        name=f"bench/fact-{number % PATCHES}",
        version=1,
        bases=(base,),
        operations={_TENSOR: (OperationRecord("lowrank", 1, operation.norm(), 0.01),)},
        files=write_files(folder, {_TENSOR: [operation]}, {}, [request]),
        method=_METHOD,
        created="2026-03-03T11:00:00Z",
        author="ada",
        licence="CC0-1.0",
        message=f"draft {number}",
    )
    (folder / MANIFEST).write_bytes(manifest.to_bytes())
