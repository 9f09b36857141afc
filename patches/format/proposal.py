"""What a proposal says to whoever keeps the patch: its title, and a page of Markdown."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..conflicts.findings import SEVERITIES
from ..conflicts.report import Report
from ..evaluation.base import CURVE, Mean
from ..evaluation.measures import MEASURES
from ..reports.texts import MISSING, number
from ..requests import EditRequest
from .front_matter import Scored, newest_of_each
from .markdown import escape, table, visible
from .patch import Patch

MAX_TITLE = 120
MAX_CHARACTERS = 60_000
"""The Hub takes no longer comment than about 65,000."""
MAX_NOTE = 4_000
ROWS = 20
_FEWER = (ROWS, 5, 1)
_CLOSING = (
    "This page was written from the manifest and the scores that the proposer has, and nothing "
    "checks it. `weightpatch review` does."
)
_BUTTON = (
    "The button on this page alone publishes no version, as nobody can pull what has no tag. "
    "`weightpatch review … --merge` tags it; if the button was used first, it finishes that."
)
_PURPOSE = (
    "The one version takes the place of the other, so what contradicts it may be what it is for."
)
_TITLE = re.compile(r"Propose (\S{1,200})@([1-9][0-9]{0,8}):")
_CELL = 200
_SENTENCE = 400


@dataclass(frozen=True)
class Side:
    """One of the two versions that a proposal compares, with its scores, the newest first."""

    patch: Patch
    evaluations: Sequence[Scored] = ()


@dataclass(frozen=True)
class Compared:
    """What was found between the two versions, or why they were not compared."""

    report: Report
    unread: str | None = None

    def counts(self) -> dict[str, int]:
        """How many findings of each severity there are."""
        return {severity: self.report.count(severity) for severity in SEVERITIES}


def proposal_title(patch: Patch) -> str:
    """One line: the version proposed, and its message, or its first request if it has none."""
    request = patch.requests[0]
    what = patch.manifest.message.strip() or f"{request.text} → {request.target}"
    return visible(f"Propose {patch.label}: {what}", MAX_TITLE)


def titled_version(title: str, name: str) -> int | None:
    """The version of a patch that a title of ours speaks of, which anybody may have written."""
    match = _TITLE.match(title)
    return int(match[2]) if match and match[1] == name else None


def proposal_page(
    current: Side,
    proposed: Side,
    found: Compared,
    *,
    place: str,
    made_from: str | None = None,
    note: str = "",
) -> str:
    """Write the page: what it changes, how well, against which version, how to review it.

    `place` is how a user writes where the patch lies, `made_from` names the version that is
    proposed under another name or number, `note` is the proposer's. All text from outside is shown
    as it is, and works neither as Markdown nor as HTML. Rows are left out, and that is said, where
    it would be too long. Raises what reading the requests raises.
    """
    page = ""
    for rows in _FEWER:
        page = _page(current, proposed, found, rows, place=place, made_from=made_from, note=note)
        if len(page) <= MAX_CHARACTERS:
            break
    return page[:MAX_CHARACTERS]


def _page(
    current: Side,
    proposed: Side,
    found: Compared,
    rows: int,
    *,
    place: str,
    made_from: str | None,
    note: str,
) -> str:
    old, new = current.patch, proposed.patch
    sections = [
        _opening(old, new),
        *([escape(note, MAX_NOTE)] if note.strip() else []),
        "## What it changes",
        _requests(new, rows),
        *_removed(old, new, rows),
        "## Scores",
        *_scores(current, proposed, rows),
        f"## Conflicts with version {old.manifest.version}",
        _findings(found, rows),
        "## Where it came from",
        _provenance(new, made_from, rows),
        "## How to review it",
        _review(place),
        _CLOSING,
    ]
    return "\n\n".join(sections) + "\n"


def _opening(old: Patch, new: Patch) -> str:
    message = escape(new.manifest.message, 1_000)
    says = f" Its author says: {message}" if message else ""
    return (
        f"Version {new.manifest.version} of {escape(new.manifest.name)} is proposed, to follow "
        f"version {old.manifest.version}.{says}"
    )


def _requests(patch: Patch, rows: int) -> str:
    return _request_rows(patch.requests, rows, "new answer")


def _removed(old: Patch, new: Patch, rows: int) -> Iterable[str]:
    """The prompts that the version there answers and the proposed one no longer does."""
    kept = {request.text for request in new.requests}
    gone = [request for request in old.requests if request.text not in kept]
    if gone:
        version = old.manifest.version
        yield f"Requests of version {version} that it leaves out, so that nothing answers them:"
        yield _request_rows(gone, rows, f"answer of version {version}")


def _request_rows(requests: Sequence[EditRequest], rows: int, answer: str) -> str:
    cells = [
        [escape(one, _CELL) for one in (request.text, request.target, request.old_target or "")]
        for request in requests[:rows]
    ]
    return _rows(["prompt", answer, "old answer"], cells, len(requests))


def _scores(current: Side, proposed: Side, rows: int) -> Iterable[str]:
    ours, theirs = map(newest_of_each, (proposed.evaluations, current.evaluations))
    if not ours and not theirs:
        yield "Neither version was scored."
        return
    yield "As their publishers measured them, each on its own requests, before the edit and after."
    numbers = [side.patch.manifest.version for side in (current, proposed)]
    header = ["measure", *(f"version {n}, {when}" for n in numbers for when in ("before", "after"))]
    for suite in list(dict.fromkeys([*ours, *theirs]))[:rows]:
        sides = [theirs.get(suite), ours.get(suite)]
        means = [one.means if one else {} for one in sides]
        names = list(dict.fromkeys([*means[1], *means[0]]))
        after = ", after all edits of the sequence" if suite == CURVE else ""
        yield f"Suite {escape(suite)}{after}:"
        cells = [
            [escape(name), *(cell for one in means for cell in _cells(name, one.get(name)))]
            for name in names[: 2 * rows]
        ]
        yield _rows(header, cells, len(names))


def _cells(name: str, mean: Mean | None) -> list[str]:
    if mean is None:
        return [MISSING, MISSING]
    unit = MEASURES[name].unit if name in MEASURES else ""
    return [number(value, unit) for value in (mean.before, mean.after)]


def _findings(found: Compared, rows: int) -> str:
    if found.unread:
        return f"They were not compared: {escape(found.unread, _SENTENCE)}"
    cells = [
        [one.severity, one.level, escape(one.where, _CELL), escape(one.sentence, _SENTENCE)]
        for one in found.report.findings[:rows]
    ]
    total = sum(found.counts().values())
    if not total:
        return "None was found."
    return f"{_PURPOSE}\n\n" + _rows(["", "in", "where", "finding"], cells, total)


def _provenance(patch: Patch, made_from: str | None, rows: int) -> str:
    manifest = patch.manifest
    cells = [
        *(["base", escape(base.label)] for base in manifest.bases[:rows]),
        ["method", escape(f"{manifest.method.name} {manifest.method.version}")],
        ["author", escape(manifest.author)],
        ["created", manifest.created],
        ["licence", escape(manifest.licence or "not stated")],
        *([["made from", escape(made_from)]] if made_from else []),
        ["digest", f"sha256:{patch.digest}"],
    ]
    return table(["", ""], cells)


def _review(place: str) -> str:
    on_hub = "://" in place
    accepts = "accepts it, and tags the version" if on_hub else "accepts it"
    return "\n".join(
        [
            "```sh",
            f"weightpatch review {place}               # lists what is proposed, with its numbers",
            f"weightpatch review {place}/pr/N          # N is the number of this proposal",
            f"weightpatch review {place}/pr/N --merge  # {accepts}",
            "```",
        ]
    ) + (f"\n\n{_BUTTON}" if on_hub else "")


def _rows(header: Sequence[str], cells: Sequence[Sequence[str]], total: int) -> str:
    """A table, and how many rows are left out."""
    left = total - len(cells)
    if not cells:
        return f"{left} that are counted only."
    return table(header, cells) + (f"\n\nand {left} more." if left else "")
