"""rebase: a version for another base, made again or carried over."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...patches.errors import BaseMismatch, GateFailed, NonFinite, ShapeMismatch, TooBig
from ..app import App
from ..model_options import device_option, settings_of, settings_option, statistics_option
from ..options import RegularFile, declare
from ..publishing import origin_of, workplace
from ..rebase_report import announce
from ..rebasing import AGAIN, CARRY, Attempt, Known, Rebasing, old_base

if TYPE_CHECKING:
    from ...patches.draft import Origin
    from ...patches.format.patch import Patch

AUTO = "auto"
_DO_NOT_FIT = (BaseMismatch, ShapeMismatch, NonFinite, TooBig)


@declare(
    "rebase",
    examples="weightpatch rebase acme/darrieux --onto ./smollm2-fixed\n"
    "weightpatch rebase acme/darrieux@2 --onto org/model@revision --how again --set layer=5\n"
    "weightpatch rebase acme/darrieux --onto ./smollm2-f32 --name acme/darrieux-f32 --how carry",
)
@click.argument("reference", metavar="REF")
@click.option("--onto", required=True, metavar="BASE", help="The new base: a folder, or a Hub id.")
@click.option("--name", metavar="NS/NAME", help="Another name; by default a new version of REF's.")
@click.option(
    "--how",
    type=click.Choice([AUTO, CARRY, AGAIN]),
    default=AUTO,
    show_default=True,
    help="Carry the delta over, make it again, or carry it where it holds and else make it again.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 1),
    default=0.05,
    show_default=True,
    help="By how much a mean score may be lower for a delta that is carried over.",
)
@click.option("--base", metavar="BASE", help="The old base; the remembered one by default.")
@click.option("--message", help="What the patch is for; what REF says by default.")
@click.option("--licence", help="SPDX name of its licence; REF's by default.")
@click.option("--supersedes", metavar="REF", help="The version that this one replaces.")
@settings_option
@statistics_option
@click.option("--editor", type=RegularFile(), help="Trained editor of mend or ke for the new base.")
@device_option
def command(app: App, /, **options: Any) -> None:  # noqa: ANN401 - click passes the options by name
    """Make a version of REF for another base, score it there, and show both side by side.

    The delta is carried over where it fits and still gives reliability, generalization and locality
    as on the old base; else the same method makes the same requests again. REF stays as it is, for
    the base that it was made for. Exit status 3 if a delta that was to be carried over does not
    hold.
    """
    from ...patches.rebasing.again import require_remakeable
    from ...patches.rebasing.carry import require_room

    _require_sense(options)
    (patch,) = app.patches([options["reference"]])
    _require_name(app, patch, options["name"])
    if options["how"] == AGAIN:
        require_remakeable(patch.manifest.method)
    origin = origin_of(app, _inherited(options, patch))
    with (
        app.registry() as registry,
        workplace(app) as folder,
        app.progress() as progress,
    ):
        onto = app.base(options["onto"])
        if options["how"] == CARRY:
            require_room(patch, onto)
        old = old_base(app, patch, options["base"])
        rebasing = Rebasing(app, registry, patch, onto, old, options, progress)
        known = rebasing.known()
        attempt = _attempt(rebasing, known, folder, origin)
        version = rebasing.publish(attempt)
    announce(rebasing, known, attempt, version, origin.supersedes)


def _require_sense(options: dict[str, Any]) -> None:
    """Fail with click's usage error for options that cannot be meant so."""
    settings_of(options["settings"])
    if options["how"] == CARRY:
        for name in ("settings", "statistics", "editor"):
            if options[name]:
                shown = {"settings": "set"}.get(name, name)
                raise click.UsageError(
                    f"--{shown} goes with --how again: what is carried over is not made anew"
                )


def _require_name(app: App, patch: "Patch", name: str | None) -> None:
    """Refuse to number on a patch that came from a folder and that the registry does not hold."""
    from ...registry.errors import NotFound

    if name is not None:
        return
    with app.registry() as registry:
        try:
            registry.resolve(f"sha256:{patch.digest}", to_read=True)
        except NotFound:
            raise click.UsageError(
                f"the registry does not hold {patch.label}: give the new version a --name"
            ) from None


def _inherited(options: dict[str, Any], patch: "Patch") -> dict[str, Any]:
    """The options, with what REF says where nothing was given."""
    manifest = patch.manifest
    said = {"name": manifest.name, "message": manifest.message, "licence": manifest.licence}
    return {**options, **{key: options[key] or value for key, value in said.items()}}


def _attempt(rebasing: Rebasing, known: Known | None, folder: Path, origin: "Origin") -> Attempt:
    """Carry over or make again, as asked or as it comes out; raises GateFailed."""
    from ...patches.rebasing.again import is_remakeable, require_remakeable

    how, method = rebasing.options["how"], rebasing.patch.manifest.method
    if how == AGAIN:
        return rebasing.again(_made(folder / AGAIN), origin)
    try:
        attempt = rebasing.carried(_made(folder / CARRY), origin)
        _require_held(rebasing, known, attempt)
    except (*_DO_NOT_FIT, GateFailed) as error:
        if how == CARRY or not is_remakeable(method):
            raise
        reason = f": {error.why}" if error.why else ""
        rebasing.app.output.note(f"note: {error.message}{reason}")
        require_remakeable(method)
        rebasing.app.output.note(f"note: so it is made again by {method.name}")
        return rebasing.again(_made(folder / AGAIN), origin)
    return attempt


def _require_held(rebasing: Rebasing, known: Known | None, attempt: Attempt) -> None:
    """Raise GateFailed unless a delta that was carried over gives the scores that it gave."""
    from ...patches.rebasing.holding import losses

    label, onto = rebasing.patch.label, rebasing.onto.id
    if known is None:
        raise GateFailed(
            f"whether {label} holds on {onto} cannot be told",
            why="its base is not at hand, and no scores of it are stored",
            hint="name the base that it was made for: --base FOLDER",
        )
    lost = losses(known.means, attempt.means, rebasing.options["tolerance"])
    if lost:
        raise GateFailed(
            f"the delta of {label} does not hold on {onto}",
            why=f"it loses {', '.join(map(str, lost))}",
            hint="make it again there: --how again; or allow for more: --tolerance",
        )


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
