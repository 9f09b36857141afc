"""What applying must cost at most, beside the others of the same run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .contenders import FLOOR, LINKED, OURS
from .measure import Outcome

Found = dict[tuple[str, str], dict[str, Outcome]]
MEMORY_MB = 200
ATTACH_MS = 10
SMALL = {"a": {"peft": 10.0, "mergekit": 20.0}, "b": {"peft": 5.0}}
LARGE = {"safetensors": 1.0, "transformers": 1.0, "peft": 1.0, "mergekit": 1.0}
SHORT = {"smollm2": "one file", "big": "shards"}


@dataclass(frozen=True)
class Promise:
    """One limit, and what was found."""

    text: str
    limit: str
    found: str
    kept: bool


def promises(found: Found, in_memory: Mapping[str, float]) -> Iterator[Promise]:
    """Every limit of which both sides were measured."""
    for (model, case), outcomes in found.items():
        ran = {name: outcome for name, outcome in outcomes.items() if outcome.runs}
        if OURS in ran:
            label = f"({case}) {SHORT[model]}"
            if case == "a":
                yield from _as_a_copy(label, model, ran)
            yield from _beside_peers(label, case, ran)
            yield from _exactly(label, ran)
    for name, seconds in in_memory.items():
        if name.startswith("weightpatch"):
            milliseconds = seconds * 1e3
            yield Promise(
                name, f"{ATTACH_MS} ms", f"{milliseconds:.2f} ms", milliseconds <= ATTACH_MS
            )


def _as_a_copy(label: str, model: str, ran: Mapping[str, Outcome]) -> Iterator[Promise]:
    if model == "smollm2" and FLOOR in ran:
        ratio = ran[OURS].fastest / ran[FLOOR].fastest
        yield Promise(f"{label}: times `cp`", "≤ 4", f"{ratio:.1f}", ratio <= 4)
    if LINKED in ran and "cp-shard" in ran:
        limit = ran["cp-shard"].fastest + 1
        seconds = ran[LINKED].fastest
        text = f"{label}: `--link`, copy of one shard plus 1 s"
        yield Promise(text, f"≤ {limit:.2f} s", f"{seconds:.2f} s", seconds <= limit)


def _beside_peers(label: str, case: str, ran: Mapping[str, Outcome]) -> Iterator[Promise]:
    """A small edit of shards is applied with `--link`; one that touches all has nothing to link."""
    ours = ran[OURS]
    if case in SMALL and LINKED in ran:
        ours, label = ran[LINKED], f"{label}, `--link`"
    for peer, limit in SMALL.get(case, LARGE).items():
        if peer in ran:
            ratio = ran[peer].fastest / ours.fastest
            text, found = f"{label}: faster than {peer}", f"{ratio:.1f} times"
            yield Promise(text, f"≥ {limit:g} times", found, ratio >= limit)


def _exactly(label: str, ran: Mapping[str, Outcome]) -> Iterator[Promise]:
    ours = [ran[name] for name in (OURS, LINKED) if name in ran]
    memory = max(outcome.anonymous for outcome in ours) / 1e6
    yield Promise(
        f"{label}: anonymous memory", f"≤ {MEMORY_MB} MB", f"{memory:.0f} MB", memory <= MEMORY_MB
    )
    right = all(outcome.wrong == 0 and not outcome.problem for outcome in ours)
    yield Promise(f"{label}: every bit and digest", "exact", "exact" if right else "wrong", right)
