"""The YAML at the top of a card, from which the Hub takes base model, tags, licence and scores."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from ..errors import NameRefused
from ..evaluation.base import Mean
from .manifest import Manifest
from .names import quoted

LIBRARY = "weightpatch"
EDIT = "model-edit"
"""The tag of every patch."""
_HUB_ID = re.compile(r"(?!.*(--|\.\.))[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_LICENCES = frozenset({
    "apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "isc", "mpl-2.0", "gpl-2.0", "gpl-3.0",
    "lgpl-2.1", "lgpl-3.0", "agpl-3.0", "unlicense", "cc0-1.0", "cc-by-3.0", "cc-by-4.0",
    "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0",
    "cc-by-nc-nd-4.0", "openrail", "bigscience-openrail-m", "creativeml-openrail-m",
    "bigcode-openrail-m", "artistic-2.0", "bsl-1.0", "epl-2.0", "eupl-1.2", "wtfpl", "zlib",
    "gemma", "llama2", "llama3", "llama3.1", "llama3.2", "llama3.3", "llama4",
})  # fmt: skip
"""Licences that the Hub knows by these names; it refuses a card with another one."""


class Scored(Protocol):
    """What a card says of one evaluation."""

    @property
    def suite(self) -> str:
        """What asked."""

    @property
    def suite_digest(self) -> str:
        """sha256 of what was asked."""

    @property
    def means(self) -> Mapping[str, Mean]:
        """What came of it, by measure."""


_S = TypeVar("_S", bound=Scored)


def newest_of_each(evaluations: Iterable[_S]) -> dict[str, _S]:
    """Of evaluations that come newest first, the newest of each suite, by the suite's name."""
    found: dict[str, _S] = {}
    for scored in evaluations:
        found.setdefault(scored.suite, scored)
    return found


def front_matter(
    manifest: Manifest, evaluations: Sequence[Scored], languages: Sequence[str] = ()
) -> str:
    """Write the block between and with its lines of hyphens; text in it is plain ASCII names.

    Each evaluation becomes a result of the model index, its means after the
    edit the metrics, with the digest of what was asked as the revision of the data set. A base
    without a Hub id is left out, so that no foreign model of that name is claimed. Raises
    NameRefused for a language that is no code of ISO 639.
    """
    import yaml

    record: dict[str, Any] = {
        "library_name": LIBRARY,
        "tags": [EDIT, method_tag(manifest.method.name)],
    }
    if languages:
        record["language"] = list(dict.fromkeys(map(_language, languages)))
    bases = list(dict.fromkeys(base.id for base in manifest.bases if is_hub_id(base.id)))
    if bases:
        record["base_model"] = bases[0] if len(bases) == 1 else bases
        record["base_model_relation"] = "adapter"
    record |= _licence(manifest.licence)
    results = [result for scored in evaluations if (result := _result(manifest, scored))]
    if results:
        record["model-index"] = [{"name": manifest.name, "results": results}]
    text: str = yaml.safe_dump(record, sort_keys=False, width=math.inf)
    return f"---\n{text}---\n"


def method_tag(method: str) -> str:
    """The tag of all patches that were made by a method."""
    return f"edit-method:{_slug(method)}"


def is_hub_id(text: str) -> bool:
    """Whether a base could be a model on the Hub: `organisation/model`."""
    return bool(_HUB_ID.fullmatch(text))


def _language(code: str) -> str:
    if not _LANGUAGE.fullmatch(code):
        raise NameRefused(
            f"{quoted(code)} is no code of a language", hint="write two or three letters, as in en"
        )
    return code


def _licence(licence: str | None) -> dict[str, str]:
    if not licence:
        return {}
    if licence.lower() in _LICENCES:
        return {"license": licence.lower()}
    return {"license": "other", "license_name": _slug(licence)}


def _result(manifest: Manifest, scored: Scored) -> dict[str, Any] | None:
    metrics = [
        {"type": _slug(measure), "name": _slug(measure), "value": round(mean.after, 6)}
        for measure, mean in scored.means.items()
        if math.isfinite(mean.after)
    ]
    own = scored.suite == "requests"
    suite = _slug(scored.suite)
    name = f"Edit requests of {manifest.label}" if own else f"Suite {suite} of {LIBRARY}"
    revision = _slug(scored.suite_digest, 64)
    dataset = {"type": f"{LIBRARY}-{suite}", "name": name, "revision": revision}
    if not metrics:
        return None
    return {"task": {"type": "text-generation"}, "dataset": dataset, "metrics": metrics}


def _slug(text: str, longest: int = 60) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower())[:longest].strip("-") or "other"
