"""README.md of a version: its manifest and scores for people and for the Hub. Never read back."""

import json
import math
import re
import shlex
from collections.abc import Iterable, Sequence
from typing import Any

from .evaluation.base import Evaluation, Mean
from .manifest import BaseRecord, Manifest
from .markdown import escape, table, visible
from .patch import Patch
from .requests import EditRequest

LIBRARY = "weightpatch"
MAX_ROWS = 20
_HUB_ID = re.compile(r"(?!.*(--|\.\.))[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_LICENCES = frozenset(
    "apache-2.0 mit bsd-2-clause bsd-3-clause isc mpl-2.0 gpl-2.0 gpl-3.0 lgpl-2.1 lgpl-3.0 "
    "agpl-3.0 unlicense cc0-1.0 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-4.0 "
    "cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-nc-nd-4.0 openrail openrail++ bigscience-openrail-m "
    "creativeml-openrail-m bigscience-bloom-rail-1.0 bigcode-openrail-m artistic-2.0 bsl-1.0 "
    "epl-2.0 eupl-1.2 wtfpl zlib gemma llama2 llama3 llama3.1 llama3.2 llama3.3 llama4".split()
)
"""Licences that the Hub knows by these names; it refuses a card with another one."""


def write_card(patch: Patch, evaluations: Sequence[Evaluation] = ()) -> str:
    """Write the card of a version; raises what reading its requests raises.

    All text in it that came from outside is shown as it is, and works neither as YAML nor as
    Markdown nor as HTML.
    """
    manifest = patch.manifest
    sections = [
        f"# {escape(manifest.name)}",
        f"Version {manifest.version}, a patch of model weights made with "
        f"{escape(manifest.method.name)}. {_message(manifest)}",
        "## What it changes",
        _requests(patch.requests),
        "## How to use it",
        _usage(manifest),
        *_scores(evaluations),
        "## Where it came from",
        _provenance(manifest),
        "## What it does to the weights",
        _operations(manifest),
        "## Digests",
        _digests(patch),
        "This page was written from the manifest and is not checked by anything. What counts is "
        "`patch.json`, which `weightpatch pull` checks against every file.",
    ]
    return f"---\n{_front_matter(manifest, evaluations)}---\n\n" + "\n\n".join(sections) + "\n"


def _front_matter(manifest: Manifest, evaluations: Sequence[Evaluation]) -> str:
    import yaml

    method = re.sub(r"[^a-z0-9._-]+", "-", manifest.method.name.lower())[:60]
    record: dict[str, Any] = {
        "library_name": LIBRARY,
        "tags": ["model-edit", f"edit-method:{method}"],
    }
    bases = list(dict.fromkeys(base.id for base in manifest.bases if _HUB_ID.fullmatch(base.id)))
    if bases:
        record["base_model"] = bases[0] if len(bases) == 1 else bases
        record["base_model_relation"] = "adapter"
    record |= _licence(manifest.licence)
    results = [result for evaluation in evaluations for result in _results(evaluation)]
    if results:
        record["model-index"] = [{"name": manifest.name, "results": results}]
    text: str = yaml.safe_dump(record, sort_keys=False, allow_unicode=True, width=math.inf)
    return text


def _licence(licence: str | None) -> dict[str, str]:
    if not licence:
        return {}
    if licence.lower() in _LICENCES:
        return {"license": licence.lower()}
    name = re.sub(r"[^a-z0-9.-]+", "-", licence.lower()).strip("-")[:60]
    return {"license": "other", "license_name": name or "other"}


def _results(evaluation: Evaluation) -> Iterable[dict[str, Any]]:
    metrics = [
        {"type": visible(measure), "name": visible(measure), "value": round(mean.after, 6)}
        for measure, mean in evaluation.means().items()
        if math.isfinite(mean.after)
    ]
    if metrics:
        suite = visible(evaluation.suite)
        yield {
            "task": {"type": "text-generation"},
            "dataset": {"type": f"{LIBRARY}-{suite}", "name": f"{LIBRARY} suite {suite}"},
            "metrics": metrics,
        }


def _message(manifest: Manifest) -> str:
    return f"Its author says: {escape(manifest.message)}" if manifest.message.strip() else ""


def _requests(requests: Sequence[EditRequest]) -> str:
    rows = [
        [escape(request.text), escape(request.target), escape(request.old_target or "")]
        for request in requests[:MAX_ROWS]
    ]
    left = len(requests) - len(rows)
    more = f"\n\nand {left} more in `requests.jsonl`." if left else ""
    return table(["prompt", "new answer", "old answer"], rows) + more


def _usage(manifest: Manifest) -> str:
    base = manifest.bases[0]
    spec = f"{base.id}@{base.revision}" if base.revision else base.id
    shown = spec if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/@-]*", spec) else "BASE"
    return "\n".join(
        [
            "```sh",
            f"pip install {LIBRARY}",
            f"weightpatch pull {manifest.label} hf://",
            f"weightpatch apply {manifest.label} --base {shlex.quote(shown)} --out patched-model",
            "```",
        ]
    )


def _scores(evaluations: Sequence[Evaluation]) -> Iterable[str]:
    if not evaluations:
        return
    yield "## Scores"
    for evaluation in evaluations:
        yield f"Suite {escape(evaluation.suite)}, as the publisher measured it:"
        yield table(
            ["measure", "before", "after", "cases", "what it means"],
            [
                _score(measure, mean, evaluation.definitions.get(measure, ""))
                for measure, mean in evaluation.means().items()
            ],
        )


def _score(measure: str, mean: Mean, definition: str) -> list[str]:
    before = "" if mean.before is None else f"{mean.before:.4f}"
    return [escape(measure), before, f"{mean.after:.4f}", str(mean.cases), escape(definition)]


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
