"""The metadata of a card that anybody may have written: plain YAML, or nothing.

Aliases are refused, with which a few lines stand for gigabytes, and so is depth that no card needs.
"""

from typing import Any

import yaml

MAX_DEPTH = 32


def read(data: bytes) -> object:
    """Give the metadata; None if it is no YAML, or none that a card would have."""
    try:
        return yaml.load(data, Loader=_Plain)  # noqa: S506 - a safe loader, and stricter
    except (
        yaml.YAMLError,
        ValueError,
        TypeError,
        LookupError,
        ArithmeticError,
        AttributeError,
        RecursionError,
    ):
        return None


class _Plain(yaml.SafeLoader):
    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:  # noqa: ANN401 - the loader's own
        """Build a node of the tree, unless it stands for another one or lies too deep."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an alias")
        if self._depth == MAX_DEPTH:
            raise yaml.YAMLError("too deep")
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1
