"""PEFT's rank_pattern and alpha_pattern: regular expressions that name modules, kept short-lived.

A pattern comes from outside, and one that backtracks without end would never give an answer. So
what is more than a name may use a small part of the language only, in which no group is repeated,
and all patterns together may leave a bounded number of ways to try.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Generic, TypeVar

from ..errors import LimitExceeded, ManifestError
from ..format.names import quoted

MAX_EXPRESSIONS = 1000
MAX_LENGTH = 1000
MAX_WAYS = 1 << 22
"""Of all expressions together, on a usual name: some tenths of a second at worst."""
_USUAL_NAME = 64
_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_CLASS = r"\[(?:[A-Za-z0-9](?:-[A-Za-z0-9])?|_)+\]"
_ITEM = rf"(?:[A-Za-z0-9_^$|-]|\\[.-]|(?:\.|\\[dw]|{_CLASS})[*+]?)"
_KNOWN = re.compile(rf"(?:{_ITEM}|\((?:\?:)?{_ITEM}*\))*")
_WRITE_OUT = "write out the names of the modules in adapter_config.json"

Value = TypeVar("Value")


@dataclass(frozen=True)
class Patterns(Generic[Value]):
    """Values for the modules that patterns name, in the order of the file.

    `expressions` are the patterns that are more than a name, compiled.
    """

    values: Mapping[str, Value] = field(default_factory=dict)
    expressions: Mapping[str, re.Pattern[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, values: Mapping[str, Value]) -> "Patterns[Value]":
        """Raises ManifestError, and LimitExceeded for what cannot be matched quickly."""
        keys = [key for key in values if not _NAME.fullmatch(key)]
        if len(keys) > MAX_EXPRESSIONS:
            raise LimitExceeded(
                f"{len(keys)} patterns are regular expressions, more than {MAX_EXPRESSIONS}",
                hint=_WRITE_OUT,
            )
        expressions = {key: _compiled(key) for key in keys}
        if sum(map(_ways, keys)) > MAX_WAYS:
            raise LimitExceeded(
                f"the pattern {quoted(max(keys, key=_ways))} is too complex",
                why="with each `*`, `+` and `|` there are more ways to match it",
                hint=_WRITE_OUT,
            )
        return cls(values, expressions)

    def value_for(self, module: str, default: Value) -> Value:
        """The value of the first pattern that `module` matches, from its end back to a dot.

        So does PEFT: `q_proj` and `layers.1.self_attn.q_proj` match
        model.layers.1.self_attn.q_proj.
        """
        for key, value in self.values.items():
            expression = self.expressions.get(key)
            if expression.match(module) if expression else _ends_so(module, key):
                return value
        return self.values.get(module, default)


def _compiled(key: str) -> re.Pattern[str]:
    """The expression that PEFT matches with; raises ManifestError, LimitExceeded."""
    if len(key) > MAX_LENGTH:
        raise LimitExceeded(f"the pattern {quoted(key)} has more than {MAX_LENGTH} characters")
    if not _KNOWN.fullmatch(key):
        raise ManifestError(
            f"the pattern {quoted(key)} cannot be read",
            why=r"known are names, `.` `\d` `\w` `[0-9]` and `*` or `+` after these, `\.` `|` `^` "
            "`$`, and groups that are neither nested nor repeated",
            hint=_WRITE_OUT,
        )
    try:
        return re.compile(rf"(.*\.)?({key})$")
    except re.error:
        raise ManifestError(f"the pattern {quoted(key)} is no regular expression") from None


def _ways(key: str) -> int:
    """In how many ways at most a pattern can be tried on a name, from one place of it on."""
    branches = prod(part.count("|") + 1 for part in re.split(r"[()]", key))
    ways: int = branches * _USUAL_NAME ** (key.count("*") + key.count("+"))
    return ways


def _ends_so(module: str, key: str) -> bool:
    """Whether a module ends in a name, where a dot stands for any character."""
    start = len(module) - len(key)
    if start < 0 or (start and module[start - 1] != "."):
        return False
    return all(one in (".", other) for one, other in zip(key, module[start:], strict=True))
