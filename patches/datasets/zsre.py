"""ZsRE in the form of MEND's release: questions with an answer to give and an unrelated question.

Levy et al. 2017 (arXiv:1706.04115); Mitchell et al. 2022, "Fast Model Editing at Scale"
(arXiv:2110.11309).
"""

from typing import ClassVar

from ..requests import EditRequest
from .base import Loaded
from .fields import Record, as_request, as_spelled_in, old_answer
from .reading import read_records

MARK = "nq question: "
"""What the T5 models of that work were told of a question's source; no other model knows it."""


class ZsRE:
    """`src` is the prompt, `alt` the target; `loc` with `loc_ans` must not change."""

    name: ClassVar[str] = "zsre"
    title: ClassVar[str] = "ZsRE in MEND's form (Mitchell et al. 2022)"
    shipped: ClassVar[str | None] = None

    def read(self, data: bytes, *, name: str) -> Loaded:
        """Read a whole file; raises InputError, LimitExceeded."""
        return read_records(data, _request, name=name)


def _request(record: Record) -> EditRequest:
    prompt, target = record.text("src"), record.text("alt")
    return as_request(
        {
            "id": record.case_id(),
            "prompt": prompt,
            "subject": as_spelled_in(prompt, record.text("subject")),
            "target": target,
            "old_target": old_answer(target, record.texts("answers")),
            "paraphrases": [record.text("rephrase")] if "rephrase" in record else [],
            "neighbourhood": unrelated(record),
        }
    )


def unrelated(record: Record) -> list[dict[str, str]]:
    """The probe in `loc` and `loc_ans`, the mark dropped; raises RequestRefused."""
    if "loc" not in record:
        return []
    prompt = record.text("loc").removeprefix(MARK)
    return [{"prompt": prompt, "target": record.text("loc_ans")}]
