"""A page of versions, as list and search show it."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from .options import Parsed
from .output import Output
from .paging import next_page, split
from .texts import size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..registry.registry import VersionInfo

DIGEST = "sha256:"


def _digest(text: str) -> str:
    digest = text.removeprefix(DIGEST)
    if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise ValueError("it is not the digest of a version, as in sha256:… and 64 digits")
    return digest


BEFORE = Parsed("digest", _digest)
"""The digest of the last version of the page before, as `sha256:…` or bare; gives the bare one."""


def show_page(output: Output, kind: str, found: "Sequence[VersionInfo]", limit: int) -> None:
    """A page of versions, for which `one_more` was asked, and how to go on if there are more.

    Their bases are shown where they differ.
    """
    versions, more = split(found, limit)
    following = f"{DIGEST}{versions[-1].digest}" if more else None
    output.data(kind, {"versions": [asdict(each) for each in versions], "before": following})
    differ = len({version.bases for version in versions}) > 1
    output.table(
        ["version", "method", *_if(differ, "base"), "delta", "author", "created", "message"],
        [
            [
                marked(v),
                v.method,
                *_if(differ, ", ".join(v.bases)),
                size(v.delta_size),
                v.author,
                v.created[:10],
                v.message,
            ]
            for v in versions
        ],
        wrapped=["base", "author", "message"],
    )
    if following:
        output.note(next_page(following))


def _if(wanted: bool, cell: str) -> list[str]:
    """A cell, or none."""
    return [cell] if wanted else []


def marked(version: "VersionInfo") -> str:
    """The label, with a mark if the version was yanked or deleted."""
    standing = version.standing
    if standing is None:
        return version.label
    return f"{version.label} ({'malicious' if standing.malicious else standing.state})"
