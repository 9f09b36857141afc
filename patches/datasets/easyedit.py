"""The records of EasyEdit and KnowEdit, who name the parts of an edit alike.

Zhang et al. 2024, "A Comprehensive Study of Knowledge Editing for Large Language Models"
(arXiv:2401.01286).
"""

from collections.abc import Iterator
from typing import Any

from ..requests import EditRequest
from .fields import Record, as_request, as_spelled_in, old_answer
from .zsre import unrelated

KINDS = {
    "subjectaliasing": "alias",
    "synonym": "alias",
    "logicalgeneralization": "reversed",
    "inverserelation": "reversed",
    "reasoning": "one-hop",
    "onehop": "one-hop",
}
"""Their names of portability, in lower case and without separators, and ours."""


def easyedit_request(record: Record) -> EditRequest:
    """Read one record; raises RequestRefused, LimitExceeded.

    An answer may be a text, a list, or a list of lists: the first is taken.
    """
    prompt, target = record.text("prompt"), record.text("target_new")
    answers = record.answers("ground_truth") if "ground_truth" in record else []
    return as_request(
        {
            "id": record.case_id(),
            "prompt": prompt,
            "subject": as_spelled_in(prompt, record.text("subject")),
            "target": target,
            "old_target": old_answer(target, answers),
            "paraphrases": record.answers("rephrase_prompt") if "rephrase_prompt" in record else [],
            "neighbourhood": [*_single(record), *unrelated(record), *_neighbours(record)],
            "portability": _portability(record),
        }
    )


def _single(record: Record) -> list[dict[str, str]]:
    if "locality_prompt" not in record:
        return []
    answer = record.first("locality_ground_truth", record.values.get("locality_ground_truth"))
    return [{"prompt": record.text("locality_prompt"), "target": answer}]


def _neighbours(record: Record) -> list[dict[str, str]]:
    if "locality" not in record:
        return []
    groups = record.within("locality")
    return [probe for name in groups.values for probe in _probes(groups, name)]


def _portability(record: Record) -> dict[str, list[dict[str, str]]]:
    if "portability" not in record:
        return {}
    groups = record.within("portability")
    found: dict[str, list[dict[str, str]]] = {}
    for name in groups.values:
        kind = KINDS.get("".join(filter(str.isalnum, name)).lower())
        if kind is None:
            raise groups.flaw(repr(name), "is not a known kind of probe")
        found.setdefault(kind, []).extend(_probes(groups, name))
    return found


def _probes(groups: Record, name: str) -> Iterator[dict[str, str]]:
    """A list of {prompt, ground_truth}, or one such object, whose prompts may be lists."""
    if name not in groups:
        return
    value = groups.values[name]
    for entry in value if isinstance(value, list) else [value]:
        if not isinstance(entry, dict):
            raise groups.flaw(name, "is not a list of probes")
        yield from _pairs(groups.entry(name, entry))


def _pairs(probe: Record) -> Iterator[dict[str, str]]:
    prompts: Any = probe.values.get("prompt")
    answers: Any = probe.values.get("ground_truth")
    if not isinstance(prompts, list):
        prompts, answers = [prompts], [answers]
    if not isinstance(answers, list) or len(answers) != len(prompts):
        raise probe.flaw("ground_truth", "does not hold one answer for each prompt")
    for prompt, answer in zip(prompts, answers, strict=True):
        yield {
            "prompt": probe.checked("prompt", prompt),
            "target": probe.first("ground_truth", answer),
        }
