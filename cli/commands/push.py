"""push: send a version to a remote."""

from typing import TYPE_CHECKING

import click

from ...registry.remotes.location import ON_HUB
from ..app import App
from ..exchanged import at, identity, refuse_mistyped
from ..options import declare, language_option
from ..remotes import refuse_one_patch, usual_place
from ..texts import counted, shortened, size

if TYPE_CHECKING:
    from ...registry.registry import Registry, VersionInfo
    from ...registry.remotes.base import Plan, Pushed
    from ...registry.sharing.renumbering import Renumbered


@declare(
    "push",
    examples="weightpatch push acme/capitals ./shared-drive\n"
    "weightpatch push acme/capitals@2 hf://\n"
    "weightpatch push acme/capitals team --next\n"
    "weightpatch push acme/capitals hf:// --public --language en --dry-run",
)
@click.argument("reference", metavar="REF")
@click.argument("remote", metavar="[REMOTE]", required=False)
@click.option("--public", is_flag=True, help="If the Hub's repository has to be made: for all.")
@language_option
@click.option("--next", "renumber", is_flag=True, help="Under the next number, if its is taken.")
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
def command(
    app: App,
    reference: str,
    remote: str | None,
    languages: tuple[str, ...],
    *,
    public: bool,
    renumber: bool,
    dry_run: bool,
) -> None:
    """Send a version and its scores to REMOTE: a folder, the Hugging Face Hub (hf://), or a name.

    Names are those of `remote list`. Without REMOTE it goes where the patch was last pushed to or
    pulled from, else to the remote called `default`. A repository that has to be made is private
    unless --public; one that is there stays as it is. With --next, a version whose number somebody
    else took there first is published again under the next one, here and there.
    """
    from ...registry.sharing.exchange import plan, push
    from ...registry.sharing.renumbering import plan_next, push_next

    refuse_mistyped("push", reference, remote)
    with app.registry() as registry, app.progress() as progress:
        info = registry.resolve(reference)
        own, has = f"sha256:{info.digest}", len(registry.evaluations(info.digest))
        place = _place(app, registry, info.name, remote)
        if dry_run and renumber:
            label, planned = plan_next(registry, own, place, public=public, languages=languages)
        elif dry_run:
            label = info.label
            planned = plan(registry, own, place, public=public, languages=languages)
        else:
            is_old = public and _was_exchanged(registry, info.name, place)
            send = push_next if renumber else push
            done = send(registry, own, place, public=public, languages=languages, progress=progress)
            sent, pushed = _sent(info, done)
    app.caution(info)
    if dry_run:
        _show_plan(app, info, label, planned)
        return
    _show(app, info, sent, pushed, has)
    if public and (is_old or pushed.already_there):
        app.output.note("note: its repository was there, and stays as private or public as it was")
    if languages and pushed.already_there and not pushed.attestations_added:
        app.output.note("note: its card was there, and stays as it was; one is written with scores")
    if not pushed.already_there:
        _say_if_hard_to_find(app, sent, place)


def _sent(info: "VersionInfo", done: "Pushed | Renumbered") -> "tuple[VersionInfo, Pushed]":
    """Which version went, and where it is."""
    from ...registry.sharing.renumbering import Renumbered

    return (done.version, done.pushed) if isinstance(done, Renumbered) else (info, done)


def _place(app: App, registry: "Registry", name: str, remote: str | None) -> str:
    if remote is not None:
        place = registry.remote_at(remote)
        refuse_one_patch(place, f"weightpatch push {name}")
        return place
    hint = f"name one: weightpatch push {name} {ON_HUB}, or a folder"
    return usual_place(app, registry, name, "to", hint=hint)


def _was_exchanged(registry: "Registry", name: str, place: str) -> bool:
    """Whether some version of a patch went to or came from a place, which so had it already."""
    from ...registry.remotes.location import site

    return any(site(one.remote) == site(place) for one in registry.exchanges(name))


def _show(app: App, info: "VersionInfo", sent: "VersionInfo", pushed: "Pushed", has: int) -> None:
    """Where a version is now; `sent` is another one than `info` if it got another number."""
    again = info.label if sent.digest != info.digest else None
    app.output.data("push", {"version": identity(sent), **vars(pushed), "made_from": again})
    state = "is already at" if pushed.already_there else "is now at"
    scores = _scores(pushed, has)
    app.output.line(f"{sent.label} {state} {at(pushed.location, pushed.revision)}{scores}")
    if again:
        app.output.note(
            f"note: {sent.label} does what {again} does, whose number was taken there; it is here, "
            "too, and the other one stays here alone"
        )


def _scores(pushed: "Pushed", has: int) -> str:
    added = pushed.attestations_added if pushed.already_there else has
    if not added:
        return ""
    return f", with {counted(added, 'evaluation')}{' added' if pushed.already_there else ''}"


def _say_if_hard_to_find(app: App, info: "VersionInfo", place: str) -> None:
    """Say that a card names no model of the Hub, if the base was named by its folder."""
    from ...patches.format.front_matter import is_hub_id

    if place.startswith(ON_HUB) and not any(is_hub_id(one.split("@")[0]) for one in info.bases):
        base = info.bases[0] if info.bases else "its base"
        app.output.note(
            f"note: its card names no base model, as {base} was named by its folder, so that "
            "`search --hub --base` does not find it; make patches with --base org/model@revision"
        )


def _show_plan(app: App, info: "VersionInfo", label: str, plan: "Plan") -> None:
    number = int(label.rpartition("@")[2])
    digest = info.digest if label == info.label else None
    version = {"name": info.name, "version": number, "digest": digest}
    app.output.data("push-plan", {"version": version, **vars(plan), "files": dict(plan.files)})
    if plan.already_there and not plan.files:
        app.output.line(f"{label} is already at {plan.location}; nothing would be sent")
        return
    state = "is already at" if plan.already_there else "would go to"
    app.output.line(f"{label} {state} {plan.location}")
    if plan.makes:
        app.output.line(f"{_made(private=plan.private)} would be made first")
    rows = [[shortened(name), size(one)] for name, one in plan.files.items()]
    app.output.table(["file", "size"], rows)
    total = f"{counted(len(plan.files), 'file')}, {size(sum(plan.files.values()))}"
    app.output.line(f"{total} would be written; nothing was changed")


def _made(*, private: bool | None) -> str:
    """What a push makes before it sends anything."""
    if private is None:
        return "the folder"
    return f"a {'private' if private else 'public'} repository"
