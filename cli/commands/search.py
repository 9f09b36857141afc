"""search: versions by words, base, method, author, tensor, subject or score."""

from typing import TYPE_CHECKING

import click

from ...patches.errors import CheckpointRefused
from ..app import App
from ..config import user_path
from ..options import LIMIT, declare
from ..paging import one_more
from ..version_table import BEFORE, show_page

if TYPE_CHECKING:
    from ...patches.checkpoints.checkpoint import Checkpoint


@declare(
    "search",
    examples="weightpatch search mother tongue\n"
    'weightpatch search --subject "Danielle Darrieux"\n'
    'weightpatch search --base ./smollm2 --score "locality>=0.9"\n'
    'weightpatch search --tensor "model.layers.7.*" --method rome --json',
)
@click.argument("words", metavar="[WORD]...", nargs=-1)
@click.option("--base", metavar="BASE", help="Made for this base: a name, or fits this folder.")
@click.option("--method", metavar="NAME", help="Made by this method.")
@click.option("--author", metavar="NAME", help="Made by this author.")
@click.option("--tensor", metavar="NAME", help="Changes this tensor; * stands for anything.")
@click.option("--subject", metavar="TEXT", help="Has a request about this subject.")
@click.option(
    "--score",
    "scores",
    metavar="CONDITION",
    multiple=True,
    help='Its last evaluation says so, as in "locality>=0.9"; may be repeated.',
)
@click.option(
    "--limit", type=LIMIT, default=50, show_default=True, metavar="N", help="At most N versions."
)
@click.option("--before", type=BEFORE, metavar="DIGEST", help="Go on below this version.")
def command(
    app: App,
    /,
    words: tuple[str, ...],
    base: str | None,
    scores: tuple[str, ...],
    limit: int,
    before: str | None,
    **exact: str | None,
) -> None:
    """Find the versions that meet all that is given, newest first.

    Each WORD stands in a version's name, author, method or message, or in a subject or target of
    its requests; case and accents do not count. A folder as base finds what fits its very weights.
    """
    if not (words or base or scores or any(exact.values())):
        raise click.UsageError("Say what to look for: words, or one of the options.")
    with app.registry() as registry:
        versions = registry.search(
            " ".join(words) if words else None,
            base=None if base is None else _base(app, base),
            scores=scores,
            limit=one_more(limit),
            before=before,
            **exact,
        )
    show_page(app.output, "search", versions, limit)
    if not versions and before is None:
        app.output.note("nothing found")


def _base(app: App, base: str) -> "str | Checkpoint":
    if user_path(base).is_dir():
        return app.base(str(user_path(base)))
    if base.startswith((".", "/", "~")) or base.count("/") > 1:
        raise CheckpointRefused(
            f"{base} is not a folder",
            hint="name the folder of a checkpoint, or a base as versions call it",
        )
    return base
