"""What the requests of one patch say, indexed so that those of another are quickly found in it."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import combinations

from ..requests import EditRequest, Probe
from .text import Phrases, normalised

SAYS, REVERSED, FOLLOWS, AROUND = "says", "reversed", "one-hop", "neighbourhood"
"""What a request says: its fact (on its prompt, in paraphrases, of the subject's other names), the
fact read backwards, what follows from it, and what must stay as it is."""

Answers = dict[str, list[EditRequest]]
"""Requests by what they answer."""

Texts = dict[str, Answers]
"""Requests by prompt, and then by what they answer; all texts normalised."""

MET = frozenset(
    {(SAYS, SAYS), (SAYS, REVERSED), (REVERSED, REVERSED), (SAYS, FOLLOWS), (SAYS, AROUND)}
)
"""What of one patch is compared with what of another, either way."""

CLASHING = frozenset({(SAYS, SAYS), (SAYS, REVERSED)})
"""Of these, where a conflict may be found."""


class Statements:
    """The requests of one patch by prompt, subject and target."""

    def __init__(self, label: str, requests: Sequence[EditRequest]) -> None:
        self.label = label
        self.texts: dict[str, Texts] = {SAYS: {}, REVERSED: {}, FOLLOWS: {}, AROUND: {}}
        self.subjects: Texts = {}
        self.targets: Texts = {}
        """By target, and then by subject."""
        for request in requests:
            self._add(request)

    @cached_property
    def phrases(self) -> Phrases:
        """The subjects, to be looked for in prompts."""
        return Phrases(self.subjects)

    def _add(self, request: EditRequest) -> None:
        subject, target = normalised(request.subject), normalised(request.target)
        _put(self.subjects, subject, target, request)
        _put(self.targets, target, subject, request)
        aliases = request.portability.get("alias", ())
        said = [request.text, *(probe.prompt for probe in (*request.paraphrases, *aliases))]
        for text in {normalised(prompt) for prompt in said}:
            _put(self.texts[SAYS], text, target, request)
        for kind in (REVERSED, FOLLOWS):
            self._add_probes(kind, request.portability.get(kind, ()), request)
        self._add_probes(AROUND, request.neighbourhood, request)

    def _add_probes(self, kind: str, probes: Iterable[Probe], request: EditRequest) -> None:
        for text, answer in {(normalised(one.prompt), normalised(one.target)) for one in probes}:
            _put(self.texts[kind], text, answer, request)


def related(
    patches: Sequence[Statements], *, conflicts_only: bool = False
) -> list[tuple[int, int]]:
    """The pairs of patches whose requests have anything to do with each other, by number.

    With `conflicts_only` those whose requests may contradict each other.
    """
    met = [0] * len(patches)
    """For each patch the set of those that it meets, as bits."""
    for ones, others in _meetings(patches, conflicts_only=conflicts_only):
        for these, those in ((ones, _bits(others)), (others, _bits(ones))):
            for number in these:
                met[number] |= those
    pairs = combinations(range(len(patches)), 2)
    return [(one, other) for one, other in pairs if met[one] >> other & 1]


def _bits(numbers: Iterable[int]) -> int:
    return sum(1 << number for number in numbers)


Owners = tuple[int, ...]


def _meetings(patches: Sequence[Statements], *, conflicts_only: bool) -> set[tuple[Owners, Owners]]:
    """Which patches meet which, once for all texts on which the same ones do."""
    texts = {kind: _owners(one.texts[kind] for one in patches) for kind in patches[0].texts}
    met = CLASHING if conflicts_only else MET
    found = _in_common((texts[one], texts[other]) for one, other in met)
    if conflicts_only:
        return found
    subjects = _owners(one.subjects for one in patches)
    targets = _owners(one.targets for one in patches)
    found |= _in_common([(subjects, subjects), (targets, subjects)])
    phrases = Phrases(subjects)
    for text, owners in texts[AROUND].items():
        found |= {(subjects[subject], owners) for subject in phrases.within(text)}
    return found


def _in_common(
    indexes: Iterable[tuple[dict[str, Owners], dict[str, Owners]]],
) -> set[tuple[Owners, Owners]]:
    return {
        (ones[text], others[text])
        for ones, others in indexes
        for text in ones.keys() & others.keys()
    }


def _owners(indexes: Iterable[Texts]) -> dict[str, Owners]:
    found: dict[str, list[int]] = {}
    for number, index in enumerate(indexes):
        for text in index:
            found.setdefault(text, []).append(number)
    return {text: tuple(owners) for text, owners in found.items()}


def _put(index: Texts, text: str, answer: str, request: EditRequest) -> None:
    index.setdefault(text, {}).setdefault(answer, []).append(request)
