"""Which tensor of an edited model is which of the base: other spellings, tied and left-out ones."""

import re
from collections.abc import Iterable, Mapping, Sequence

from ..checkpoints.architectures import ARCHITECTURES
from ..checkpoints.checkpoint import Checkpoint
from ..errors import CheckpointRefused
from ..format.names import quoted

SHOWN = 3
"""Names of tensors in an error."""

_COMPUTED = re.compile(r"(?:.*\.)?(?:attn\.(?:masked_)?bias|rotary_emb\.inv_freq)")
"""Buffers that older versions of transformers stored, and that it computes by itself."""


def own_names(base: Checkpoint) -> list[str]:
    """The stored tensors of a base that are no copies of another one, sorted."""
    return sorted(name for name in base.tensors if name not in base.tied)


def spellings(base: Checkpoint, name: str) -> list[str]:
    """How checkpoints spell a tensor: GPT-2's has h.0… or transformer.h.0…; its own way first."""
    model_type = base.config.get("model_type")
    known = ARCHITECTURES.get(model_type) if isinstance(model_type, str) else None
    if known is None:
        return [name]
    prefix = f"{known.backbone}."
    return [name, name.removeprefix(prefix) if name.startswith(prefix) else prefix + name]


def pairs(
    base: Checkpoint,
    names: Iterable[str],
    tied: Mapping[str, str],
    label: str,
    *,
    whole: bool = True,
) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """For each tensor of the base the one of `names`; and the copies that should be the same.

    `names` are those of the edited model and `tied` its shares, with the tensor that each is a
    share of. A copy is one that the base shares and the edited model has stored: given are its
    name, and that of the tensor which it has to be like. Raises CheckpointRefused if a tensor has
    no counterpart, or is missing although the `whole` model is given; buffers that transformers
    computes may be.
    """
    left = {name for name in names if name not in tied}
    given = set(names) | set(tied)
    found: dict[str, str] = {}
    missing = []
    for name in own_names(base):
        other = next((one for one in _names_of(base, name) if one in given), None)
        if other is not None:
            found[name] = tied.get(other, other)
        elif whole and not _COMPUTED.fullmatch(name):
            missing.append(name)
    left -= set(found.values())
    copies = _copies(base, found, left)
    left -= {copy for copy, _ in copies}
    extra = sorted(name for name in left if not _COMPUTED.fullmatch(name))
    if missing or extra:
        raise _other_tensors(base, label, missing, extra)
    return found, copies


def told(names: Sequence[str]) -> str:
    """The first few of some names, and how many there are."""
    shown = ", ".join(quoted(name) for name in names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"


def _names_of(base: Checkpoint, name: str) -> list[str]:
    """A tensor's own names, then those of its shares."""
    shares = [share for share, stored in base.tied.items() if stored == name]
    return [spelling for one in (name, *shares) for spelling in spellings(base, one)]


def _copies(base: Checkpoint, found: Mapping[str, str], left: set[str]) -> list[tuple[str, str]]:
    return [
        (copy, found[stored])
        for share, stored in base.tied.items()
        if stored in found
        for copy in spellings(base, share)
        if copy in left
    ]


def _other_tensors(
    base: Checkpoint, label: str, missing: Sequence[str], extra: Sequence[str]
) -> CheckpointRefused:
    flaws = []
    if missing:
        flaws.append(f"it has no {told(missing)}")
    if extra:
        flaws.append(f"it has {told(extra)}, which the base has not")
    adapted = any("lora_" in name or ".base_layer." in name for name in extra)
    return CheckpointRefused(
        f"{label} does not have the tensors of {base.id}",
        why="; ".join(flaws),
        hint="merge the adapter first, as merge_and_unload does in PEFT, or import it"
        if adapted
        else "give the base that the edited model was made from, and the model as a whole",
    )
