"""README.md of a version: its manifest and scores for people and for the Hub. Never read back."""

import json
import re
import shlex
from collections.abc import Iterable, Sequence
from typing import Any

from ..evaluation.base import CURVE, Mean
from ..evaluation.measures import MEASURES
from ..reports.texts import size
from ..requests import EditRequest
from .front_matter import LIBRARY, Scored, front_matter, is_hub_id, newest_of_each
from .manifest import BaseRecord, Manifest
from .markdown import escape, table
from .patch import Patch

MAX_ROWS = 20
MAX_SUITES = 20
_CLOSING = (
    "This page was written from the manifest, and nothing checks it. What counts is `patch.json`, "
    "against which `weightpatch pull` checks every file."
)


def write_card(
    patch: Patch,
    evaluations: Sequence[Scored] = (),
    languages: Sequence[str] = (),
    *,
    repository: str | None = None,
) -> str:
    """Write the card of a version; raises what reading its requests raises.

    `languages` are the codes of those that it speaks, as in `en`, which the manifest does not know;
    `repository` is the name of the Hub's repository, by default the patch's.

    Of the evaluations, which come newest first, it shows the first of each suite.

    All text in it that came from outside is shown as it is, and works neither as YAML nor as
    Markdown nor as HTML.
    """
    manifest = patch.manifest
    newest = list(newest_of_each(evaluations).values())[:MAX_SUITES]
    sections = [
        f"# {escape(manifest.name)}",
        _opening(manifest),
        "## What it changes",
        _requests(patch.requests),
        "## How to use it",
        _usage(manifest, repository or manifest.name),
        *_scores(newest),
        "## Where it came from",
        _provenance(manifest),
        "## What it does to the weights",
        _operations(manifest),
        "## Digests",
        _digests(patch),
        _CLOSING,
    ]
    return "\n\n".join([front_matter(manifest, newest, languages), *sections]) + "\n"


def _opening(manifest: Manifest) -> str:
    method, message = escape(manifest.method.name), escape(manifest.message, 1_000)
    opening = f"Version {manifest.version}, a patch of model weights made with {method}."
    return f"{opening} Its author says: {message}" if message else opening


def _requests(requests: Sequence[EditRequest]) -> str:
    rows = [
        [escape(request.text), escape(request.target), escape(request.old_target or "")]
        for request in requests[:MAX_ROWS]
    ]
    left = len(requests) - len(rows)
    more = f"\n\nand {left} more in `requests.jsonl`." if left else ""
    return table(["prompt", "new answer", "old answer"], rows) + more


def _usage(manifest: Manifest, repository: str) -> str:
    base = manifest.bases[0]
    on_hub = is_hub_id(base.id) or base.revision
    is_plain = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/@-]*", base.label)
    shown = base.label if on_hub and is_plain else "BASE"
    return "\n".join(
        [
            "```sh",
            f"pip install {LIBRARY}",
            f"weightpatch pull hf://{repository}@v{manifest.version}",
            f"weightpatch apply {manifest.label} --base {shlex.quote(shown)} --out patched-model",
            "```",
        ]
    )


def _scores(evaluations: Sequence[Scored]) -> Iterable[str]:
    if not evaluations:
        return
    yield "## Scores"
    yield "As the publisher measured them, before the edit and after."
    header = ["measure", "before", "after", "cases", "what it means"]
    for scored in evaluations:
        after = ", after all edits of the sequence" if scored.suite == CURVE else ""
        yield f"Suite {escape(scored.suite)}{after}:"
        yield table(header, [_score(measure, mean) for measure, mean in scored.means.items()])


def _score(measure: str, mean: Mean) -> list[str]:
    known = MEASURES.get(measure)
    unit = known.unit if known else ""
    before = "" if mean.before is None else _shown(mean.before, unit)
    definition = escape(known.definition, 1_000) if known else ""
    return [escape(measure), before, _shown(mean.after, unit), str(mean.cases), definition]


def _shown(value: float, unit: str) -> str:
    """A number with its unit; bytes as kB, MB or GB."""
    if unit == "B":
        return size(value)
    return f"{value:.2f} {unit}" if unit else f"{value:.4f}"


def _provenance(manifest: Manifest) -> str:
    method = manifest.method
    tools = ", ".join(f"{tool} {version}" for tool, version in method.tools.items())
    rows = [
        *(["base", _base(base)] for base in manifest.bases),
        ["method", escape(f"{method.name} {method.version}")],
        ["hyperparameters", escape(_json(method.hyperparameters), 2_000)],
        ["seed", "none" if method.seed is None else str(method.seed)],
        ["computed on", escape(f"{method.device}; {tools}", 1_000)],
        ["author", escape(manifest.author)],
        ["created", manifest.created],
        ["licence", escape(manifest.licence or "not stated")],
        *(["made from", parent] for parent in manifest.parents),
        *(["supersedes", digest] for digest in [manifest.supersedes] if digest),
    ]
    return table(["", ""], rows)


def _base(base: BaseRecord) -> str:
    return escape(base.id) + (f" at {escape(base.revision)}" if base.revision else "")


def _json(value: Any) -> str:  # noqa: ANN401 - any JSON value
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _operations(manifest: Manifest) -> str:
    rows = [
        [escape(tensor), escape(term.kind), str(term.size), f"{term.relative_norm:.3g}"]
        for tensor, terms in manifest.operations.items()
        for term in terms
    ]
    left = len(rows) - MAX_ROWS
    more = f"\n\nand {left} more in `patch.json`." if left > 0 else ""
    return table(["tensor", "operation", "rank or size", "‖Δ‖/‖W‖"], rows[:MAX_ROWS]) + more


def _digests(patch: Patch) -> str:
    manifest = patch.manifest
    rows = [["this version (patch.json)", patch.digest]]
    rows += [[escape(name), record.sha256] for name, record in manifest.files.items()]
    rows += [
        [f"{escape(tensor)} of {escape(base.id)} when patched", digest]
        for base in manifest.bases
        for tensor, digest in list(base.result.items())[:MAX_ROWS]
    ]
    return table(["what", "sha256"], rows)
