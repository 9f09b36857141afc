"""Keeping the difference of two checkpoints, side by side with what compares files.

python benchmarks/extract.py MODEL [--cases a,b,c,merged] [--quick] [--cpus 2]
    [--work .cache/bench-extract] [--keep] [--table docs/performance.md]

MODEL is a folder with SmolLM2 in bfloat16 as transformers stores it. Each contender runs once, as a
whole process, cold; then what it wrote is turned back and compared. `--quick` leaves out what
takes minutes.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from extract_bench.cases import TITLES, Case, prepare
from extract_bench.contenders import Contender, all_contenders
from extract_bench.report import Found, Report
from harness.document import write_between
from harness.process import Failed, chosen_cpus

SLOW = ("xdelta3",)


def _listed(text: str) -> list[str]:
    return text.split(",")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--cases", type=_listed, default=list(TITLES))
    parser.add_argument("--quick", action="store_true", help="leave out what takes minutes")
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--work", type=Path, default=Path(".cache/bench-extract"))
    parser.add_argument("--keep", action="store_true", help="keep the edits for the next time")
    parser.add_argument("--table", type=Path, help="put the tables into this document")
    return parser.parse_args()


def main() -> None:
    options = _options()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    cpus = chosen_cpus(options.cpus)
    contenders = [one for one in all_contenders() if not (options.quick and one.name in SLOW)]
    report = Report(len(cpus))
    for name in options.cases:
        print(TITLES[name], flush=True)
        case = prepare(name, options.model.resolve(), work / "edits")
        report.dense[name] = case.dense
        report.found[name] = [_measure(one, case, work, cpus) for one in contenders]
    print(report.markdown())
    if options.table:
        write_between(options.table, "extract.py", report.markdown())
    if not options.keep:
        shutil.rmtree(work)


def _measure(contender: Contender, case: Case, work: Path, cpus: set[int]) -> Found:
    if contender.problem:
        return Found(contender.name, problem=contender.problem)
    with tempfile.TemporaryDirectory(prefix="run-", dir=work) as folder:
        try:
            stored, usage = contender.keep(case, Path(folder), cpus)
            exact = contender.is_exact(case, Path(folder), cpus)
        except Failed as failure:
            print(f"{contender.name}: {failure}")
            return Found(contender.name, problem="failed")
    print(f"  {contender.name:24} {stored:12,} bytes {usage.wall:7.2f} s", flush=True)
    return Found(contender.name, stored, usage, exact)


if __name__ == "__main__":
    main()
