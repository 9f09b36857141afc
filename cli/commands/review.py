"""review: look at what is offered, check and score it, and accept it."""

import shlex
from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ..app import App, held
from ..harm import warn
from ..model_options import device_option
from ..options import declare, language_option
from ..proposal_places import place_of
from ..review_page import review_json, show_review, show_waiting
from ..reviewing import Measurement, measure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...registry.registry import Registry
    from ...registry.remotes.location import ProposalPlace
    from ...registry.sharing.reviewing import Merged, Review


@declare(
    "review",
    examples="weightpatch review hf://acme/capitals\n"
    "weightpatch review hf://acme/capitals/pr/7 --base ./smollm2\n"
    "weightpatch review ./drive/acme/capitals/pr/1 --no-eval\n"
    "weightpatch review hf://acme/capitals/pr/7 --merge",
)
@click.argument("place", metavar="PLACE")
@click.option("--base", metavar="BASE", help="Folder or Hub id; the remembered one by default.")
@click.option("--no-eval", "unscored", is_flag=True, help="Load no model, score nothing here.")
@click.option("--merge", "accept", is_flag=True, help="Accept it, after all this was shown.")
@language_option
@device_option
def command(app: App, /, place: str, **options: Any) -> None:  # noqa: ANN401 - click passes them by name
    """Look at the proposal at PLACE, check and score it here; with --merge, accept it.

    PLACE is hf://NS/NAME/pr/N, FOLDER/NS/NAME/pr/N, NAME/NS/NAME/pr/N in the remote of that name,
    or the address of the pull request's page. Without /pr/N, what is proposed to the patch is
    listed.

    The proposal is fetched into a folder that all commands take; it is compared with the newest
    version there, and is no version of your registry before it is accepted. --merge also finishes
    one that was merged on its page, which makes no tag.
    """
    if options["base"] is not None and options["unscored"]:
        raise click.UsageError("--base and --no-eval exclude each other.")
    if options["languages"] and not options["accept"]:
        raise click.UsageError("--language is for the card that --merge writes.")
    with app.registry() as registry:
        found = place_of(app, registry, place)
        if found.number is None:
            _list(app, found, accept=options["accept"])
        else:
            _review(app, registry, found, options)


def _list(app: App, place: "ProposalPlace", *, accept: bool) -> None:
    from ...registry.sharing.reviewing import overtaken, waiting

    found = waiting(place)
    if accept:
        raise click.UsageError(f"Say which proposal to accept, as in {place}/pr/7.")
    show_waiting(app.output, str(place), found, overtaken(place, found))


def _review(
    app: App,
    registry: "Registry",
    place: "ProposalPlace",
    options: "Mapping[str, Any]",
) -> None:
    from ...patches.diff import diff
    from ...registry.sharing.reviewing import record_review, review

    with ExitStack() as stack:
        with app.progress() as progress:
            seen = stack.enter_context(review(place, app.config.home, progress=progress))
            difference = diff(seen.current, seen.patch) if seen.current else None
        harm = warn(app, seen.patch.label, held(seen.patch))
        unscored = options["unscored"] or harm
        measured = None if unscored else measure(app, seen, options["base"], options["device"])
        show_review(app.output, seen, difference, measured)
        record_review(registry, seen, [measured.own] if measured else [])
        document = review_json(seen, difference, measured, harm)
        merged = _merge(registry, seen, measured, options) if options["accept"] else None
    _show_end(app, seen, measured, document, merged)


def _merge(
    registry: "Registry",
    seen: "Review",
    measured: Measurement | None,
    options: "Mapping[str, Any]",
) -> "Merged":
    from ...registry.sharing.reviewing import merge

    _refuse_overtaken(seen)
    registry.require_usable(held(seen.patch))
    evaluations = _evaluations(registry, measured)
    return merge(registry, seen, evaluations, languages=options["languages"])


def _refuse_overtaken(seen: "Review") -> None:
    """Raise RemoteRefused for a proposal whose number is not the next one any more."""
    from ...registry.remotes.errors import RemoteRefused
    from ...registry.remotes.proposals import OPEN

    is_open = seen.candidate.proposal.status == OPEN
    if seen.hindrance and is_open and not seen.candidate.besides:
        raise RemoteRefused(
            f"{seen.place} cannot be accepted: {seen.patch.label} is not the next version there",
            why=f"{seen.newest} is the newest there, so its number was taken since by another",
            hint="nothing was changed; whoever proposed it can propose it again, for the next "
            "number",
        )


def _evaluations(registry: "Registry", measured: Measurement | None) -> dict[str, Any]:
    """What was measured here, by the fingerprint of a base that the registry now knows."""
    if measured is None:
        return {}
    checkpoint = measured.checkpoint
    registry.record_base(checkpoint, location=str(checkpoint.path.resolve()))
    return {checkpoint.fingerprint: [measured.own]}


def _show_end(
    app: App,
    seen: "Review",
    measured: Measurement | None,
    document: dict[str, Any],
    merged: "Merged | None",
) -> None:
    done = {**vars(merged), "version": asdict(merged.version)} if merged else None
    folder = None if merged else document["folder"]
    app.output.data("review", {**document, "folder": folder, "merged": done})
    app.output.line()
    if merged:
        state = "was accepted already:" if merged.already_there else "is accepted, and is now"
        app.output.line(f"{seen.place} {state} {merged.location}")
        version = merged.version
        state = "stored as" if version.is_new else "already known as"
        app.output.line(f"{state} {version.label}  sha256:{version.digest}")
        app.caution(version)
        return
    folder, place = shlex.quote(str(seen.folder)), shlex.quote(str(seen.place))
    app.output.line(f"try it: weightpatch apply {folder} --base {_base(measured)} --out DIR")
    if not (seen.hindrance or seen.is_there):
        app.output.line(f"accept it: weightpatch review {place} --merge")


def _base(measured: Measurement | None) -> str:
    """The base that it was scored on, as a user types it."""
    return shlex.quote(str(measured.checkpoint.path)) if measured else "BASE"
