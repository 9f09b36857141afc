"""apply: write a patched checkpoint."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..app import App
from ..config import shown
from ..options import declare
from ..within import require_not_within
from .check import refuse_conflicts

if TYPE_CHECKING:
    from ...patches.builds.record import BuildRecord
    from ...patches.checkpoints.checkpoint import Checkpoint
    from ...patches.format.patch import Patch
    from ...registry.registry import Registry


@declare(
    "apply",
    examples="weightpatch apply acme/capitals --base ./smollm2 --out ./smollm2-fixed\n"
    "weightpatch apply acme/capitals acme/tongues@2 --base org/model@main --out ./fixed\n"
    "weightpatch apply acme/tongues --base ./smollm2-fixed --out ./smollm2-fixed --force",
)
@click.argument("references", metavar="REF...", nargs=-1, required=True)
@click.option(
    "--base", metavar="BASE|BUILD", help="Folder or Hub id; the remembered base by default."
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="New folder.")
@click.option("--link", is_flag=True, help="Hard-link files that no patch touches, do not copy.")
@click.option("--force", is_flag=True, help="Exchange the build that is at --out.")
@click.option("--original", metavar="BASE", help="What BUILD was made from, where that is needed.")
@click.option("--allow-conflicts", is_flag=True, help="Apply patches that contradict each other.")
def command(
    app: App,
    references: tuple[str, ...],
    base: str | None,
    out: Path,
    original: str | None,
    *,
    link: bool,
    force: bool,
    allow_conflicts: bool,
) -> None:
    """Write BASE with the patches applied to a new folder, whole or not at all.

    Base, patches and results are checked by digest; the order of the patches does not matter. On
    top of a BUILD, its own patches are counted in, and rounded once with the new ones. The registry
    remembers where BASE lies, as it does for create, eval and compose.
    """
    from ...patches.builds.apply import apply, require_target
    from ...patches.builds.record import is_build, read_record

    require_target(out, force=force)  # before a base of gigabytes is fetched
    patches = app.patches(references)
    checkpoint = app.base_for(patches, base)
    under = None
    if is_build(checkpoint.path):
        record = read_record(checkpoint.path)
        app.require_usable([one.digest for layer in record.layers for one in layer.patches])
        patches += _needed(app, checkpoint, record, patches)
        under = app.base_under(record, original)
    elif original is not None:
        raise click.UsageError("--original belongs to a --base that is a build")
    if len(patches) > 1 and not allow_conflicts:
        from ...patches.conflicts import check as conflicts

        refuse_conflicts(
            conflicts.check(patches, conflicts_only=True),
            hint="choose one of them, or say --allow-conflicts",
        )
    with app.ledger() as record_done, app.progress() as progress:
        record = apply(
            checkpoint, patches, out, base=under, link=link, force=force, progress=progress
        )
        place = str(out.resolve())
        record_done(lambda registry: _write_down(registry, place, checkpoint.id, patches))
    app.remember(checkpoint, patches)
    _announce(app, record, patches, out)


def _write_down(registry: "Registry", place: str, base: str, patches: "list[Patch]") -> None:
    from ...registry.registry import Subject

    registry.record_build(place, base, [Subject(each.label, each.digest) for each in patches])


def _needed(
    app: App, build: "Checkpoint", record: "BuildRecord", patches: "list[Patch]"
) -> "list[Patch]":
    """The patches of a build that meet the new ones, as far as they are at hand.

    None, if the new ones were made for the build as it is: they are added to it as to any base.
    """
    from ...patches.builds.plan import are_made_for, needed, new_patches

    if are_made_for(build, record, patches):
        require_not_within(app, new_patches(record, patches), build)
        return []
    given = {patch.digest for patch in patches}
    missing = [one for one in needed(record, patches) if one.digest not in given]
    return app.versions_at_hand(missing)


def _announce(app: App, record: "BuildRecord", patches: "list[Patch]", out: Path) -> None:
    app.output.data(
        "apply",
        {
            "out": shown(out),
            "base": record.base_id,
            "patches": [applied.label for applied in record.patches],
            "result": {name: tensor.sha256 for name, tensor in record.result.items()},
        },
    )
    app.output.changes(
        (name, tensor.sha256, record.result[name].sha256) for name, tensor in record.tensors.items()
    )
    applied = ", ".join(applied.label for applied in record.patches)
    app.output.line(f"{out}: {record.base_id} with {applied}; {_kept(record, patches)}")


def _kept(record: "BuildRecord", patches: "list[Patch]") -> str:
    """How many results are what a patch promises; where several meet on a tensor, none can."""
    promised = {
        result
        for patch in patches
        for base in patch.manifest.bases
        for result in base.result.items()
    }
    found = {(name, tensor.sha256) for name, tensor in record.result.items()}
    if found <= promised:
        return "every digest is the promised one"
    return f"{len(found & promised)} of {len(found)} digests were promised, and are so"
