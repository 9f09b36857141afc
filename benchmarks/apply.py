"""Applying an edit to a checkpoint on disk, side by side with what a user would pick instead.

python benchmarks/apply.py MODEL [--models smollm2,big] [--cases a,b,c,d] [--contenders cp,…]
    [--runs 3] [--cpus 2] [--work .cache/bench] [--keep] [--json FILE] [--table docs/performance.md]

MODEL is a folder with SmolLM2 as transformers stores it. Contenders run as whole processes, cold,
in turns, on the same few processors; each result is compared with the exact one.
"""

import argparse
import json
from pathlib import Path

from harness import edits, models
from harness.contenders import CONTENDERS
from harness.in_memory import measure_in_memory
from harness.measure import measure, remove
from harness.process import chosen_cpus
from harness.report import Report


def _listed(text: str) -> list[str]:
    return text.split(",")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--models", type=_listed, default=list(models.TITLES))
    parser.add_argument("--cases", type=_listed, default=list(edits.TITLES))
    names = [contender.name for contender in CONTENDERS]
    parser.add_argument("--contenders", type=_listed, default=names, help=",".join(names))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--work", type=Path, default=Path(".cache/bench"))
    parser.add_argument("--keep", action="store_true", help="keep the edits for the next time")
    parser.add_argument("--no-memory", action="store_true", help="leave out attach and detach")
    parser.add_argument("--json", type=Path, help="write all figures here")
    parser.add_argument("--table", type=Path, help="put the tables into this document")
    return parser.parse_args()


def main() -> None:
    options = _options()
    work = options.work.resolve()
    remove(work / "runs")
    (work / "runs").mkdir(parents=True)
    cpus = chosen_cpus(options.cpus)
    chosen = [contender for contender in CONTENDERS if contender.name in options.contenders]
    report = Report(len(cpus))
    for name in options.models:
        base = models.prepare(name, options.model, work / "models")
        for case in options.cases:
            print(f"{models.TITLES[name]}: {edits.TITLES[case]}", flush=True)
            edit = edits.prepare(case, base, work / "edits" / f"{name}-{case}")
            fitting = [contender for contender in chosen if contender.fits(edit)]
            report.add(edit, measure(edit, fitting, options.runs, cpus, work / "runs"))
            if name == "smollm2" and case == "a" and not options.no_memory:
                report.in_memory = measure_in_memory(edit, options.runs, cpus, work / "runs")
            if not options.keep:
                remove(edit.folder)
    print(report.markdown())
    if options.json:
        options.json.write_text(json.dumps(report.to_json(), indent=2))
    if options.table:
        report.write_into(options.table)


if __name__ == "__main__":
    main()
