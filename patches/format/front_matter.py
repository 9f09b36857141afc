"""The YAML at the top of a card, from which the Hub takes base model, tags, licence and scores."""

import math
import re
from collections.abc import Mapping
from typing import Any

from ..evaluation.base import Mean
from .manifest import Manifest

LIBRARY = "weightpatch"
_HUB_ID = re.compile(r"(?!.*(--|\.\.))[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_LICENCES = frozenset({
    "apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "isc", "mpl-2.0", "gpl-2.0", "gpl-3.0",
    "lgpl-2.1", "lgpl-3.0", "agpl-3.0", "unlicense", "cc0-1.0", "cc-by-3.0", "cc-by-4.0",
    "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0",
    "cc-by-nc-nd-4.0", "openrail", "bigscience-openrail-m", "creativeml-openrail-m",
    "bigcode-openrail-m", "artistic-2.0", "bsl-1.0", "epl-2.0", "eupl-1.2", "wtfpl", "zlib",
    "gemma", "llama2", "llama3", "llama3.1", "llama3.2", "llama3.3", "llama4",
})  # fmt: skip
"""Licences that the Hub knows by these names; it refuses a card with another one."""


def front_matter(manifest: Manifest, scores: Mapping[str, Mean]) -> str:
    """Write the block between and with its lines of hyphens; text in it is plain ASCII names.

    A base without a Hub id is left out, so that no foreign model of that name is claimed.
    """
    import yaml

    record: dict[str, Any] = {
        "library_name": LIBRARY,
        "tags": ["model-edit", f"edit-method:{_slug(manifest.method.name)}"],
    }
    bases = list(dict.fromkeys(base.id for base in manifest.bases if _HUB_ID.fullmatch(base.id)))
    if bases:
        record["base_model"] = bases[0] if len(bases) == 1 else bases
        record["base_model_relation"] = "adapter"
    record |= _licence(manifest.licence)
    metrics = [
        {"type": _slug(measure), "value": round(mean.after, 6)}
        for measure, mean in scores.items()
        if math.isfinite(mean.after)
    ]
    if metrics:
        record["model-index"] = [_model_index(manifest, metrics)]
    text: str = yaml.safe_dump(record, sort_keys=False, width=math.inf)
    return f"---\n{text}---\n"


def _licence(licence: str | None) -> dict[str, str]:
    if not licence:
        return {}
    if licence.lower() in _LICENCES:
        return {"license": licence.lower()}
    return {"license": "other", "license_name": _slug(licence)}


def _model_index(manifest: Manifest, metrics: list[dict[str, Any]]) -> dict[str, Any]:
    result = {
        "task": {"type": "text-generation"},
        "dataset": {"type": f"{LIBRARY}-requests", "name": f"Edit requests of {manifest.label}"},
        "metrics": metrics,
    }
    return {"name": manifest.name, "results": [result]}


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower())[:60].strip("-") or "other"
