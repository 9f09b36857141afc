"""CounterFact, in ROME's own form and in EasyEdit's, told apart by their fields.

Meng et al. 2022, "Locating and Editing Factual Associations in GPT" (arXiv:2202.05262).
"""

from typing import ClassVar

from ..requests import EditRequest
from .base import Loaded
from .easyedit import easyedit_request
from .fields import Record, as_request, as_spelled_in
from .reading import read_records


class CounterFact:
    """Counterfactual edits with paraphrases, and neighbours that share the true answer."""

    name: ClassVar[str] = "counterfact"
    title: ClassVar[str] = "CounterFact (Meng et al. 2022)"
    shipped: ClassVar[str | None] = "counterfact.json"

    def read(self, data: bytes, *, name: str) -> Loaded:
        """Read a whole file; raises InputError, LimitExceeded."""
        return read_records(data, _request, name=name)


def _request(record: Record) -> EditRequest:
    if "requested_rewrite" in record:
        return _rome_request(record)
    return easyedit_request(record)


def _rome_request(record: Record) -> EditRequest:
    rewrite = record.within("requested_rewrite")
    prompt = rewrite.text("prompt")
    target = rewrite.within("target_new").text("str")
    old_target = rewrite.within("target_true").text("str")
    if target == old_target:
        raise rewrite.flaw("target_new", f"is what target_true is, {target!r}")
    return as_request(
        {
            "id": record.case_id(),
            "prompt": prompt,
            "subject": as_spelled_in(prompt, rewrite.text("subject")),
            "target": target,
            "old_target": old_target,
            "paraphrases": record.texts("paraphrase_prompts"),
            "neighbourhood": record.texts("neighborhood_prompts"),
            "generation": list(dict.fromkeys(record.texts("generation_prompts"))),
        }
    )
