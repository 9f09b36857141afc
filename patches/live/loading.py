"""A base and patches give a live model, and no checkpoint is written."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import base_match
from ..checkpoints.checkpoint import Checkpoint
from ..errors import CheckpointRefused, Unsupported
from ..format.patch import Patch
from ..terms import sum_of
from .attachments import as_patch, attach_as
from .joined import reading

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_CODE = "code that comes with a model is never run"
_QUANTISED = "quantised weights have no exact sum with a delta"
_OTHER = "the weights are those of the base's safetensors files and of nothing else"
_SHARDED = "each tensor must stay whole"
_REFUSED: Mapping[str, str] = {
    "trust_remote_code": _CODE,
    "code_revision": _CODE,
    "quantization_config": _QUANTISED,
    "load_in_4bit": _QUANTISED,
    "load_in_8bit": _QUANTISED,
    "adapter_kwargs": _OTHER,
    "from_flax": _OTHER,
    "from_tf": _OTHER,
    "gguf_file": _OTHER,
    "key_mapping": _OTHER,
    "local_files_only": _OTHER,
    "revision": _OTHER,
    "state_dict": _OTHER,
    "subfolder": _OTHER,
    "use_safetensors": _OTHER,
    "variant": _OTHER,
    "device_mesh": _SHARDED,
    "distributed_config": _SHARDED,
    "tp_plan": _SHARDED,
    "tp_size": _SHARDED,
    "output_loading_info": "the model alone is returned",
}
_ADAPTER = "adapter_config.json"


def load(
    base: Checkpoint | Path | str,
    patches: Patch | Path | str | Iterable[Patch | Path | str] = (),
    **options: object,
) -> "PreTrainedModel":
    """Read a causal language model and attach patches to it.

    Its weights are those that `from_pretrained` reads from a build of the same base and patches.
    `patches` are patches or their folders, or one of them. They stay attached for good; more can be
    attached. `options` go to `from_pretrained`: dtype (by default "auto", the checkpoint's own),
    device_map, attn_implementation and the like.

    Raises BaseMismatch, ConflictFound before the weights are read; Unsupported for a quantised
    checkpoint, an unknown option or one that would bring other weights or code; CheckpointRefused
    if there is no readable checkpoint; and what `Patch.open` and `attach` raise.
    """
    _require_allowed(options)
    checkpoint = base if isinstance(base, Checkpoint) else Checkpoint.open(base)
    checkpoint.require_unquantised()
    if (checkpoint.path / _ADAPTER).exists():
        raise CheckpointRefused(
            f"{checkpoint.path} holds a PEFT adapter",
            why=f"transformers would read the model that {_ADAPTER} names",
            hint="give the folder of the base itself",
        )
    several = [patches] if isinstance(patches, Patch | Path | str) else patches
    chosen = [as_patch(patch) for patch in several]
    with reading():
        sum_of(chosen)
    bases = [base_match.match_base(patch, checkpoint) for patch in chosen]
    model = _read(checkpoint, {"dtype": "auto", **options})
    attach_as(model, [(patch, [found]) for patch, found in zip(chosen, bases, strict=True)])
    return model


def _require_allowed(options: Iterable[str]) -> None:
    for name in options:
        if name in _REFUSED:
            raise Unsupported(
                f"{name} cannot be given when a model is patched",
                why=_REFUSED[name],
                hint="leave it out",
            )


@contextmanager
def _known(options: Iterable[str]) -> Iterator[None]:
    """Turn the TypeError about one of `options` into Unsupported."""
    try:
        yield
    except TypeError as error:
        for name in options:
            if f"argument '{name}'" in str(error):
                raise Unsupported(
                    f"{name} is no option of this model",
                    why="from_pretrained does not know it, nor does the model's class",
                    hint="leave it out, or look for a slip in its spelling",
                ) from None
        raise


def _read(checkpoint: Checkpoint, options: Mapping[str, Any]) -> "PreTrainedModel":
    from transformers import AutoModelForCausalLM

    from ..checkpoints.models import LOCAL, quiet, readable, require_fit

    with quiet(), readable(checkpoint, "model"), _known(options):
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            checkpoint.path, use_safetensors=True, output_loading_info=True, **LOCAL, **options
        )
    model, report = loaded
    require_fit(report, checkpoint)
    return model  # type: ignore[no-any-return]
