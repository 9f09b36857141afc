"""Pairs of edits that do and do not disturb each other, and whether the weights alone tell.

python benchmarks/interference.py MODEL [--seed 0] [--count 60] [--anchors 25] [--pairs 600]
    [--methods rome,memit] [--jobs 2] [--work .cache/interference] [--table docs/conflicts.md]

Edits of CounterFact records drawn by --seed, and for --anchors of them edits that are close in nine
ways, each a patch of its own. Close pairs, --pairs drawn ones, and larger sets are applied together
and asked for their targets. Edits and answers are kept in --work, so that a run can be stopped and
taken up again. Each job has a process and a thread of its own. Methods after the first get a third
as many.
"""

import argparse
from pathlib import Path

from harness.document import write_between
from interference_bench import report
from interference_bench.asking import Answers
from interference_bench.cases import RECORD, cases, pairs
from interference_bench.measuring import outcomes
from interference_bench.report import Found
from interference_bench.sets import set_outcomes, sets
from interference_bench.worker import REFUSED, workers

SCRIPT = "interference.py"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=60, help="records that are edited")
    parser.add_argument("--anchors", type=int, default=25, help="records with edits close to them")
    parser.add_argument("--pairs", type=int, default=600, help="pairs of records that are drawn")
    parser.add_argument("--methods", default="rome,memit")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--work", type=Path, default=Path(".cache/interference"))
    parser.add_argument("--table", type=Path, help="put the tables into this document")
    return parser.parse_args()


def main() -> None:
    options = _options()
    methods = options.methods.split(",")
    found = {
        method: _measure(method, options, share=1 if number == 0 else 3)
        for number, method in enumerate(methods)
    }
    text = report.markdown(found, seed=options.seed, count=options.count)
    print(text)
    if options.table:
        write_between(options.table, SCRIPT, text)


def _measure(method: str, options: argparse.Namespace, share: int) -> Found:
    made = cases(options.count // share, options.anchors // share, options.seed)
    chosen = pairs(made, options.pairs // share, options.seed)
    with workers(options.model, method, options.work.resolve(), options.jobs) as pool:
        edits = pool.edits([case.request for case in made])
        folders = {
            case.request.id: folder
            for case, folder in zip(made, edits, strict=True)
            if not (folder / REFUSED).exists()
        }
        usable = [
            pair
            for pair in chosen
            if {pair.first.request.id, pair.second.request.id} <= folders.keys()
        ]
        records = [
            folders[case.request.id]
            for case in made
            if case.kind == RECORD and case.request.id in folders
        ]
        many = sets(records, options.seed)
        answers = Answers(edits[0].parent / "answers.jsonl", pool)
        answers.ask(
            [
                *((folder,) for folder in folders.values()),
                *((folders[p.first.request.id], folders[p.second.request.id]) for p in usable),
                *many,
            ]
        )
    return Found(outcomes(usable, folders, answers), list(set_outcomes(many, answers)))


if __name__ == "__main__":
    main()
