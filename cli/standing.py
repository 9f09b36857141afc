"""Whether a version is listed, yanked or deleted, after a command that may have changed it."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from .output import Output

if TYPE_CHECKING:
    from ..registry.registry import Standing, VersionInfo


def show_standing(
    output: Output,
    kind: str,
    info: "VersionInfo",
    before: "Standing | None",
    *,
    undone: str | None = None,
    more: Mapping[str, object] | None = None,
) -> None:
    """Show what a version is now and whether that is new.

    `undone` is what was to be taken back, `more` is said besides to programs.
    """
    output.data(kind, {**asdict(info), **(more or {})})
    state = "is still" if info.standing == before else "is now"
    output.line(f"{info.label} {state} {info.standing or 'listed'}")
    if undone and info.standing == before:
        output.note(f"nothing was changed: it was not {undone}")
