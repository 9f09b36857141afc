"""The steps of a version that was made as a sequence, read from its manifest."""

from collections import Counter

from ..errors import ManifestError, RequestRefused
from ..format.fields import Fields
from ..format.patch import Patch
from ..methods.base import Step


def steps_of(patch: Patch) -> list[Step]:
    """The batches in their order; together they hold all requests and operations of the version.

    Raises RequestRefused for a version that was not made as a sequence, ManifestError for steps
    that are no steps or contradict the version.
    """
    records = patch.manifest.method.sampled.get("steps")
    if records is None:
        raise RequestRefused(
            f"{patch.label} was not made as a sequence",
            why="all its requests were carried out at once",
            hint="make it in batches, with the hyperparameter batch_size",
        )
    if not isinstance(records, list):
        raise ManifestError("the steps of a sequence must be a list")
    steps = list(map(_step, records))
    if sum(step.requests for step in steps) != len(patch.requests):
        raise ManifestError("the steps of a sequence hold other requests than requests.jsonl")
    counts: Counter[str] = Counter()
    for step in steps:
        counts.update(step.operations)
    operations = {name: len(found) for name, found in patch.manifest.operations.items()}
    if {name: count for name, count in counts.items() if count} != operations:
        raise ManifestError("the steps of a sequence hold other operations than patch.json")
    return steps


def _step(record: object) -> Step:
    fields = Fields(record, "a step of a sequence")
    requests = fields.integer("requests", least=1)
    counted = fields.mapping("operations")
    fields.done()
    each = Fields(counted, "the operations of a step")
    return Step(requests, {name: each.integer(name) for name in counted})
