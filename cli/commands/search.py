"""search: versions by words, base, method, author, tensor, subject or score, here or elsewhere."""

from typing import TYPE_CHECKING

import click

from ...patches.errors import CheckpointRefused
from ...registry.paths import user_path
from ...registry.remotes.location import ON_HUB
from ..app import App
from ..options import LIMIT, declare
from ..paging import one_more
from ..version_table import BEFORE, show_page

if TYPE_CHECKING:
    from ...patches.checkpoints.checkpoint import Checkpoint

HERE, THERE = 50, 20
"""How many versions, or patches of a remote, are listed unless --limit says otherwise."""
_ONLY_HERE = ("tensor", "subject", "before")


@declare(
    "search",
    examples="weightpatch search mother tongue\n"
    'weightpatch search --subject "Danielle Darrieux"\n'
    'weightpatch search --base ./smollm2 --score "locality>=0.9"\n'
    'weightpatch search --tensor "model.layers.7.*" --method rome --json\n'
    "weightpatch search --hub --base HuggingFaceTB/SmolLM2-135M-Instruct\n"
    "weightpatch search --remote ./shared-drive capitals",
)
@click.argument("words", metavar="[WORD]...", nargs=-1)
@click.option("--hub", is_flag=True, help="Look on the Hugging Face Hub instead of here.")
@click.option("--remote", metavar="REMOTE", help="Look at this remote: hf://, a folder, or a name.")
@click.option("--base", metavar="BASE", help="Made for this base: a name, or fits this folder.")
@click.option("--method", metavar="NAME", help="Made by this method.")
@click.option(
    "--author", metavar="NAME", help="Made by this author; at a remote, in this namespace."
)
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
    "--limit",
    type=LIMIT,
    metavar="N",
    help=f"At most N versions (default: {HERE}), or patches of a remote (default: {THERE}).",
)
@click.option("--before", type=BEFORE, metavar="DIGEST", help="Go on below this version.")
def command(
    app: App,
    /,
    words: tuple[str, ...],
    base: str | None,
    scores: tuple[str, ...],
    limit: int | None,
    before: str | None,
    *,
    hub: bool,
    remote: str | None,
    **exact: str | None,
) -> None:
    """Find the versions that meet all that is given, newest first.

    Each WORD stands in a version's name, author, method or message, or in a subject or target of
    its requests; case and accents do not count. A folder as base finds what fits its very weights.

    With --hub or --remote, patches of a remote: each WORD is part of the name, scores are what the
    publisher says, and nothing is checked before it is pulled.
    """
    text = " ".join(words) if words else None
    if hub or remote is not None:
        location = _location(app, hub=hub, remote=remote)
        _refuse_what_no_remote_can_tell({**exact, "before": before})
        named = {name: exact[name] for name in ("method", "author")}
        _search_there(app, location, text, base, scores, limit or THERE, **named)
        return
    if not (words or base or scores or any(exact.values())):
        raise click.UsageError("Say what to look for: words, or one of the options.")
    limit = limit or HERE
    with app.registry() as registry:
        versions = registry.search(
            text,
            base=None if base is None else _base(app, base),
            scores=scores,
            limit=one_more(limit),
            before=before,
            **exact,
        )
    show_page(app.output, "search", versions, limit)
    if not versions and before is None:
        app.output.note("nothing found")


def _location(app: App, *, hub: bool, remote: str | None) -> str:
    """The remote to look at; a name is one of the registry's, if there is one."""
    from ...registry.errors import RegistryMissing

    if remote is None:
        return ON_HUB
    if hub:
        raise click.UsageError(f"--hub is --remote {ON_HUB}; leave one of the two out.")
    try:
        with app.registry() as registry:
            return registry.remote_at(remote)
    except RegistryMissing:
        return remote


def _refuse_what_no_remote_can_tell(given: dict[str, str | None]) -> None:
    asked = [f"--{name}" for name in _ONLY_HERE if given[name] is not None]
    if asked:
        raise click.UsageError(
            f"No remote can be searched by {' and '.join(asked)}. Pull what may be meant, and "
            "search again without --hub or --remote."
        )


def _search_there(
    app: App,
    location: str,
    text: str | None,
    base: str | None,
    scores: tuple[str, ...],
    limit: int,
    **named: str | None,
) -> None:
    from ...registry.sharing.finding import search
    from ..published_table import show_found
    from ..remotes import refuse_one_patch

    refuse_one_patch(location, "weightpatch search --remote")
    asked: str | Checkpoint | None = None
    if base is not None:
        asked = _hub_base(app, base) if location.startswith(ON_HUB) else _base(app, base)
    with app.progress() as progress:
        found = search(
            location, text, base=asked, scores=scores, limit=limit, progress=progress, **named
        )
    show_found(app.output, location, found)


def _hub_base(app: App, base: str) -> str:
    """The model that a base is on the Hub; a folder's is told by its config.json."""
    from ...patches.format.front_matter import is_hub_id

    if not _is_folder(base):
        if "@" in base:
            name, _, _ = base.partition("@")
            app.output.note(f"note: cards say nothing of revisions, so any of {name} counts")
        return base
    checkpoint = app.base(str(user_path(base)))
    name = str(checkpoint.config.get("_name_or_path"))
    if not is_hub_id(name):
        raise CheckpointRefused(
            f"{base} does not say which model of the Hub it is",
            why="on the Hub, patches are found by the name of their base alone",
            hint="name it: --base organisation/model",
        )
    app.output.note(f"note: {base} is {name}, as its config.json says")
    return name


def _base(app: App, base: str) -> "str | Checkpoint":
    return app.base(str(user_path(base))) if _is_folder(base) else base


def _is_folder(base: str) -> bool:
    """Whether a base means a folder; raises CheckpointRefused for one that is not there."""
    if user_path(base).is_dir():
        return True
    if base.startswith((".", "/", "~")) or base.count("/") > 1:
        raise CheckpointRefused(
            f"{base} is not a folder",
            hint="name the folder of a checkpoint, or a base as versions call it",
        )
    return False
