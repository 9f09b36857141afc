"""Search the Hub for patches: what cards say in one request a page, then which versions there are.

Which models are meant is left to the Hub, and what it answers is judged again.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from threading import Lock

from ....patches.checkpoints.checkpoint import Checkpoint
from ....patches.errors import NameRefused, WeightpatchError
from ....patches.format.front_matter import EDIT, is_hub_id, method_tag
from ....patches.format.names import check_patch_name, quoted
from ....patches.progress import Progress, silent
from ...errors import QueryRefused
from ..card_scores import read_scores
from ..catalogue import Found, Published, Unanswered, Wanted
from ..errors import RemoteBusy
from ..location import ON_HUB
from .asking.pages import Query, pages
from .asking.together import together
from .repository.repository import Repository

PAGE = 100
WHAT = "the list of patches"
_ADAPTER = "base_model:adapter:"
_METHOD = re.compile(r"edit-method:([a-z0-9][a-z0-9._-]{0,59})")
_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,9})?Z")
_MAX_TAGS = 1_000
_MAX_BASES = 10
_PROPERTIES = (
    "cardData",
    "disabled",
    "gated",
    "lastModified",
    "model-index",
    "private",
    "tags",
)


def search(wanted: Wanted, limit: int, *, progress: Progress = silent) -> Found:
    """Find at most `limit` patches, the last changed first, and ask each for its versions.

    A patch that cannot be asked is told and stops nothing. Raises RemoteError, LimitExceeded, and
    QueryRefused for a base that cannot be on the Hub.
    """
    wanted = replace(wanted, base=_model(wanted.base))
    found: dict[str, Published] = {}
    left_out = 0
    more = True
    for page in pages("/api/models", _query(wanted, limit), WHAT, progress=progress):
        for record in page.records:
            one = _read(record, wanted)
            if one is None:
                left_out += 1
            elif wanted.has_words(one.name) and wanted.has_scores(one.scores):
                found.setdefault(one.name, one)
        progress("search the Hub", min(len(found), limit), limit)
        more = not page.is_last or len(found) > limit
        if len(found) > limit:
            break
    patches, unanswered = _with_versions(list(found.values())[:limit], progress)
    published = tuple(patch for patch in patches if patch.versions)
    return Found(published, tuple(unanswered), left_out + len(patches) - len(published), more)


def _model(base: str | Checkpoint | None) -> str | None:
    """The id of a base without its revision, of which a card knows nothing."""
    if base is None:
        return None
    name = base.partition("@")[0] if isinstance(base, str) else base.id
    if not is_hub_id(name):
        raise QueryRefused(
            f"{quoted(name)} is no model on the Hub", hint="write --base organisation/model"
        )
    return name


def _query(wanted: Wanted, limit: int) -> Query:
    """What the Hub is asked: of several words the longest, for it takes only one."""
    # Where some of what comes may not be meant, a few large pages are better than many small ones.
    size = PAGE if wanted.words or wanted.scores else min(PAGE, limit + 1)
    query: dict[str, str | Sequence[str]] = {
        "filter": _filters(wanted),
        "sort": "lastModified",
        "limit": str(size),
        "expand": _PROPERTIES,
    }
    if wanted.author:
        query["author"] = wanted.author
    if wanted.words:
        query["search"] = max(wanted.words, key=len)
    return query


def _filters(wanted: Wanted) -> list[str]:
    """The tags that a model must have."""
    base = [f"{_ADAPTER}{wanted.base}"] if wanted.base else []
    method = [method_tag(wanted.method)] if wanted.method else []
    return [EDIT, *base, *method]


def _read(record: object, wanted: Wanted) -> Published | None:
    """What the Hub says of a patch; None if it can be none, or is not what was asked for."""
    if not isinstance(record, dict) or record.get("disabled") is True:
        return None
    name, tags = record.get("id"), _tags(record)
    asked = {tag.lower() for tag in _filters(wanted)}
    if not isinstance(name, str) or not asked <= {tag.lower() for tag in tags}:
        return None
    try:
        check_patch_name(name.lower())
    except NameRefused:
        return None
    if wanted.author and name.partition("/")[0].lower() != wanted.author.lower():
        return None
    bases = (tag.removeprefix(_ADAPTER) for tag in tags if tag.startswith(_ADAPTER))
    methods = (match[1] for match in map(_METHOD.fullmatch, tags) if match)
    return Published(
        name,
        versions=(),
        method=next(methods, None),
        bases=tuple(islice(filter(is_hub_id, bases), _MAX_BASES)),
        scores=read_scores(record),
        changed=_time(record.get("lastModified")),
        private=record.get("private") is True,
        gated=record.get("gated") in ("auto", "manual", True),
    )


def _tags(record: Mapping[str, object]) -> list[str]:
    tags = record.get("tags")
    few = islice(tags, _MAX_TAGS) if isinstance(tags, list) else ()
    return [tag for tag in few if isinstance(tag, str)]


def _time(value: object) -> str | None:
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    return f"{match[1]}Z" if match else None


def _with_versions(
    patches: Sequence[Published], progress: Progress
) -> tuple[list[Published], list[Unanswered]]:
    """The patches with their versions, and those that could not be asked for theirs."""
    versions: dict[str, tuple[int, ...]] = {}
    errors: dict[str, WeightpatchError | OSError] = {}
    for name, answer in _answers([patch.name for patch in patches], progress):
        if isinstance(answer, tuple):
            versions[name] = answer
        else:
            errors[name] = answer
        progress("ask for versions", len(versions) + len(errors), len(patches))
    known = [replace(one, versions=versions[one.name]) for one in patches if one.name in versions]
    return known, [Unanswered(name, ON_HUB, error) for name, error in errors.items()]


def _answers(
    names: Sequence[str], progress: Progress
) -> Iterator[tuple[str, tuple[int, ...] | WeightpatchError | OSError]]:
    """The versions of each patch, or the error, as they come; a few are asked at a time.

    Once the Hub wants fewer requests, none is asked any more.
    """
    one_at_a_time = Lock()

    def told(phase: str, done: int, total: int | None) -> None:
        with one_at_a_time:
            progress(phase, done, total)

    busy: list[RemoteBusy] = []

    def ask(name: str) -> tuple[int, ...] | WeightpatchError | OSError:
        if busy:
            return busy[0]
        try:
            return tuple(sorted(Repository(name, told).refs().versions))
        except (WeightpatchError, OSError) as error:
            if isinstance(error, RemoteBusy):
                busy.append(error)
            return error

    return together(names, ask)
