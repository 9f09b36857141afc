"""What is asked of a registry: each question in many wordings, so that no answer is remembered."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from weightpatch.patches.format.manifest import BaseRecord, TensorRecord
from weightpatch.registry.registry import Registry

from .synthetic import words
from .synthetic.bases import Base, all_bases
from .synthetic.population import Population
from .synthetic.registries import time_of
from .synthetic.versions import author_name, digest_of

PAGE = 50
YANK = "version.yank"
WORDINGS = 40

Call = Callable[[Registry], object]


@dataclass(frozen=True)
class Question:
    """One question: the verb, what is asked, and ways to ask it that cost alike."""

    verb: str
    title: str
    calls: Sequence[Call]


def questions(of: Population) -> list[Question]:
    """All questions; the same for the same population."""
    return [*_shows(of), *_lists(of), *_searches(of), *_hard_searches(of), *_logs(of)]


def _places(of: Population, seed: int) -> list[int]:
    """Versions from all over the registry."""
    drawn = np.random.default_rng(seed).integers(0, of.size, WORDINGS)
    return [int(place) for place in drawn]


def _big(of: Population) -> list[str]:
    """The patches with most versions."""
    largest = np.argsort(np.bincount(of.patch), kind="stable")[-8:]
    return [of.patch_name(int(patch)) for patch in largest]


def _shows(of: Population) -> Iterator[Question]:
    labels = [of.label(place) for place in _places(of, 1)]
    digests = [digest_of(place) for place in _places(of, 2)]

    def resolve(reference: str) -> Call:
        return lambda registry: registry.resolve(reference)

    def whole(reference: str) -> Call:
        def call(registry: Registry) -> None:
            info = registry.resolve(reference)
            registry.evaluations(info.digest)
            registry.provenance(reference)
            registry.lineage(reference)

        return call

    yield Question("show", "`name@number`", [resolve(label) for label in labels])
    yield Question("show", "`name`, the newest", [resolve(one.split("@")[0]) for one in labels])
    yield Question("show", "`name`, of 1 % of all versions", [resolve(one) for one in _big(of)])
    prefixes = [f"sha256:{digest[:12]}" for digest in digests]
    yield Question("show", "`sha256:` and 12 digits", [resolve(one) for one in prefixes])
    everything = [whole(f"sha256:{digest}") for digest in digests]
    yield Question("show", "with scores, provenance, lineage", everything)


def _lists(of: Population) -> Iterator[Question]:
    middles = np.random.default_rng(3).integers(of.size * 2 // 5, of.size * 3 // 5, WORDINGS)

    def page(name: str | None, place: int | None = None) -> Call:
        before = None if place is None else digest_of(place)
        return lambda registry: registry.versions(name=name, limit=PAGE, before=before)

    def middle(patch: int) -> int:
        places = np.flatnonzero(of.patch == patch)
        return int(places[len(places) // 2])

    yield Question("list", "the first page", [page(None)])
    yield Question("list", "a page in the middle", [page(None, int(one)) for one in middles])
    largest = np.argsort(np.bincount(of.patch), kind="stable")[-8:].tolist()
    yield Question(
        "list",
        "a page in the middle of a patch with 1 %",
        [page(of.patch_name(patch), middle(patch)) for patch in largest],
    )


def search(**conditions: object) -> Call:
    """A search for the first page of what meets the conditions."""
    return lambda registry: registry.search(limit=PAGE, **conditions)  # type: ignore[arg-type]


def _searches(of: Population) -> Iterator[Question]:
    common, _, rare = all_bases()
    places = _places(of, 4)
    middle = digest_of(of.size // 2)
    yield Question("search", "base that 90 % have", [search(base=common.name)])
    yield Question(
        "search", "base that 90 % have, from the middle", [search(base=common.name, before=middle)]
    )
    yield Question("search", "base that 0.1 % have", [search(base=rare.name)])
    yield Question("search", "tensors of a base that 90 % fit", [search(base=_record(common))])
    yield Question("search", "tensors of a base that 0.1 % fit", [search(base=_record(rare))])
    subjects = [words.person(place) for place in places if of.common[place] < 0]
    yield Question("search", "subject of one version", [search(subject=one) for one in subjects])
    yield Question("search", "subject of 0.3 to 3 %", [search(subject=one) for one in words.COMMON])
    yield Question(
        "search", "a rare word", [search(text=f"ticket {of.ticket[place]}") for place in places]
    )
    yield Question("search", "a word of 5 %", [search(text=one) for one in words.TARGETS])
    yield Question("search", "a word of all versions", [search(text="correct")])
    authors = [author_name(number) for number in range(400, 400 + WORDINGS)]
    yield Question("search", "author of 0.1 %", [search(author=one) for one in authors])
    yield Question("search", "author of 4 %", [search(author=author_name(0))])
    yield Question("search", "method of 9 to 41 %", [search(method=one) for one in words.METHODS])
    tensors = [name for name, _ in common.tensors]
    yield Question("search", "tensor of 3 %", [search(tensor=one) for one in tensors])
    yield Question("search", "tensors `*.mlp.down_proj.*`", [search(tensor="*.mlp.down_proj.*")])


def _hard_searches(of: Population) -> Iterator[Question]:
    """Those with a score, and those with several conditions."""
    common, _, rare = all_bases()
    years = [words.person(place) for place in _places(of, 5)]
    yield Question("search", "`locality>=0.9`, of 9 %", [search(scores=["locality>=0.9"])])
    yield Question("search", "`locality<0.3`, of hardly any", [search(scores=["locality<0.3"])])
    yield Question(
        "search",
        "`locality>=0.9` on a base that 90 % have",
        [search(scores=["locality>=0.9"], base=common.name)],
    )
    yield Question(
        "search",
        "`locality>=0.9` on a base that 0.1 % have",
        [search(scores=["locality>=0.9"], base=rare.name)],
    )
    yield Question(
        "search",
        "subject, base, method and score",
        [
            search(subject=one, base=common.name, method="rome", scores=["locality>=0.5"])
            for one in [*words.COMMON, *years[:5]]
        ],
    )
    yield Question(
        "search",
        "tensors of a base that 0.1 % fit, and a tensor of another",
        [search(base=_record(rare), tensor=name) for name, _ in common.tensors[:10]],
    )
    pairs = zip(words.RELATIONS[::2], words.RELATIONS[1::2], strict=True)
    yield Question(
        "search",
        NEVER_TOGETHER,
        [search(text=f"{one} {other}".replace("-", " ")) for one, other in pairs],
    )


NEVER_TOGETHER = "two words of 5 % each that no version has both"
UNPROMISED = frozenset((NEVER_TOGETHER,))


def _logs(of: Population) -> Iterator[Question]:
    def log(**filters: object) -> Call:
        return lambda registry: registry.log(limit=PAGE, **filters)  # type: ignore[arg-type]

    labels = [of.label(place) for place in _places(of, 6)]
    yield Question("log", "the newest", [log()])
    yield Question("log", "from the middle", [log(before=of.size // 2)])
    yield Question("log", "of a patch with 1 %", [log(reference=one) for one in _big(of)])
    yield Question("log", "of a version", [log(reference=one) for one in labels])
    actors = [f"user{number}" for number in range(40)]
    yield Question("log", "by an actor of 2 %", [log(actor=one) for one in actors])
    yield Question("log", "of yanks, 0.4 %", [log(action=YANK)])
    yield Question("log", "of yanks by an actor who made none", [log(action=YANK, actor="user0")])
    yield Question("log", "since the middle", [log(since=time_of(of.size // 2))])
    yield Question("log", "until the middle", [log(until=time_of(of.size // 2))])
    yield Question("log", "until nearly the end", [log(until=time_of(of.size * 19 // 20))])
    yield Question("log", "since the beginning", [log(since=time_of(0))])
    starts = np.random.default_rng(7).integers(of.size // 4, of.size // 2, WORDINGS).tolist()
    days = [(time_of(one), time_of(one + of.size // 10)) for one in starts]
    yield Question(
        "log", "of a tenth of the time", [log(since=one, until=other) for one, other in days]
    )
    yield Question(
        "log",
        "of an actor in a tenth of the time",
        [log(actor="keeper", since=one, until=other) for one, other in days],
    )


def _record(base: Base) -> BaseRecord:
    tensors = {name: TensorRecord("BF16", (576, 1536), digest) for name, digest in base.tensors}
    return BaseRecord(base.name, base.revision, base.tokenizer, tensors, result={})
