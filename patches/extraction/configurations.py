"""What else differs between a base and what was made of it: its configuration, its tokenizer."""

from collections.abc import Mapping
from typing import Any

from ..builds.record import is_build
from ..checkpoints.architectures import ARCHITECTURES
from ..checkpoints.checkpoint import Checkpoint
from ..errors import CheckpointRefused
from .pairing import told

_HARMLESS = {
    *("_name_or_path", "_model_name_or_path", "transformers_version", "dtype", "torch_dtype"),
    *("architectures", "auto_map", "use_cache", "initializer_range", "tie_word_embeddings"),
    *("bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id", "task_specific_params"),
    *("attention_dropout", "attn_pdrop", "embd_pdrop", "resid_pdrop", "summary_first_dropout"),
    *("output_attentions", "output_hidden_states", "return_dict", "_attn_implementation"),
}
"""What changes nothing about what weights mean; types and ties are seen by the tensors."""


def require_same_model(base: Checkpoint, edited: Checkpoint) -> None:
    """Raise CheckpointRefused if config.json says that the same weights mean something else.

    Only the number of neurons in an MLP may differ. Configurations that are spelt differently are
    compared as transformers completes them.
    """
    one, other = _meaning(base.config), _meaning(edited.config)
    if not one or not other or one == other:
        return
    completed = _completed(base), _completed(edited)
    if None not in completed:
        one, other = (_meaning(config or {}) for config in completed)
    differing = sorted(key for key in {*one, *other} if one.get(key) != other.get(key))
    if not differing:
        return
    key = differing[0]
    raise CheckpointRefused(
        f"{edited.id} is another model than {base.id}: config.json differs in {told(differing)}",
        why=f"{key} is {_cut(other.get(key))} instead of {_cut(one.get(key))}, and a patch changes "
        "weights alone",
        hint="give the base that the edited model was made from",
    )


def remarks(base: Checkpoint, edited: Checkpoint) -> list[str]:
    """What a user should know about two checkpoints although it does not hinder a delta."""
    found = []
    if None not in (digests := (base.tokenizer_digest, edited.tokenizer_digest)) and (
        digests[0] != digests[1]
    ):
        found.append(
            f"the tokenizer.json of {edited.id} is another one; a patch changes weights alone, and "
            "the base's tokenizer stays"
        )
    if is_build(edited.path):
        found.append(
            f"{edited.id} is a build: `weightpatch verify {edited.path}` and its weightpatch.json "
            "name the versions in it, which can be used as they are"
        )
    return found


def _meaning(config: Mapping[str, Any]) -> dict[str, Any]:
    inner = {found.inner_size for found in ARCHITECTURES.values()}
    return {key: value for key, value in config.items() if key not in _HARMLESS | inner}


def _completed(checkpoint: Checkpoint) -> dict[str, Any] | None:
    """A configuration with all its defaults; None if transformers does not know it."""
    from transformers import CONFIG_MAPPING

    from ..checkpoints.models import quiet, readable

    kind = checkpoint.config.get("model_type")
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:
        return None
    try:
        with quiet(), readable(checkpoint, "config.json"):
            made = CONFIG_MAPPING[kind].from_dict(dict(checkpoint.config))
            completed: dict[str, Any] = made.to_dict()
    except CheckpointRefused:
        return None
    return completed


def _cut(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
