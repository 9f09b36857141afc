"""Group P: well-formed files that say what a patch must not, by their codes, each with its error.

Each is applied as a user would, and must be refused before anything is written.
"""

import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pico_fixtures import Pico
from weightpatch.patches.builds.apply import apply
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.digests import sha256_file
from weightpatch.patches.errors import WeightpatchError
from weightpatch.patches.format.manifest import FileRecord, OperationRecord
from weightpatch.patches.format.patch import Patch
from weightpatch.patches.format.safetensors_file import write_tensors

Parts = Mapping[str, NDArray[Any]]
SHAPE = (6, 10)
ONES = {"A": np.ones((6, 1), "<f4"), "B": np.ones((1, 10), "<f4")}


def factors(a: NDArray[Any], b: NDArray[Any]) -> Parts:
    return {"A": a.astype("<f4"), "B": b.astype("<f4")}


def dense(value: float) -> Parts:
    delta = np.ones(SHAPE, "<f4")
    delta[5, 9] = value
    return {"delta": delta}


def listed(*indices: int, kind: str = "<i8") -> Parts:
    return {"indices": np.array(indices, kind), "values": np.ones(len(indices), "<f4")}


def forged(
    pico: Pico,
    base: Checkpoint,
    kind: str = "lowrank",
    parts: Parts = ONES,
    *,
    size: int = 1,
    norm: float = 60**0.5,
    **tensor: Any,
) -> Patch:
    """A patch of one operation that no code of ours would write; `tensor` is said of its base."""
    patch = pico.patch(base)
    delta = patch.files["delta.safetensors"]
    name = tensor.pop("name", pico.DOWN)
    stored = {f"{name}::{kind}.0.{part}": array for part, array in parts.items()}
    stored.update(tensor.pop("more", {}))
    write_tensors(delta, stored)
    (first,) = patch.manifest.bases
    record = replace(first.tensors[pico.DOWN], **tensor)
    folder = pico.rewrite(
        patch,
        bases=(replace(first, tensors={name: record}, result={name: "0" * 64}),),
        operations={name: (OperationRecord(kind, size, norm, 1.0),)},
        files={
            **patch.manifest.files,
            "delta.safetensors": FileRecord(sha256_file(delta), delta.stat().st_size),
        },
    )
    return Patch.open(folder)


BIG = 2.0**100
HUGE = 65536
CASES: dict[str, tuple[str, Callable[[Pico, Checkpoint], Patch]]] = {
    "P01-dense": ("E_NONFINITE", lambda p, b: forged(p, b, "dense", dense(np.nan), size=60)),
    "P01-lowrank": (
        "E_NONFINITE", lambda p, b: forged(p, b, parts={**ONES, "A": ONES["A"] * np.nan})
    ),
    "P01-sparse": (
        "E_NONFINITE",
        lambda p, b: forged(p, b, "sparse", {**listed(3), "values": np.array([np.nan], "<f2")}),
    ),
    "P02-dense": ("E_NONFINITE", lambda p, b: forged(p, b, "dense", dense(-np.inf), size=60)),
    "P02-replace": (
        "E_NONFINITE",
        lambda p, b: forged(p, b, "replace", {"values": dense(np.inf)["delta"]}, size=60),
    ),
    "P03": (
        "E_TOO_BIG",
        lambda p, b: forged(
            p, b, parts=factors(ONES["A"] * BIG, ONES["B"] * BIG), norm=BIG * BIG * 60**0.5
        ),
    ),
    "P03-declared-small": (
        "E_MANIFEST",
        lambda p, b: forged(p, b, parts=factors(ONES["A"] * BIG, ONES["B"] * BIG)),
    ),
    "P04": (
        "E_BASE",
        lambda p, b: forged(
            p, b, parts=factors(np.ones((HUGE, 1)), np.ones((1, HUGE))),
            norm=float(HUGE), shape=(HUGE, HUGE),
        ),
    ),
    "P04-undeclared": (
        "E_SHAPE", lambda p, b: forged(p, b, parts=factors(np.ones((HUGE, 1)), np.ones((1, HUGE))))
    ),
    "P05": (
        "E_SHAPE", lambda p, b: forged(p, b, parts=factors(np.ones((6, 2)), np.ones((3, 10))))
    ),
    "P06": (
        "E_MANIFEST",
        lambda p, b: forged(
            p, b, parts=factors(np.ones((6, 2)), np.ones((2, 10))), norm=2 * 60**0.5
        ),
    ),
    "P07": ("E_BASE", lambda p, b: forged(p, b, name="made.up.weight")),
    "P08-shape": (
        "E_BASE",
        lambda p, b: forged(p, b, parts=factors(np.ones((10, 1)), np.ones((1, 6))), shape=(10, 6)),
    ),
    "P08-dtype": ("E_BASE", lambda p, b: forged(p, b, dtype="F16")),
    "P08-delta": (
        "E_SHAPE", lambda p, b: forged(p, b, parts=factors(np.ones((6, 1)), np.ones((1, 11))))
    ),
    "P09": ("E_BASE", lambda p, b: forged(p, b, sha256="1" * 64)),
    "P10": ("E_FORMAT", lambda p, b: forged(p, b, parts={"A": ONES["A"]})),
    "P10-sparse": ("E_FORMAT", lambda p, b: forged(p, b, "sparse", {"indices": np.arange(2)})),
    "P11": (
        "E_MANIFEST",
        lambda p, b: forged(p, b, more={"w::dense.0.delta": np.ones(3, "<f4")}),
    ),
    "P11-second": (
        "E_MANIFEST",
        lambda p, b: forged(p, b, more={f"{p.DOWN}::dense.1.delta": dense(1)["delta"]}),
    ),
    "P12": (
        "E_MANIFEST",
        lambda p, b: forged(p, b, parts={}, more={f"{p.DOWN}::aux.keys": np.ones(3, "<f4")}),
    ),
    "P13-range": ("E_SHAPE", lambda p, b: forged(p, b, "sparse", listed(3, 60), size=2)),
    "P13-far": ("E_SHAPE", lambda p, b: forged(p, b, "sparse", listed(3, 2**62), size=2)),
    "P13-twice": ("E_FORMAT", lambda p, b: forged(p, b, "sparse", listed(3, 3), size=2)),
    "P13-unsorted": ("E_FORMAT", lambda p, b: forged(p, b, "replace", listed(4, 3), size=2)),
    "P13-negative": ("E_FORMAT", lambda p, b: forged(p, b, "replace", listed(-1, 3), size=2)),
    "P13-wrapping": (
        "E_FORMAT",
        lambda p, b: forged(p, b, "sparse", listed(5, -(2**31), kind="<i4"), size=2),
    ),
    "P14": ("E_BASE", lambda p, b: forged(p, b, name="lm_head.weight")),
}  # fmt: skip


@pytest.mark.parametrize("code", CASES)
def test_what_a_patch_must_not_say(pico: Pico, code: str) -> None:
    error, forge = CASES[code]
    base = pico.base()
    before = {entry.name for entry in pico.root.iterdir()} | {"acme-one"}
    with pytest.raises(WeightpatchError) as refusal:
        apply(base, [forge(pico, base)], pico.root / "build")
    assert refusal.value.code == error, refusal.value
    assert f"{refusal.value}{refusal.value.why}".isprintable()
    assert {entry.name for entry in pico.root.iterdir()} == before


def test_the_patch_that_the_cases_damage_is_good(pico: Pico) -> None:
    patch = forged(pico, pico.base())
    (operation,) = patch.operations[pico.DOWN]
    assert (operation.rows(0, 6) == 1).all()


def test_a_product_that_overflows_is_refused_on_a_tensor_of_zeros_too(pico: Pico) -> None:
    """P03: nothing can be said of the size of a delta relative to a tensor of zeros."""
    tensors = {**pico.tensors(), pico.DOWN: np.zeros(SHAPE, "<f4")}
    base = pico.base_of(tensors)
    parts = factors(ONES["A"] * BIG, ONES["B"] * BIG)
    patch = forged(pico, base, parts=parts, norm=BIG * BIG * 60**0.5)
    (record,) = patch.manifest.operations[pico.DOWN]
    operations = {pico.DOWN: (replace(record, relative_norm=0.0),)}
    with pytest.raises(WeightpatchError) as refusal:
        apply(base, [Patch.open(pico.rewrite(patch, operations=operations))], pico.root / "build")
    assert refusal.value.code == "E_NONFINITE"
    assert not (pico.root / "build").exists()


def test_a_small_file_that_unfolds_to_much_costs_little(pico: Pico) -> None:
    """P04: a quarter of a megabyte that would be a matrix of 32 GiB."""
    _, forge = CASES["P04"]
    patch = forge(pico, pico.base())
    tracemalloc.start()
    (operation,) = patch.operations[pico.DOWN]
    assert operation.norm() == HUGE
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20


def test_a_tensor_that_is_said_to_be_of_another_base_is_not_looked_for(pico: Pico) -> None:
    """P09: right name, shape and type, another revision."""
    patch = pico.patch(pico.base("other", seed=1))
    assert patch.manifest.bases[0].tensors[pico.DOWN].dtype == "BF16"
    with pytest.raises(WeightpatchError, match="made for another base") as refusal:
        apply(pico.base(), [patch], pico.root / "build")
    assert refusal.value.code == "E_BASE"


@pytest.mark.parametrize("kind", ["sparse", "replace"])
def test_a_scalar_has_no_entry_that_could_be_listed(pico: Pico, kind: str) -> None:
    """P08: it has no rows in which it could be patched."""
    base = pico.base_of({**pico.tensors(), "scale": np.ones((), "<f4")})
    said = {"name": "scale", "shape": (), "dtype": "F32", "sha256": base.digest("scale")}
    with pytest.raises(WeightpatchError, match="scalar") as refusal:
        forged(pico, base, kind, listed(0), norm=1.0, **said)
    assert refusal.value.code == "E_MANIFEST"
