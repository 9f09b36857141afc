"""What one entry of a patched tensor costs: the exact sum term by term, filtered, and in float32.

python benchmarks/arithmetic.py [--rows 576] [--columns 1536]

Nanoseconds of one processor an entry, the best of some runs. The exact sums are compared bit by
bit; the last column is what merging in float32 costs, which is not the same on every machine.
"""

import argparse
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from weightpatch.patches import summation
from weightpatch.patches.arithmetic import dtypes, filtering
from weightpatch.patches.operations.lowrank import LowRank

RANKS = ([1], [16], [64], [256], [1] * 4, [1] * 8, [1] * 32, [1] * 100, [16] * 4, [16] * 16)
RUNS = 3
TORCH = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32}


def nanoseconds(work: Callable[[], object], entries: int) -> float:
    """Best time an entry."""
    best = float("inf")
    for _ in range(RUNS):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best / entries * 1e9


def exact(
    bits: NDArray[np.generic], dtype: str, operations: Sequence[LowRank], *, filtered: bool
) -> NDArray[np.generic]:
    """The patched weights, with the filter or without it."""
    summation.pays = lambda *_: filtered
    return summation.patched_rows(bits, dtype, operations, 0)


def merged(bits: torch.Tensor, operations: Sequence[LowRank]) -> torch.Tensor:
    """What merging in float32 does: W + B·A for one adapter after another, then rounded."""
    total = bits.float()
    for operation in operations:
        total = torch.addmm(
            total, torch.from_numpy(operation.a[:]), torch.from_numpy(operation.b[:])
        )
    return total.to(bits.dtype)


def measure(
    values: NDArray[np.float32], dtype: str, operations: Sequence[LowRank]
) -> tuple[float, float, float]:
    """Nanoseconds an entry: term by term, filtered, and in float32."""
    bits = dtypes.narrow(values.astype(np.float64), dtype)
    tensor = torch.from_numpy(values).to(TORCH[dtype])
    with threadpool_limits(1):
        turns = exact(bits, dtype, operations, filtered=False)
        if turns.tobytes() != exact(bits, dtype, operations, filtered=True).tobytes():
            raise SystemExit("the two exact sums differ")
        return (
            nanoseconds(lambda: exact(bits, dtype, operations, filtered=False), bits.size),
            nanoseconds(lambda: exact(bits, dtype, operations, filtered=True), bits.size),
            nanoseconds(lambda: merged(tensor, operations), bits.size),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=576)
    parser.add_argument("--columns", type=int, default=1536)
    options = parser.parse_args()
    shape = (options.rows, options.columns)
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    values = (random.standard_normal(shape) * 0.02).astype(np.float32)
    print(f"{'type':5} {'terms':>9} {'in turn':>8} {'filtered':>8} {'chosen':>8} {'float32':>8}")
    for dtype in TORCH:
        for ranks in RANKS:
            operations = [
                LowRank.snapped(
                    random.standard_normal((shape[0], rank)) * 0.01,
                    random.standard_normal((rank, shape[1])) * 0.01,
                )
                for rank in ranks
            ]
            costs = "".join(f" {cost:8.2f}" for cost in measure(values, dtype, operations))
            chosen = "filtered" if filtering.pays(ranks, shape[1]) else "in turn"
            print(f"{dtype:5} {len(ranks):3} x {ranks[0]:3}{costs[:18]} {chosen:>8}{costs[18:]}")


if __name__ == "__main__":
    main()
