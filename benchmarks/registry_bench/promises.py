"""What the registry must keep, whatever its size and however many publish at once."""

from collections.abc import Iterator, Mapping, Sequence

from harness.promises import Promise

from .databases import TITLES
from .ledger import VERIFY, Reading
from .publishers import OURS, Published
from .questions import UNPROMISED
from .timing import Answer

MOST_MS = 100
MOST_SECONDS = 60.0
CROWD = 32


def promises(
    published: Sequence[Published],
    answers: Mapping[int, Sequence[Answer]],
    readings: Sequence[Reading],
) -> Iterator[Promise]:
    """Every limit of what was measured."""
    for one in published:
        if one.contender == OURS and one.processes == CROWD:
            yield from _crowd(one)
    if answers:
        yield from _questions(max(answers), answers[max(answers)])
    for reading in readings:
        if reading.what == VERIFY:
            kept = reading.ok and reading.seconds <= MOST_SECONDS
            text = f"verify {reading.entries:,} ledger entries"
            found = f"{reading.seconds:.1f} s" if reading.ok else "broken"
            yield Promise(text, f"≤ {MOST_SECONDS:.0f} s", found, kept)


def _crowd(one: Published) -> Iterator[Promise]:
    text = f"{one.processes} publishers on {TITLES[one.dialect]}"
    for what, found in (
        ("errors", len(one.done.errors)),
        ("versions lost", one.lost),
        ("gaps in version numbers", one.gaps),
    ):
        yield Promise(f"{text}: {what}", "0", str(found), found == 0)
    sound = "sound" if one.ledger_ok else "broken"
    yield Promise(f"{text}: ledger", "sound", sound, bool(one.ledger_ok))


def _questions(size: int, answers: Sequence[Answer]) -> Iterator[Promise]:
    """The slowest question of each verb decides for it."""
    verbs: dict[str, list[Answer]] = {}
    for answer in answers:
        if answer.title not in UNPROMISED:
            verbs.setdefault(answer.verb, []).append(answer)
    for verb, asked in verbs.items():
        slowest = max(asked, key=lambda answer: answer.median)
        milliseconds = slowest.median * 1e3
        text = f"{verb} among {size:,} versions, at the median; slowest: {slowest.title}"
        found = f"{milliseconds:.1f} ms"
        yield Promise(text, f"≤ {MOST_MS} ms", found, milliseconds <= MOST_MS)
