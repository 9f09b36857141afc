"""What an adapter does to parameters that share one tensor, as head and embeddings often do.

PEFT gives each of them a change of its own, until it merges; in a checkpoint they are one.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from ..checkpoints.checkpoint import Checkpoint
from ..errors import Unsupported
from ..operations.base import Operation
from ..operations.replace import Replace

Change = tuple[str, Operation]
"""An operation, and the name of the parameter by which the adapter changes the tensor."""

_UNTIE = "give a base that holds both, with tie_word_embeddings set to false in its config.json"


def as_one(
    checkpoint: Checkpoint, stored: str, changes: Sequence[Change]
) -> tuple[list[Operation], list[str]]:
    """The operations on one stored tensor, and what there is to say about them.

    The same change of all parameters counts once. Raises Unsupported for unlike ones, and for a
    replacement of one alone.
    """
    by_name: dict[str, list[Operation]] = defaultdict(list)
    for name, operation in changes:
        by_name[name].append(operation)
    first, *others = by_name.values()
    if any(_bytes(other) != _bytes(first) for other in others):
        raise Unsupported(
            f"the adapter changes {' and '.join(sorted(by_name))} each in a way of its own",
            why=f"in this base they are one tensor, {stored}",
            hint=_UNTIE,
        )
    all_names = {stored, *(share for share, found in checkpoint.tied.items() if found == stored)}
    left_out = sorted(all_names - set(by_name))
    replaces = any(isinstance(operation, Replace) for operation in first)
    if not left_out:
        return first, [_counted_once(stored, by_name)] if others and not replaces else []
    if replaces:
        raise Unsupported(
            f"the adapter replaces {next(iter(by_name))} and not {left_out[0]}",
            why=f"in this base they are one tensor, {stored}",
            hint=_UNTIE,
        )
    both = f"{next(iter(by_name))} and {left_out[0]} are one tensor in this base"
    does = "the patch changes both, as PEFT does when it merges; its unmerged adapter changes one"
    return first, [f"{both}: {does}"]


def _counted_once(stored: str, names: Iterable[str]) -> str:
    both = " and ".join(sorted(names))
    return (
        f"{both} have the same change and are one tensor in this base, {stored}: counted once; "
        "PEFT's merge would add it twice"
    )


def _bytes(operations: Sequence[Operation]) -> list[bytes]:
    return [
        part[:].tobytes() for operation in operations for _, part in sorted(operation.parts.items())
    ]
