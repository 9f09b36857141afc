"""The same bytes on every machine: whatever the processor, the threads, the blocks, the order."""

import os
import subprocess
import sys
from functools import cache
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from pico_fixtures import Pico
from weightpatch.patches import summation
from weightpatch.patches.arithmetic import parallel
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.format.patch import Patch
from weightpatch.patches.operations import entries
from weightpatch.patches.operations.base import Operation
from weightpatch.patches.operations.dense import Dense
from weightpatch.patches.operations.lowrank import LowRank
from weightpatch.patches.operations.sparse import Sparse

APPLY = """
import os, sys
from pathlib import Path
from weightpatch.patches.builds.apply import apply
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.format.patch import Patch

base, out, threads, *patches = sys.argv[1:]
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:int(threads)])
record = apply(Checkpoint.open(base), list(map(Patch.open, patches)), Path(out))
print(*(record.result[name].sha256 for name in sorted(record.result)))
"""

SHAPE = (96, 160)
EXPECTED = {
    "F32": "76dd5f5d62b90536",
    "F16": "0ba5426e441b8bb9",
    "BF16": "70a21296b835cbb1",
}
"""The first digits of the results' sha256, as the first machine found them."""

HASWELL = {"ATEN_CPU_CAPABILITY": "avx2", "OPENBLAS_CORETYPE": "Haswell"}
SKYLAKE = {"ATEN_CPU_CAPABILITY": "avx512", "OPENBLAS_CORETYPE": "SkylakeX"}
PRESCOTT = {"ATEN_CPU_CAPABILITY": "default", "OPENBLAS_CORETYPE": "Prescott"}
NEHALEM = {"ATEN_CPU_CAPABILITY": "default", "OPENBLAS_CORETYPE": "Nehalem"}
NEEDS = {"Haswell": "avx2", "SkylakeX": "avx512vl"}


def numbers(seed: int, *shape: int) -> np.ndarray:
    """Random numbers that no processor computes in another way."""
    random = np.random.Generator(np.random.PCG64(seed))
    return random.integers(-(2**40), 2**40, shape) / 2**40


def operations(seed: int) -> list[Operation]:
    """Every kind of term, with ranks for which libraries take different ways."""
    ranks = {0: (1, 7), 1: (64,), 2: (256, 2)}[seed % 3]
    found: list[Operation] = [
        LowRank.snapped(numbers(rank, SHAPE[0], rank), numbers(rank + 1, rank, SHAPE[1]) / rank)
        for rank in ranks
    ]
    if seed == 1:
        found.append(Dense.read({"delta": numbers(8, *SHAPE).astype("<f2")}, SHAPE))
    if seed == 2:
        indices = np.arange(0, SHAPE[0] * SHAPE[1], 7, dtype="<i4")
        values = numbers(9, len(indices)).astype("<f4")
        found.append(Sparse.read({"indices": indices, "values": values}, SHAPE))
    return found


def made(pico: Pico) -> tuple[Checkpoint, list[Patch]]:
    """A base with one tensor of each type, and three patches that all meet on them."""
    wide = numbers(0, *SHAPE).astype(np.float32)
    tensors = {
        "F32": wide,
        "F16": wide.astype("<f2"),
        "BF16": (wide.view("<u4") >> 16).astype("<u2"),
    }
    base = pico.base_of(tensors, shards=2)
    patches = [
        pico.patch(base, f"acme/p{seed}", operations=dict.fromkeys(tensors, operations(seed)))
        for seed in range(3)
    ]
    return base, patches


def digests(build: Path) -> dict[str, str]:
    return Checkpoint.open(build).digests()


@cache
def processor() -> str:
    info = Path("/proc/cpuinfo")
    return info.read_text() if info.exists() else ""


def in_a_process(pico: Pico, base: Checkpoint, patches: list[Patch], name: str, **options) -> str:
    """The digests that a process with these settings of its libraries prints."""
    threads = options.pop("threads", 64)
    folders = [patch.files["patch.json"].parent for patch in patches]
    done = subprocess.run(
        [sys.executable, "-c", APPLY, base.path, pico.root / name, str(threads), *folders],
        env={**os.environ, **options},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_processor_and_threads_do_not_matter(pico):
    base, patches = made(pico)
    settings = [
        {"OPENBLAS_NUM_THREADS": threads, **kernel}
        for kernel in (HASWELL, SKYLAKE, PRESCOTT, NEHALEM)
        for threads in ("1", "2")
        if NEEDS.get(kernel["OPENBLAS_CORETYPE"], "") in processor()
    ]
    settings += [{"threads": 1}, {"threads": 2}, {"NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3"}]
    found = {
        in_a_process(pico, base, patches, f"build{number}", **each)
        for number, each in enumerate(settings)
    }
    (told,) = found
    expected = digests(pico.built(base, patches))
    assert told.split() == [expected[name] for name in sorted(expected)]


def test_the_bytes_are_those_of_the_first_machine(pico):
    base, patches = made(pico)
    found = digests(pico.built(base, patches))
    assert {name: digest[:16] for name, digest in found.items()} == EXPECTED


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_threads_of_our_own_do_not_matter(pico, monkeypatch, threads: int):
    base, patches = made(pico)
    expected = digests(pico.built(base, patches, "expected"))
    monkeypatch.setattr(parallel, "workers", lambda: threads)
    monkeypatch.setattr(summation, "BLOCK_ELEMENTS", 1000)
    monkeypatch.setattr(summation, "SHARED_ELEMENTS", 1)
    assert digests(pico.built(base, patches)) == expected


@pytest.mark.parametrize("size", [1, 160, 161, 1 << 12, 1 << 30])
@pytest.mark.parametrize("filtered", [False, True])
def test_sizes_of_blocks_do_not_matter(pico, monkeypatch, size: int, filtered: bool):
    base, patches = made(pico)
    expected = digests(pico.built(base, patches, "expected"))
    monkeypatch.setattr(summation, "BLOCK_ELEMENTS", size)
    monkeypatch.setattr(summation, "STRIP_ELEMENTS", max(1, size // 3))
    monkeypatch.setattr(entries, "CHUNK", min(size, 1 << 14))
    monkeypatch.setattr(summation, "pays", lambda *_: filtered)
    again = [Patch.open(patch.files["patch.json"].parent) for patch in patches]
    assert digests(pico.built(base, again)) == expected


def test_the_order_of_patches_does_not_matter(pico):
    base, patches = made(pico)
    found = [
        digests(pico.built(base, list(order), f"build{number}"))
        for number, order in enumerate(permutations(patches))
    ]
    assert all(one == found[0] for one in found)
