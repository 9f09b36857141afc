"""diff: what is different between two versions."""

from typing import TYPE_CHECKING

import click

from ..app import App
from ..difference import difference_json, show_requests, show_tensors, summary
from ..options import declare

if TYPE_CHECKING:
    from ...patches.format.patch import Patch


@declare(
    "diff",
    examples="weightpatch diff acme/capitals@1 acme/capitals@2\n"
    "weightpatch diff acme/capitals ./folder --json",
)
@click.argument("first", metavar="REF")
@click.argument("second", metavar="REF")
def command(app: App, first: str, second: str) -> None:
    """Compare two versions: their requests, and what each does to each tensor.

    A line with - is of the first, with + of the second; relative is the norm of a change over that
    of the base's weight, and both are - for new values, which add nothing. The cosine of the two
    deltas is 1 for the same direction, 0 for changes that have nothing in common, - where one of
    them is no sum, as with replaced values; in its place stands "same" where both, in whatever way,
    make the very same weight of the same base's.
    """
    from ...patches.diff import diff

    one, other = app.patches([first, second], to_read=True)
    found = diff(one, other)
    app.output.data("diff", difference_json(one, other, found))
    app.output.line(summary(found))
    app.output.line()
    _show_sides(app, one, other)
    show_requests(app.output, found.requests)
    show_tensors(app.output, found)


def _show_sides(app: App, first: "Patch", second: "Patch") -> None:
    app.output.table(
        ["", "version", "digest", "method", "author", "created", "base"],
        [
            [
                mark,
                patch.label,
                f"sha256:{patch.digest[:12]}",
                patch.manifest.method.name,
                patch.manifest.author,
                patch.manifest.created[:10],
                ", ".join(base.label for base in patch.manifest.bases),
            ]
            for mark, patch in (("-", first), ("+", second))
        ],
    )
