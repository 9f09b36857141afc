"""adapter_config.json of a LoRA adapter: what its factors mean, or by what name it is refused."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ..errors import ManifestError, Unsupported
from ..format import jsonfile
from ..format.fields import MAX_TEXT, is_line
from ..format.names import quoted
from .patterns import Patterns, Value

CONFIG = "adapter_config.json"
MAX_RANK = 1 << 20
MERGE = (
    "merge it with PEFT (model.merge_and_unload()), save the model, and take in the difference "
    "with weightpatch extract BASE MERGED"
)
"""What to do with an adapter that is more than factors."""

_OTHER_ARITHMETIC = "its result is not the base plus a product of two factors"
_CHANGED_BASE = (
    "such an initialisation changes the base weights, and the factors are to be added to those"
)
_REFUSED: Mapping[str, str] = MappingProxyType({
    "use_dora": f"DoRA: {_OTHER_ARITHMETIC}",
    "use_qalora": f"QALoRA: {_OTHER_ARITHMETIC}",
    "use_bdlora": "block-diagonal LoRA: its factors are stored in another form",
    "alora_invocation_tokens": "activated LoRA: it works from a certain token on, a patch always",
    "trainable_token_indices": "it holds new embeddings of single tokens",
    "target_parameters": "its factors are for the experts of a mixture, three axes each",
    "layer_replication": "it repeats layers of the base",
    "megatron_config": "it belongs to a model of Megatron",
    "arrow_config": "Arrow: it chooses among several adapters for each token",
    "kasa_config": _CHANGED_BASE,
    "monteclora_config": f"MonteCLoRA: {_OTHER_ARITHMETIC}",
})  # fmt: skip
"""Settings that are refused when they are on, and why."""

_IGNORED = frozenset({
    "auto_mapping", "base_model_class", "corda_config", "ensure_weight_tying", "eva_config",
    "exclude_modules", "inference_mode", "layers_pattern", "layers_to_transform", "loftq_config",
    "lora_dropout", "lora_ga_config", "megatron_core", "parent_library", "peft_version",
    "qalora_group_size", "runtime_config", "task_type", "velora_config",
})  # fmt: skip
"""Settings of the training, and those that the tensors themselves show."""

_RECORDED = (
    *("r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "target_modules"),
    *("modules_to_save", "bias", "lora_bias", "fan_in_fan_out", "init_lora_weights"),
    *("base_model_name_or_path", "revision", "peft_version"),
)
_PLAIN_STARTS = (True, False, "gaussian", "eva", "orthogonal")
"""Initialisations that leave the base as it is."""


@dataclass(frozen=True)
class AdapterConfig:
    """What PEFT needs to know of a LoRA adapter: W' = W + scaling · B A.

    `recorded` are the settings as they stand in the file, for the manifest of a patch.
    """

    rank: int
    alpha: float
    rslora: bool
    rank_pattern: Patterns[int]
    alpha_pattern: Patterns[float]
    fan_in_fan_out: bool
    base: str | None
    revision: str | None
    recorded: Mapping[str, Any]

    def rank_of(self, module: str) -> int:
        """The rank that the factors of a module have."""
        return self.rank_pattern.value_for(module, self.rank)

    def scaling(self, module: str, rank: int) -> float:
        """alpha/r; with rsLoRA alpha/√r (Kalajdzievski 2023, arXiv:2312.03732)."""
        alpha = self.alpha_pattern.value_for(module, self.alpha)
        return alpha / math.sqrt(rank) if self.rslora else alpha / rank

    @classmethod
    def parse(cls, data: bytes) -> "AdapterConfig":
        """Read adapter_config.json; raises ManifestError, LimitExceeded.

        Raises Unsupported for an adapter that is no LoRA, or a kind of LoRA that is more than a
        product of factors added to the base, and for settings not known here that are on.
        """
        record = jsonfile.parse(data, what=CONFIG)
        jsonfile.canonical(record, what=CONFIG)  # half a character cannot go into a manifest
        _require_lora(record)
        return cls(
            rank=_rank("r", record.get("r", 8)),
            alpha=_number("lora_alpha", record.get("lora_alpha", 8)),
            rslora=_flag(record, "use_rslora"),
            rank_pattern=_patterns(record, "rank_pattern", _rank),
            alpha_pattern=_patterns(record, "alpha_pattern", _number),
            fan_in_fan_out=_flag(record, "fan_in_fan_out"),
            base=_line(record, "base_model_name_or_path"),
            revision=_line(record, "revision"),
            recorded={name: record[name] for name in _RECORDED if record.get(name) is not None},
        )


def _require_lora(record: Mapping[str, Any]) -> None:
    kind = record.get("peft_type")
    if kind != "LORA":
        what = f"is of the type {quoted(str(kind))}" if kind else "does not say what it is"
        raise Unsupported(f"the adapter {what}; known: LORA", why=_OTHER_ARITHMETIC, hint=MERGE)
    for name, why in _REFUSED.items():
        if record.get(name):
            raise Unsupported(
                f"an adapter with {name} cannot be taken in as it is", why=why, hint=MERGE
            )
    start = record.get("init_lora_weights", True)
    if not any(start is known or start == known for known in _PLAIN_STARTS):
        raise Unsupported(
            f"an adapter that began as {quoted(str(start))} cannot be taken in as it is",
            why=_CHANGED_BASE,
            hint="save it with path_initial_model_for_weight_conversion, which makes it a plain "
            f"LoRA; or {MERGE}",
        )
    if record.get("bias", "none") not in ("none", "all", "lora_only"):
        raise ManifestError(f"bias in {CONFIG} must be none, all or lora_only")
    known = {*_REFUSED, *_IGNORED, *_RECORDED, "peft_type"}
    for name in sorted(set(record) - known):
        if record[name]:
            raise Unsupported(
                f"an adapter with {quoted(name)} cannot be taken in",
                why="that setting is not known here, and may change what the factors mean",
                hint=f"set it to null if you know that it does not; or {MERGE}",
            )


def _rank(name: str, value: object) -> int:
    if type(value) is not int or not 1 <= value <= MAX_RANK:
        raise ManifestError(f"{name} in {CONFIG} must be a whole number from 1 to {MAX_RANK}")
    return value


def _number(name: str, value: object) -> float:
    if type(value) not in (int, float):
        raise ManifestError(f"{name} in {CONFIG} must be a number")
    return float(value)  # type: ignore[arg-type]


def _flag(record: Mapping[str, Any], name: str) -> bool:
    value = record.get(name)
    if value not in (None, False, True) or type(value) in (int, float):
        raise ManifestError(f"{name} in {CONFIG} must be true or false")
    return bool(value)


def _line(record: Mapping[str, Any], name: str) -> str | None:
    value = record.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > MAX_TEXT or not is_line(value):
        raise ManifestError(f"{name} in {CONFIG} must be one line of text")
    return value


def _patterns(
    record: Mapping[str, Any], name: str, read: Callable[[str, object], Value]
) -> Patterns[Value]:
    patterns = record.get(name)
    if patterns is None:
        return Patterns()
    if not isinstance(patterns, dict):
        raise ManifestError(f"{name} in {CONFIG} must be an object")
    return Patterns.of(
        {key: read(f"{name} of {quoted(key)}", value) for key, value in patterns.items()}
    )
