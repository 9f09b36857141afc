"""Pushing and pulling a patch, side by side with what a user would pick instead.

python benchmarks/exchange.py MODEL [--delays 0,30,100] [--runs 5] [--lfs] [--cpus 2]
    [--work .cache/bench-exchange] [--keep] [--table docs/performance.md]

MODEL is a folder with SmolLM2 in bfloat16 as transformers stores it. The hub is the one that the
tests use, in a process of its own, empty each time; it waits so many milliseconds before each
answer. Each step is a whole process, cold, and what was pulled is compared with what was pushed.
"""

import argparse
import shutil
from pathlib import Path

from exchange_bench.contenders import OURS, contenders, prepare
from exchange_bench.measuring import Bench
from exchange_bench.report import Report
from harness import edits
from harness.document import write_between
from harness.process import chosen_cpus


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--delays", type=_numbers, default=[0, 30, 100], help="in milliseconds")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--lfs", action="store_true", help="large files by LFS, not by Xet")
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--work", type=Path, default=Path(".cache/bench-exchange"))
    parser.add_argument("--keep", action="store_true", help="keep the edit for the next time")
    parser.add_argument("--table", type=Path, help="put the tables into this document")
    return parser.parse_args()


def main() -> None:
    options = _options()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    cpus = chosen_cpus(options.cpus)
    edit = edits.prepare("a", options.model.resolve(), work / "edit")
    goods = prepare(edit, work / "exchange")
    bench = Bench(work, goods, cpus, xet=not options.lfs)
    report = Report(len(cpus), xet=not options.lfs)
    for number in range(options.runs):
        _measure(bench, report, options.delays, number)
    print(report.markdown())
    if options.table:
        write_between(options.table, "exchange.py", report.markdown())
    if not options.keep:
        shutil.rmtree(work)


def _measure(bench: Bench, report: Report, delays: list[int], number: int) -> None:
    """One run of each, in turns."""
    print(f"run {number + 1}", flush=True)
    for delay in delays:
        for contender in contenders(bench.goods):
            if contender.runs is None or number < contender.runs:
                report.by_hub[contender.name, delay] += bench.by_hub(contender, delay)
    report.by_folder[OURS] += bench.by_folder()
    report.by_folder["`cp -r`, the same files"] += bench.by_copy(bench.goods.patch)
    report.by_folder["`cp -r`, the edited model"] += bench.by_copy(bench.goods.model)


if __name__ == "__main__":
    main()
