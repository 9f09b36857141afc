"""The registry under load, at size, and verified from its first entry to its last.

python benchmarks/registry.py [--versions 1000000] [--only publishers,queries,ledger]
    [--cpus 2] [--work .cache/bench/registry] [--json FILE] [--table docs/performance.md]

Publishers run on SQLite and on a PostgreSQL that flushes to the disk, beside the bare floor of
both. Questions are asked of synthetic registries of 10,000, 100,000 and 1,000,000 versions, which
are kept for the next time (5 GB). Ends with status 1 if a promise is not kept.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from harness.process import chosen_cpus
from registry_bench import ledger, publishers, timing
from registry_bench.report import Report, verdicts
from registry_bench.synthetic import registries

PARTS = ("publishers", "queries", "ledger")
SIZES = (10_000, 100_000, 1_000_000)


def _parts(text: str) -> list[str]:
    chosen = text.split(",")
    if not set(chosen) <= set(PARTS):
        raise argparse.ArgumentTypeError(f"choose from {', '.join(PARTS)}")
    return chosen


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--versions", type=int, default=SIZES[-1], help="of the largest registry")
    parser.add_argument("--only", type=_parts, default=list(PARTS), help=",".join(PARTS))
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--work", type=Path, default=Path(".cache/bench/registry"))
    parser.add_argument("--json", type=Path, help="write all figures here")
    parser.add_argument("--table", type=Path, help="put the tables into this document")
    return parser.parse_args()


def main() -> None:
    options = _options()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    cpus = chosen_cpus(options.cpus)
    os.sched_setaffinity(0, cpus)
    report = Report(len(cpus))
    if "publishers" in options.only:
        print("publishers", flush=True)
        report.published, report.postgresql = publishers.measure(work)
    if "queries" in options.only:
        sizes = [size for size in SIZES if size < options.versions]
        for size in [*sizes, options.versions]:
            _ask(report, size, work)
    if "ledger" in options.only:
        print("ledger", flush=True)
        synthetic = registries.prepare(options.versions, work)
        report.readings = ledger.measure(synthetic, cpus, work)
    print(report.markdown())
    if options.json:
        options.json.write_text(json.dumps(report.to_json(), indent=2))
    if options.table:
        report.write_into(options.table)
    missed = verdicts(report.promises)
    print("\n".join(missed) or "all kept")
    sys.exit(1 if missed else 0)


def _ask(report: Report, size: int, work: Path) -> None:
    print(f"{size:,} versions", flush=True)
    synthetic = registries.prepare(size, work)
    print(f"  made in {synthetic.seconds:.0f} s, {synthetic.bytes / 1e6:,.0f} MB", flush=True)
    report.bytes[size] = synthetic.bytes
    report.answers[size] = []
    for answer in timing.ask(synthetic):
        report.answers[size].append(answer)
        print(
            f"  {answer.verb:7} {answer.title:48}  median {answer.median * 1e3:8.2f} ms"
            f"  p99 {answer.p99 * 1e3:8.2f} ms  cold {answer.cold * 1e3:8.1f} ms",
            flush=True,
        )


if __name__ == "__main__":
    main()
