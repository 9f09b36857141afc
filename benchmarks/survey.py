"""All methods on the same records, in the manner of Table 1 of Yao et al. 2023.

python benchmarks/survey.py MODEL [--seed 0] [--count 50] [--methods rome,memit] [--jobs 2]
    [--work .cache/survey] [--table docs/survey.md]

Single edits of records from CounterFact and from KnowEdit's ZsRE, then batches and a sequence of
CounterFact's. The records are drawn by --seed. Each method has a process of its own, on one thread;
what was found is kept in --work, so that a survey can be stopped and taken up again.
"""

import argparse
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness.document import write_between
from survey_bench import report
from survey_bench.results import read

METHODS = ("ft", "lora", "kn", "ke", "mend", "rome", "memit", "alphaedit")
WORKER = Path(__file__).parent / "survey_bench" / "worker.py"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--jobs", type=int, default=2, help="methods at a time")
    parser.add_argument("--work", type=Path, default=Path(".cache/survey"))
    parser.add_argument("--table", type=Path, help="put the tables into this document")
    return parser.parse_args()


def main() -> None:
    options = _options()
    methods = options.methods.split(",")
    work = (options.work / f"seed-{options.seed}-count-{options.count}").resolve()
    work.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(options.jobs) as pool:
        ends = list(pool.map(lambda method: _run(method, options, work), methods))
    runs = [run for method in METHODS for run in read(work / f"{method}.jsonl")]
    text = report.markdown(runs, seed=options.seed, count=options.count)
    print(text)
    if options.table:
        write_between(options.table, "survey.py", text)
    sys.exit(max(ends))


def _run(method: str, options: argparse.Namespace, work: Path) -> int:
    command = [sys.executable, WORKER, options.model, method, work]
    numbers = ["--seed", str(options.seed), "--count", str(options.count)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run([*map(str, command), *numbers], env=environment, check=False).returncode


if __name__ == "__main__":
    main()
