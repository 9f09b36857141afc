"""A page of versions, as list and search show it."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from .output import Output, size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..registry.registry import VersionInfo

DIGEST = "sha256:"


class Before(click.ParamType[str]):
    """The digest of the last version of the page before, as `sha256:…` or bare."""

    name = "digest"

    def convert(
        self,
        value: Any,  # noqa: ANN401
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str:
        """The bare digest; fails with click's usage error."""
        digest = str(value).removeprefix(DIGEST)
        if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
            self.fail("it is not the digest of a version, as in sha256:… and 64 digits", param, ctx)
        return digest


def show_page(
    output: Output, kind: str, versions: "Sequence[VersionInfo]", limit: int, again: str
) -> None:
    """The versions; if there may be more, how `again` shows the next page."""
    following = f"{DIGEST}{versions[-1].digest}" if versions and len(versions) == limit else None
    output.data(kind, {"versions": [asdict(each) for each in versions], "before": following})
    output.table(
        ["version", "method", "size", "author", "created", "message"],
        [
            [marked(v), v.method, size(v.delta_size), v.author, v.created[:10], v.message]
            for v in versions
        ],
    )
    if following:
        output.note(f"more: {again} --before {following}")


def marked(version: "VersionInfo") -> str:
    """The label, with a mark if the version was yanked or deleted."""
    return f"{version.label} ({version.standing.state})" if version.standing else version.label
