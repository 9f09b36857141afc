"""Which edits are made, and which of them are put together."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from weightpatch.patches import datasets
from weightpatch.patches.requests import EditRequest, Probe

DRAWN = "two records drawn"
RECORD, CONTRARY, REWORDED = "a record", "contradiction", "same fact, other words"
OTHER_RELATION, LAST_WORD = "same subject, other relation", "same last word"
LAST_ALONE, WITHIN, LOWER = "its last word alone", "its subject within another", "in lower case"
FIRST_WORD, SAME_ANSWER = "same first word", "same relation and answer"
CLOSE = (
    *(CONTRARY, OTHER_RELATION, REWORDED, LAST_WORD, LAST_ALONE, WITHIN, LOWER),
    *(FIRST_WORD, SAME_ANSWER),
)


@dataclass(frozen=True)
class Case:
    """One edit: a record as it is, or one that is close to the record `anchor` in a certain way."""

    kind: str
    anchor: str
    request: EditRequest


@dataclass(frozen=True)
class Pair:
    """Two edits that are applied together, and what they have to do with each other."""

    kind: str
    first: Case
    second: Case


def cases(count: int, anchors: int, seed: int) -> list[Case]:
    """`count` records drawn by `seed`, and for the first `anchors` that can, one of each CLOSE."""
    records = datasets.load("counterfact").requests
    drawn = [_bare(record) for record in datasets.sample(records, count, seed)]
    found = [Case(RECORD, record.id, record) for record in drawn]
    for number, record in enumerate(drawn):
        if anchors and (close := _companions(record, drawn[number + 1 :] + drawn[:number])):
            anchors -= 1
            found += close
    return found


def pairs(cases: Sequence[Case], most: int, seed: int) -> list[Pair]:
    """Each record with what is close to it, and up to `most` drawn pairs of records."""
    records = {case.anchor: case for case in cases if case.kind == RECORD}
    close = [Pair(case.kind, records[case.anchor], case) for case in cases if case.kind != RECORD]
    others = list(combinations(records.values(), 2))
    drawn = random.Random(seed).sample(others, min(most, len(others)))
    return [*close, *(Pair(DRAWN, one, other) for one, other in drawn)]


def _bare(record: EditRequest) -> EditRequest:
    return replace(record, neighbourhood=(), generation=())


def _companions(record: EditRequest, others: Sequence[EditRequest]) -> list[Case]:
    """One edit of each kind that is CLOSE; none at all if one of them cannot be made."""
    answer = _answer_of_the_kind(record, others)
    wording = next((p for p in record.paraphrases if record.subject in p.prompt), None)
    named = [one for one in others if len(one.subject.split()) > 1]
    if answer is None or wording is None or not named or len(record.subject.split()) < 2:
        return []
    donor, (first, last) = named[0], _ends(record.subject)
    other_first, other_last = _ends(donor.subject)
    made = {
        CONTRARY: _about(record, record.subject, answer),
        REWORDED: replace(
            record,
            prompt=wording.prompt.replace(record.subject, "{}"),
            paraphrases=(Probe(record.text, record.target),),
        ),
        OTHER_RELATION: _about(donor, record.subject, donor.target),
        LAST_WORD: _about(record, f"{other_first} {last}", answer),
        LAST_ALONE: _about(record, last, answer),
        WITHIN: _about(record, f"the house of {record.subject}", answer),
        LOWER: _about(record, record.subject.lower(), answer),
        FIRST_WORD: _about(record, f"{first} {other_last}", answer),
        SAME_ANSWER: _about(record, donor.subject, record.target),
    }
    return [
        Case(kind, record.id, replace(request, id=f"{record.id}: {kind}"))
        for kind, request in made.items()
    ]


def _answer_of_the_kind(record: EditRequest, others: Sequence[EditRequest]) -> str | None:
    """A target of another record whose answers show that it asks for the same kind of thing."""
    own = {record.target, record.old_target}
    return next(_other_answers(own, others), None)


def _other_answers(own: set[str | None], others: Sequence[EditRequest]) -> Iterator[str]:
    for other in others:
        answers = {other.target, other.old_target}
        if answers & own:
            yield from sorted(answer for answer in answers - own if answer)


def _ends(name: str) -> tuple[str, str]:
    words = name.split()
    return words[0], words[-1]


def _about(record: EditRequest, subject: str, target: str) -> EditRequest:
    """The record with another subject and target, in its paraphrases too."""
    return replace(
        record,
        subject=subject,
        target=target,
        old_target=None,
        paraphrases=tuple(
            Probe(probe.prompt.replace(record.subject, subject), target)
            for probe in record.paraphrases
            if record.subject in probe.prompt
        ),
    )
