"""What the requests of two patches have to do with each other: contradictions, and what may be."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice, product

from ..requests import EditRequest
from . import sentences as say
from .findings import CONFLICT, FACTS, MORE, NOTE, WARNING, Finding
from .statements import AROUND, FOLLOWS, REVERSED, SAYS, Answers, Statements, Texts
from .text import normalised

MAX_FINDINGS = 1_000
"""Findings about the requests of one pair of patches; one more says how many were left out."""

MAX_COUNTED = 10 * MAX_FINDINGS
"""Pairs of requests that are counted one by one among those left out."""

Pairs = Iterable[tuple[EditRequest, EditRequest]]
Say = Callable[[EditRequest, EditRequest], str]


@dataclass(frozen=True)
class Rule:
    """One way in which two requests have to do with each other."""

    severity: str
    pairs: Pairs
    say: Say


def facts(
    first: Statements, second: Statements, *, conflicts_only: bool = False
) -> Iterator[Finding]:
    """What the requests of a pair have to do with each other, gravest first, and how many more.

    Each pair of requests is found once, as the gravest that it is. With `conflicts_only` nothing
    is looked for that could only be a warning or a note.
    """
    labels = (first.label, second.label)
    rules = _rules(first, second)
    found = _each_once(each for each in rules if each.severity == CONFLICT or not conflicts_only)
    severity, shown, about = NOTE, 0, 0
    for one, other, rule in islice(found, MAX_FINDINGS):
        severity = rule.severity
        shown += 1
        about += _same_subject(one, other)
        yield Finding(FACTS, severity, labels, one.subject, rule.say(one, other))
    if shown < MAX_FINDINGS:
        return
    rest = sum(not _same_subject(one, other) for one, other, _ in islice(found, MAX_COUNTED))
    more = next(found, None) is not None
    left = rest + _about_one_subject(first, second) - about
    if left:
        said = "have to do with each other" if rest else "are about the same subjects"
        counted = f"at least {left}" if rest and more else f"{left}"
        sentence = f"{counted} more pairs of requests {said}"
        yield Finding(FACTS, severity, labels, MORE, sentence, {MORE: left})


def _each_once(rules: Iterable[Rule]) -> Iterator[tuple[EditRequest, EditRequest, Rule]]:
    seen: set[tuple[int, int]] = set()
    for rule in rules:
        for one, other in rule.pairs:
            if (id(one), id(other)) not in seen:
                seen.add((id(one), id(other)))
                yield one, other, rule


def _rules(first: Statements, second: Statements) -> list[Rule]:
    """All rules, gravest first; none looks at a pair before it is its turn."""
    ones, others = first.texts, second.texts
    return [
        Rule(CONFLICT, _differ(ones[SAYS], others[SAYS]), say.contradiction),
        Rule(CONFLICT, _differ(ones[SAYS], others[REVERSED]), say.backwards),
        Rule(CONFLICT, _differ(ones[REVERSED], others[SAYS]), _turned(say.backwards)),
        Rule(WARNING, _agree(ones[SAYS], others[SAYS]), say.twice),
        Rule(WARNING, _differ(ones[REVERSED], others[REVERSED]), say.both_backwards),
        Rule(WARNING, _differ(ones[SAYS], others[FOLLOWS]), say.consequence),
        Rule(WARNING, _differ(ones[FOLLOWS], others[SAYS]), _turned(say.consequence)),
        Rule(WARNING, _differ(ones[SAYS], others[AROUND]), say.disturbs),
        Rule(WARNING, _differ(ones[AROUND], others[SAYS]), _turned(say.disturbs)),
        Rule(WARNING, _taken_back(first, second), say.takes_back),
        Rule(WARNING, _swapped(_taken_back(second, first)), _turned(say.takes_back)),
        Rule(WARNING, _differ(first.subjects, second.subjects), say.subject),
        Rule(WARNING, _around(first, second), say.near),
        Rule(WARNING, _swapped(_around(second, first)), _turned(say.near)),
        Rule(NOTE, _agree(ones[SAYS], others[REVERSED]), say.reversed_alike),
        Rule(NOTE, _agree(ones[REVERSED], others[SAYS]), _turned(say.reversed_alike)),
        Rule(NOTE, _agree(first.subjects, second.subjects), say.subject_and_answer),
        Rule(NOTE, _agree(first.targets, second.subjects), say.reversed_alike),
        Rule(NOTE, _differ(first.targets, second.subjects), say.chain),
        Rule(NOTE, _differ(first.subjects, second.targets), _turned(say.chain)),
    ]


def _differ(ones: Texts, others: Texts) -> Pairs:
    """Requests that answer otherwise to the same text."""
    for text in _common(ones, others):
        for answer, mine in ones[text].items():
            yield from product(mine, _without(others[text], answer))


def _without(answers: Answers, answer: str) -> list[EditRequest]:
    return list(chain.from_iterable(found for other, found in answers.items() if other != answer))


def _agree(ones: Texts, others: Texts) -> Pairs:
    """Requests that answer alike to the same text."""
    for text in _common(ones, others):
        for answer in _common(ones[text], others[text]):
            yield from product(ones[text][answer], others[text][answer])


def _taken_back(first: Statements, second: Statements) -> Pairs:
    """A fact of the first, and one of the second that changes the same fact read backwards.

    As in "reverse edits" (Li et al. 2023, arXiv:2310.02129): the second's subject is the first's
    target, and what it answered until now is the first's subject.
    """
    for text in _common(first.targets, second.subjects):
        for subject, mine in first.targets[text].items():
            for other in _without(second.subjects[text], subject):
                if other.old_target is not None and normalised(other.old_target) == subject:
                    yield from ((one, other) for one in mine)


def _around(first: Statements, second: Statements) -> Pairs:
    """Requests of the first whose subject stands in a neighbourhood prompt of the second's."""
    for text, answers in sorted(second.texts[AROUND].items()):
        for subject in first.phrases.within(text):
            ones = chain.from_iterable(first.subjects[subject].values())
            yield from product(ones, chain.from_iterable(answers.values()))


def _swapped(pairs: Pairs) -> Pairs:
    return ((other, one) for one, other in pairs)


def _turned(say: Say) -> Say:
    return lambda one, other: say(other, one)


def _common(ones: Iterable[str], others: Iterable[str]) -> list[str]:
    return sorted(set(ones) & set(others))


def _same_subject(one: EditRequest, other: EditRequest) -> bool:
    return normalised(one.subject) == normalised(other.subject)


def _about_one_subject(first: Statements, second: Statements) -> int:
    """How many pairs of requests are about the same subject."""
    sizes = (
        [sum(map(len, side.subjects[subject].values())) for side in (first, second)]
        for subject in _common(first.subjects, second.subjects)
    )
    return sum(one * other for one, other in sizes)
