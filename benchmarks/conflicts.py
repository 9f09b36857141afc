"""How long it takes to compare many patches pair by pair, and how much memory.

python benchmarks/conflicts.py [--counts 100,1000] [--ranks 1] [--work .cache/conflicts]
    [--table docs/performance.md]

Patches as ROME makes them, a key and its residual kept beside the delta, all on one bfloat16 tensor
of the size of SmolLM2's down projection, 576 x 1536: every pair meets. They are generated, once,
into --work. Each measurement is a process of its own, on two processors. Ends with status 1 if the
largest number of rank-1 patches takes more than --limit seconds.
"""

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from math import comb
from pathlib import Path

import numpy as np
from harness.document import machine, write_between
from harness.process import Usage, chosen_cpus, run
from harness.weights import Spec, rounded, write_file
from weightpatch.patches.checkpoints.checkpoint import Checkpoint
from weightpatch.patches.conflicts.check import examine
from weightpatch.patches.conflicts.matrix import matrix
from weightpatch.patches.conflicts.measures import measures
from weightpatch.patches.draft import Origin, own_terms, write_draft
from weightpatch.patches.format.manifest import MethodRecord
from weightpatch.patches.format.patch import Patch
from weightpatch.patches.operations.lowrank import LowRank
from weightpatch.patches.requests import EditRequest

SCRIPT = "conflicts.py"
TENSOR, OUT, IN = "model.layers.10.mlp.down_proj.weight", 576, 1536
CPUS = 2
SAMPLED_PAIRS = 300


@dataclass(frozen=True)
class Row:
    """What was measured of `count` patches of one rank; seconds, and the peak of each process."""

    count: int
    rank: int
    opened: float
    checked: float
    one_by_one: float
    library: Usage
    command: Usage


def main() -> None:
    options = _options()
    if options.worker:
        print(json.dumps(_measure(options.worker, options.counts[0])))
        return
    rows = []
    for rank in options.ranks:
        folder = (options.work / f"rank-{rank}").resolve()
        _generate(folder, rank, max(options.counts))
        rows += [_row(folder, rank, count) for count in options.counts]
    text = f"{machine(CPUS, ['numpy'])}\n\n{_table(rows)}"
    print(text)
    if options.table:
        write_between(options.table, SCRIPT, text)
    slowest = max(row.checked for row in rows if row.rank == min(options.ranks))
    if slowest > options.limit:
        sys.exit(f"{slowest:.1f} s, more than {options.limit:.0f}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--counts", type=_numbers, default=[100, 1000])
    parser.add_argument("--ranks", type=_numbers, default=[1])
    parser.add_argument("--work", type=Path, default=Path(".cache/conflicts"))
    parser.add_argument("--limit", type=float, default=10.0, help="seconds")
    parser.add_argument("--table", type=Path, help="put the table into this document")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def _generate(folder: Path, rank: int, count: int) -> None:
    """`count` patches of a base of one tensor, the same each time."""
    base = folder / "base"
    if not base.exists():
        base.mkdir(parents=True)
        values = np.random.default_rng(0).standard_normal((OUT, IN), np.float32) * 0.02
        specs = {TENSOR: Spec("BF16", (OUT, IN))}
        write_file(base / "model.safetensors", specs, [rounded(values, "BF16")])
        (base / "config.json").write_text("{}")
    checkpoint = Checkpoint.open(base)
    for number in range(count):
        if not (folder / str(number) / "patch.json").exists():
            print(f"\rpatch {number + 1} of {count}, rank {rank}", end="", file=sys.stderr)
            _write(folder / str(number), checkpoint, rank, number)
    print(file=sys.stderr)


def _write(folder: Path, base: Checkpoint, rank: int, number: int) -> None:
    """Δ = Σ rᵢkᵢᵀ / ‖kᵢ‖² for random keys that have a mean in common, as real ones have."""
    common = np.random.default_rng(0).standard_normal(IN)
    random = np.random.default_rng([rank, number])
    keys = random.standard_normal((rank, IN)) + 0.3 * common
    residuals = random.standard_normal((rank, OUT))
    term = LowRank.snapped(residuals.T, keys / np.sum(keys**2, axis=1, keepdims=True))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    draft = write_draft(
        folder,
        base,
        own_terms({TENSOR: [term]}),
        {
            f"{TENSOR}::aux.keys": keys.astype(np.float32),
            f"{TENSOR}::aux.residuals": residuals.astype(np.float32),
        },
        [EditRequest("The capital of {} is", f"Country {number}", f"Town {number}")],
        MethodRecord("synthetic", "1", {}, number, {}, (), "cpu", {}),
        Origin(f"bench/p{number}", author="bench", created="2026-01-31T12:00:00Z"),
    )
    (folder / "patch.json").write_bytes(draft.manifest.to_bytes())


def _row(folder: Path, rank: int, count: int) -> Row:
    cpus = chosen_cpus(CPUS)
    environment = {**os.environ, "WEIGHTPATCH_HOME": str(folder / "home")}
    log = folder / "log"
    log.unlink(missing_ok=True)
    worker = [sys.executable, Path(__file__), "--worker", folder, "--counts", str(count)]
    library = run(worker, cpus, environment, log)
    found = json.loads(log.read_text().splitlines()[-1])
    command = Path(sys.executable).parent / "weightpatch"
    references = [folder / str(number) for number in range(count)]
    usage = run([command, "check", *references, "--matrix"], cpus, environment, log)
    return Row(count, rank, **found, library=library, command=usage)


def _measure(folder: Path, count: int) -> dict[str, float]:
    """Seconds to open and read, to compare all pairs, and to compare them one by one."""
    start = time.perf_counter()
    patches = [Patch.open(folder / str(number)) for number in range(count)]
    for patch in patches:
        _ = patch.operations, patch.auxiliary, patch.requests
    opened = time.perf_counter()
    report = examine(patches)
    matrix(patches)
    checked = time.perf_counter()
    if sum(map(report.count, ("conflict", "warning", "note"))) != comb(count, 2):
        raise SystemExit("not every pair was judged")
    one_by_one = _seconds_of_a_pair(patches) * comb(count, 2)
    return {"opened": opened - start, "checked": checked - opened, "one_by_one": one_by_one}


def _seconds_of_a_pair(patches: Sequence[Patch]) -> float:
    pairs = list(islice(combinations(patches, 2), SAMPLED_PAIRS))
    start = time.perf_counter()
    for one, other in pairs:
        measures(one, other)
    return (time.perf_counter() - start) / len(pairs)


def _table(rows: Sequence[Row]) -> str:
    head = (
        "| patches | rank | pairs | open and read | compare all | one by one | "
        "peak memory | `check --matrix`, whole | its peak memory |"
    )
    lines = [head, "|---:|---:|---:|---:|---:|---:|---:|---:|---:|", *map(_line, rows)]
    return "\n".join(lines) + "\n"


def _line(row: Row) -> str:
    return (
        f"| {row.count:,} | {row.rank} | {comb(row.count, 2):,} | {row.opened:.2f} s "
        f"| **{row.checked:.2f} s** | {row.one_by_one:,.0f} s "
        f"| {row.library.anonymous / 1e6:,.0f} MB | {row.command.wall:.1f} s "
        f"| {row.command.anonymous / 1e6:,.0f} MB |"
    )


if __name__ == "__main__":
    main()
