"""propose: offer a version to somebody else's patch."""

import shlex
from typing import TYPE_CHECKING, Any

import click

from ...registry.remotes.location import ON_HUB
from ..app import App
from ..exchanged import identity, refuse_mistyped
from ..options import declare, language_option
from ..remotes import place_in, usual_place

if TYPE_CHECKING:
    from ...registry.registry import Registry, VersionInfo
    from ...registry.sharing.proposing import Offer


@declare(
    "propose",
    examples="weightpatch propose carol/capitals hf://acme/capitals\n"
    'weightpatch propose acme/capitals@2 ./drive --note "Lyon was wrong"\n'
    "weightpatch propose carol/capitals ./drive/acme/capitals --dry-run",
)
@click.argument("reference", metavar="REF")
@click.argument("remote", metavar="[REMOTE]", required=False)
@click.option("--note", default="", metavar="TEXT", help="What you say to whoever keeps the patch.")
@language_option
@click.option("--dry-run", is_flag=True, help="Only show what would be proposed.")
def command(
    app: App,
    reference: str,
    remote: str | None,
    note: str,
    languages: tuple[str, ...],
    *,
    dry_run: bool,
) -> None:
    """Offer a version as the next one of a patch, at REMOTE: hf://NS/NAME, a folder, or a name.

    On the Hub a pull request is opened, in a folder it is laid beside the versions. It says which
    requests, scores and conflicts with the newest version there are, and stays a proposal until
    whoever keeps the patch accepts it. Without REMOTE it goes where the patch was last exchanged.
    To a patch of another name than REF's it goes as hf://NS/NAME, FOLDER/NS/NAME, or, in a remote
    that has a name, NAME/NS/NAME.
    """
    from ...registry.sharing.proposing import plan, propose

    refuse_mistyped("propose", reference, remote)
    with app.registry() as registry, app.progress() as progress:
        info = registry.resolve(reference)
        place = _place(app, registry, info.name, remote)
        act = plan if dry_run else propose
        offer = act(
            registry,
            f"sha256:{info.digest}",
            place,
            note=note,
            languages=languages,
            progress=progress,
        )
    app.caution(info)
    _show(app, info, offer)


def _place(app: App, registry: "Registry", name: str, remote: str | None) -> str:
    if remote is not None:
        return place_in(registry, remote)
    hint = f"name a patch: weightpatch propose {name} {ON_HUB}namespace/name"
    return usual_place(app, registry, name, "to", hint=hint)


def _show(app: App, info: "VersionInfo", offer: "Offer") -> None:
    done = offer.proposed
    app.output.data("propose", _to_json(info, offer))
    if done is None:
        app.output.line(offer.text.title)
        app.output.line()
        app.output.line(offer.text.description)
        app.output.line(f"{info.label} would be proposed to {offer.place}; nothing was sent")
        return
    state = "is proposed already" if done.already_there else "is now proposed"
    app.output.line(f"{info.label} {state} as {offer.label}: {done.location}")
    if done.page:
        app.output.line(f"people talk about it at {done.page}")
    place = shlex.quote(done.location)
    app.output.line(f"whoever keeps the patch looks at it with: weightpatch review {place}")


def _to_json(info: "VersionInfo", offer: "Offer") -> dict[str, Any]:
    """The version as it is, or would be, proposed, and what is said of it, as plain JSON values."""
    name, _, number = offer.label.rpartition("@")
    done = offer.proposed
    return {
        "version": {"name": name, "version": int(number), "digest": offer.digest},
        "made_from": identity(info),
        "place": offer.place,
        "follows": offer.current,
        "title": offer.text.title,
        "description": offer.text.description,
        "findings": [vars(finding) for finding in offer.found.report.findings],
        "number": done and done.number,
        "location": done and done.location,
        "page": done and done.page,
        "revision": done and done.revision,
        "already_there": bool(done and done.already_there),
    }
