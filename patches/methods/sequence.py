"""Carry out requests in batches, one after another, each on the model that those before have made.

All is scored afterwards on the final model; what each batch added is kept apart, so that the model
can be looked at as it was after any of them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from ..checkpoints.models import EditableModel
from ..errors import InputError, RequestRefused, Unsupported
from ..live.parameters import Parameters
from ..operations.base import Addend, Operation
from ..progress import Progress, numbered
from ..requests import EditRequest
from .base import Edit, Step
from .running.borrowing import add, borrowed

CarryOut = Callable[[Sequence[EditRequest], Sequence[Edit], Progress], Edit]
"""Finds the edit of one batch, given the edits of those before, which are in the model already."""


def in_sequence(
    model: EditableModel,
    requests: Sequence[EditRequest],
    batch_size: int,
    carry_out: CarryOut,
    progress: Progress,
) -> Edit:
    """Join the edits of all batches of `batch_size` requests (0: all at once), in their order.

    Auxiliary arrays, which have one row a request, are joined by rows. The model is bit for bit as
    it was afterwards. Raises RequestRefused if there is no request, and what `carry_out` raises.
    """
    if not requests:
        raise RequestRefused("there is no request to carry out")
    batches = list(_batches(requests, batch_size or len(requests)))
    parameters = Parameters(model.model)
    made: list[Edit] = []
    with borrowed(model) as keep:
        for number, batch in enumerate(batches, 1):
            with _named(batch, requests):
                edit = carry_out(batch, made, numbered(progress, number, len(batches)))
            for name, operations in edit.operations.items():
                weight = parameters.find(name)
                keep(weight)
                for operation in operations:
                    add(weight, _addend(operation))
            made.append(edit)
    return Edit(
        operations=_joined([edit.operations for edit in made]),
        auxiliary=_stacked([edit.auxiliary for edit in made]),
        steps=tuple(map(_step, batches, made)) if len(batches) > 1 else (),
    )


@contextmanager
def _named(batch: Sequence[EditRequest], requests: Sequence[EditRequest]) -> Iterator[None]:
    """Let an error say which one of several requests it is about."""
    try:
        yield
    except InputError as error:
        if len(batch) == 1 < len(requests):
            error.message = f"request {batch[0].id}: {error.message}"
        raise


def _batches(requests: Sequence[EditRequest], size: int) -> Iterator[Sequence[EditRequest]]:
    for start in range(0, len(requests), size):
        yield requests[start : start + size]


def _addend(operation: Operation) -> Addend:
    if not isinstance(operation, Addend):
        raise Unsupported(f"a sequence cannot go on after an operation of kind {operation.kind}")
    return operation


def _joined(edits: Sequence[Mapping[str, Sequence[Operation]]]) -> dict[str, list[Operation]]:
    joined: dict[str, list[Operation]] = {}
    for edit in edits:
        for name, operations in edit.items():
            joined.setdefault(name, []).extend(operations)
    return joined


def _stacked(
    edits: Sequence[Mapping[str, NDArray[np.float32]]],
) -> dict[str, NDArray[np.float32]]:
    parts: dict[str, list[NDArray[np.float32]]] = {}
    for edit in edits:
        for name, rows in edit.items():
            parts.setdefault(name, []).append(rows)
    return {name: np.concatenate(rows) for name, rows in parts.items()}


def _step(batch: Sequence[EditRequest], edit: Edit) -> Step:
    return Step(len(batch), {name: len(found) for name, found in edit.operations.items()})
