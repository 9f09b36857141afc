"""All methods on the same records, in the manner of Table 1 of Yao et al. 2023.

python benchmarks/survey.py MODEL [--seed 0] [--count 50] [--rows rome,memit] [--jobs 2]
    [--work .cache/survey] [--table docs/survey.md]

Single edits of records from CounterFact and from KnowEdit's ZsRE, then batches and a sequence of
CounterFact's. The records are drawn by --seed. Each row has a process of its own, on one thread;
what was found is kept in --work, so that a survey can be stopped and taken up again. Ends with
status 1, and writes no table, if a row could not be finished.
"""

import argparse
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness.document import write_between
from survey_bench import report
from survey_bench.results import newest
from survey_bench.rows import ROWS

WORKER = Path(__file__).parent / "survey_bench" / "worker.py"


def _rows(text: str) -> list[str]:
    chosen = text.split(",")
    if not set(chosen) <= set(ROWS):
        raise argparse.ArgumentTypeError(f"choose from {', '.join(ROWS)}")
    return chosen


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--rows", type=_rows, default=list(ROWS))
    parser.add_argument("--jobs", type=int, default=2, help="rows at a time")
    parser.add_argument("--work", type=Path, default=Path(".cache/survey"))
    parser.add_argument("--table", type=Path, help="put the tables into this document")
    return parser.parse_args()


def main() -> None:
    options = _options()
    work = (options.work / f"seed-{options.seed}-count-{options.count}").resolve()
    work.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(options.jobs) as pool:
        finished = list(pool.map(lambda row: _finish(row, options, work), options.rows))
    runs = [run for row in ROWS for run in newest(work / f"{row}.jsonl")]
    text = report.markdown(runs, seed=options.seed, count=options.count)
    print(text)
    if not all(finished):
        sys.exit(1)
    if options.table:
        write_between(options.table, "survey.py", text)


def _finish(row: str, options: argparse.Namespace, work: Path) -> bool:
    """Train, if that is needed, in a process of its own: its memory is not that of an edit."""
    trained = not ROWS[row].trained or _work(row, options, work, "--train")
    return trained and _work(row, options, work)


def _work(row: str, options: argparse.Namespace, work: Path, *more: str) -> bool:
    numbers = ["--seed", str(options.seed), "--count", str(options.count)]
    command = [sys.executable, WORKER, options.model, row, work, *numbers, *more]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return not subprocess.run(list(map(str, command)), env=environment, check=False).returncode


if __name__ == "__main__":
    main()
