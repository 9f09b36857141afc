"""push: send a version to a remote."""

from typing import TYPE_CHECKING

import click

from ...registry.remotes.location import ON_HUB
from ..app import App
from ..options import declare, language_option
from ..remotes import usual_place
from ..texts import counted, size

if TYPE_CHECKING:
    from ...registry.registry import Registry
    from ...registry.remotes.base import Plan, Pushed


@declare(
    "push",
    examples="weightpatch push acme/capitals ./shared-drive\n"
    "weightpatch push acme/capitals@2 hf://\n"
    "weightpatch push acme/capitals team\n"
    "weightpatch push acme/capitals hf:// --public --language en --dry-run",
)
@click.argument("reference", metavar="REF")
@click.argument("remote", metavar="[REMOTE]", required=False)
@click.option("--public", is_flag=True, help="If the Hub's repository has to be made: for all.")
@language_option
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
def command(
    app: App,
    reference: str,
    remote: str | None,
    languages: tuple[str, ...],
    *,
    public: bool,
    dry_run: bool,
) -> None:
    """Send a version and its scores to REMOTE: a folder, the Hugging Face Hub (hf://), or a name.

    Names are those of `remote list`. Without REMOTE it goes where the patch was last pushed to or
    pulled from, else to the remote called `default`. A repository that has to be made is private
    unless --public; one that is there stays as it is.
    """
    from ...registry.sharing.exchange import plan, push

    with app.registry() as registry, app.progress() as progress:
        info = registry.resolve(reference)
        own = f"sha256:{info.digest}"
        place = _place(app, registry, info.name, remote)
        if dry_run:
            planned = plan(registry, own, place, public=public, languages=languages)
        else:
            is_old = public and _was_exchanged(registry, info.name, place)
            pushed = push(
                registry, own, place, public=public, languages=languages, progress=progress
            )
    app.caution(info)
    if dry_run:
        _show_plan(app, info.label, planned)
    else:
        _show(app, info.label, pushed)
        if public and (is_old or pushed.already_there):
            app.output.note(
                "note: its repository was there, and stays as private or public as it was"
            )


def _place(app: App, registry: "Registry", name: str, remote: str | None) -> str:
    if remote is not None:
        return registry.remote_at(remote)
    hint = f"name one: weightpatch push {name} {ON_HUB}, or a folder"
    return usual_place(app, registry, name, "to", hint=hint)


def _was_exchanged(registry: "Registry", name: str, place: str) -> bool:
    """Whether some version of a patch went to or came from a place, which so had it already."""
    from ...registry.remotes.location import site

    return any(site(one.remote) == site(place) for one in registry.exchanges(name))


def _show(app: App, label: str, pushed: "Pushed") -> None:
    app.output.data("push", vars(pushed))
    state = "is already at" if pushed.already_there else "is now at"
    at = f" (commit {pushed.revision[:12]})" if pushed.revision else ""
    app.output.line(f"{label} {state} {pushed.location}{at}")


def _show_plan(app: App, label: str, plan: "Plan") -> None:
    app.output.data("push-plan", {"version": label, **vars(plan), "files": dict(plan.files)})
    if plan.already_there and not plan.files:
        app.output.line(f"{label} is already at {plan.location}; nothing would be sent")
        return
    state = "is already at" if plan.already_there else "would go to"
    app.output.line(f"{label} {state} {plan.location}")
    if plan.makes:
        app.output.line(f"{_made(private=plan.private)} would be made first")
    app.output.table(["file", "bytes"], list(plan.files.items()))
    total = f"{counted(len(plan.files), 'file')}, {size(sum(plan.files.values()))}"
    app.output.line(f"{total} would be written; nothing was changed")


def _made(*, private: bool | None) -> str:
    """What a push makes before it sends anything."""
    if private is None:
        return "the folder"
    return f"a {'private' if private else 'public'} repository"
