"""What a search of a remote found, for people and as JSON."""

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..registry.remotes.location import ON_HUB
from .errors import in_our_form
from .output import Output, fits_unwrapped
from .texts import counted

if TYPE_CHECKING:
    from ..registry.remotes.catalogue import Found, Published

HEADLINES = {"rel.": "reliability", "gen.": "generalization", "loc.": "locality"}
"""Heads of columns, and the short names of the measures in them."""
_MEASURES = [f"{name}.exact-match" for name in HEADLINES.values()]
CLAIMS = (
    f"note: {', '.join(HEADLINES)} are {', '.join(HEADLINES.values())} as the publishers say; "
    "nothing is checked before it is pulled"
)


def show_found(output: Output, location: str, found: "Found") -> None:
    """The patches of a page, those that could not be asked, and what was left out."""
    problems = [(one.name, in_our_form(one.error)) for one in found.unanswered]
    output.data(
        "search-remote",
        {
            "remote": location,
            "patches": [_to_json(patch) for patch in found.patches],
            "unanswered": [
                {"name": name, "code": error.code, "message": error.message}
                for name, error in problems
            ],
            "left_out": found.left_out,
            "more": found.more,
        },
    )
    _show_table(output, found)
    for name, error in problems:
        output.note(f"warning: {name} could not be looked at: {error.message}")
    if found.left_out:
        left = counted(found.left_out, "repository", "repositories")
        output.note(f"note: {left} left out: tagged as patches, and none that can be pulled")
    if found.patches:
        output.note(CLAIMS)
        output.note(f"look at one: weightpatch show {_place(location, found.patches[0])}")
    if found.more:
        output.note("there may be more: give a higher --limit, or say more of what is looked for")
    elif not found.patches and not problems:
        output.note("nothing found")


def _show_table(output: Output, found: "Found") -> None:
    """A table, or, where that is too wide, a few lines for each patch."""
    patches = found.patches
    differ = len({patch.bases for patch in patches}) > 1
    bases = ["base"] if differ else []
    columns = ["newest", "versions", "method", *bases, *HEADLINES, "changed"]
    rows = [
        [
            _marked(patch),
            len(patch.versions),
            patch.method,
            *([", ".join(patch.bases) or None] if differ else []),
            *map(patch.scores.get, _MEASURES),
            patch.changed and patch.changed[:10],
        ]
        for patch in patches
    ]
    if fits_unwrapped(columns, rows):
        output.table(columns, rows, wrapped=["base"])
        return
    for patch in patches:
        output.line(_marked(patch))
        scores = [
            f"{head} {patch.scores[measure]:.3f}"
            for head, measure in zip(HEADLINES, _MEASURES, strict=True)
            if measure in patch.scores
        ]
        versions = counted(len(patch.versions), "version")
        facts = [patch.method, versions, patch.changed and f"changed {patch.changed[:10]}"]
        for line in (", ".join(patch.bases), ", ".join(filter(None, facts)), "  ".join(scores)):
            if line:
                output.line(f"  {line}")


def _place(location: str, patch: "Published") -> str:
    """Where the newest version of a patch lies, as `show` takes it."""
    if location == ON_HUB:
        return f"{ON_HUB}{patch.name}"
    return shlex.quote(str(Path(location) / patch.name / f"v{max(patch.versions)}"))


def _marked(patch: "Published") -> str:
    """The label of the newest version, with a mark if not everybody may pull it."""
    marks = [word for word, holds in (("private", patch.private), ("gated", patch.gated)) if holds]
    mark = f" ({', '.join(marks)})" if marks else ""
    return f"{patch.name}@{max(patch.versions)}{mark}"


def _to_json(patch: "Published") -> dict[str, Any]:
    return {**asdict(patch), "newest": max(patch.versions)}
