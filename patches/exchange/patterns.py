"""PEFT's rank_pattern and alpha_pattern: regular expressions that name modules, kept short-lived.

A pattern comes from outside, and one that backtracks without end would never give an answer. So one
that is more than a name may repeat and branch a few times only, and repeat no group.
"""

import re
from collections.abc import Mapping
from typing import TypeVar

from ..errors import LimitExceeded, ManifestError
from ..format.names import quoted

MAX_LENGTH = 1000
MAX_REPETITIONS = 3
MAX_GROUPS = 3
_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_REPETITION = re.compile(r"(?<!\\)[*+?{]")
_GROUP = re.compile(r"(?<!\\)\(")
_REPEATED_GROUP = re.compile(r"(?<!\\)\)[*+?{]")

Value = TypeVar("Value")


def check_pattern(key: str) -> None:
    """Raise ManifestError or LimitExceeded for a pattern that cannot be matched quickly."""
    if _NAME.fullmatch(key):
        return
    try:
        re.compile(key)
    except (re.error, OverflowError, RecursionError):
        raise ManifestError(f"the pattern {quoted(key)} is no regular expression") from None
    if (
        len(key) > MAX_LENGTH
        or len(_REPETITION.findall(key)) > MAX_REPETITIONS
        or len(_GROUP.findall(key)) > MAX_GROUPS
        or _REPEATED_GROUP.search(key)
    ):
        raise LimitExceeded(
            f"the pattern {quoted(key)} is too complex",
            why=f"it may repeat {MAX_REPETITIONS} times, have {MAX_GROUPS} groups, repeat none of "
            f"them, and take {MAX_LENGTH} characters",
            hint="write out the names of the modules in adapter_config.json",
        )


def value_for(patterns: Mapping[str, Value], module: str, default: Value) -> Value:
    """The value of the first pattern that `module` matches, from its end back to a dot.

    So does PEFT: `q_proj` and `layers.1.self_attn.q_proj` match model.layers.1.self_attn.q_proj.
    """
    for key, value in patterns.items():
        if _matches(key, module):
            return value
    return patterns.get(module, default)


def _matches(key: str, module: str) -> bool:
    if not _NAME.fullmatch(key):
        return bool(re.match(rf"(.*\.)?({key})$", module))
    end = module[-len(key) :]
    before = module[: -len(key)]
    # In a regular expression a dot stands for any character.
    same = len(end) == len(key) and all(
        one in (".", other) for one, other in zip(key, end, strict=True)
    )
    return same and (not before or before.endswith("."))
