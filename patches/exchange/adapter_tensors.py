"""The tensors of a PEFT adapter, told apart by their names: factors, and whole tensors."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import FormatError, Unsupported
from ..format.names import quoted
from ..stored_array import StoredArray
from .adapter_config import MERGE

PREFIX = "base_model.model."
"""What PEFT puts before the path of a module in the model that it adapts."""

_FACTOR = re.compile(r"(.+)\.lora_(A\.weight|B\.weight|B\.bias|embedding_A|embedding_B)")
_PART = {
    "A.weight": "down",
    "B.weight": "up",
    "B.bias": "bias",
    "embedding_A": "down",
    "embedding_B": "up",
}
_WRAPPER = re.compile(r"\.(base_layer|modules_to_save)(?=\.)")


@dataclass(frozen=True)
class Factors:
    """What an adapter adds to one module: down [r, in], up [out, r], perhaps a bias [out].

    For a table of embeddings, `in` is the number of rows and `out` their length.
    """

    embedding: bool
    down: StoredArray
    up: StoredArray
    bias: StoredArray | None = None


@dataclass
class Sorted:
    """Factors by module, and whole tensors by parameter, under the names of the live model."""

    factors: dict[str, Factors] = field(default_factory=dict)
    whole: dict[str, StoredArray] = field(default_factory=dict)


def sort_tensors(tensors: Mapping[str, StoredArray]) -> Sorted:
    """Tell the tensors of an adapter apart by their names.

    Raises Unsupported for those of another kind of adapter, FormatError for a pair of factors that
    is not whole, or whose sides do not fit each other.
    """
    parts: dict[tuple[str, bool], dict[str, StoredArray]] = {}
    found = Sorted()
    for key, array in tensors.items():
        name = key.removeprefix(PREFIX)
        match = _FACTOR.fullmatch(name)
        if name == key or (not match and ".lora_" in name):
            raise Unsupported(
                f"{quoted(key)} is no tensor of a plain LoRA adapter",
                why="names are as in base_model.model.….q_proj.lora_A.weight",
                hint=f"save the adapter with PEFT's save_pretrained; or {MERGE}",
            )
        if match:
            place = (match[1], match[2].startswith("embedding"))
            parts.setdefault(place, {})[_PART[match[2]]] = array
        elif (plain := _WRAPPER.sub("", name)) in found.whole:
            raise FormatError(f"the adapter holds {quoted(plain)} twice")
        else:
            found.whole[plain] = array
    for (module, embedding), own in parts.items():
        if module in found.factors:
            raise FormatError(f"the adapter holds two pairs of factors of {quoted(module)}")
        found.factors[module] = _factors(module, own, embedding=embedding)
    return found


def _factors(module: str, parts: Mapping[str, StoredArray], *, embedding: bool) -> Factors:
    if not {"down", "up"} <= set(parts):
        raise FormatError(f"the adapter holds one factor of {quoted(module)} without the other")
    down, up, bias = parts["down"], parts["up"], parts.get("bias")
    if down.ndim != 2 or up.ndim != 2 or down.shape[0] != up.shape[1]:
        raise FormatError(
            f"the factors {list(up.shape)} and {list(down.shape)} of {quoted(module)} cannot be "
            "multiplied",
            why="only factors of linear maps and embeddings can be taken in",
        )
    if bias is not None and bias.shape != up.shape[:1]:
        raise FormatError(f"the bias of the factors of {quoted(module)} is {list(bias.shape)}")
    return Factors(embedding, down, up, bias)
