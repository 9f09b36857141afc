"""pull: fetch a version from a remote."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ...patches.errors import WeightpatchError
from ...registry.remotes.location import ON_HUB
from ..app import App
from ..errors import in_our_form
from ..exchanged import at, refuse_mistyped
from ..first_use import made, own_or_trial
from ..hub_hints import hints_for
from ..options import declare
from ..remotes import refuse_one_patch, usual_or_hub
from ..texts import counted

if TYPE_CHECKING:
    from ...registry.registry import Registry
    from ...registry.sharing.exchange import Fetched


@declare(
    "pull",
    examples="weightpatch pull acme/capitals ./shared-drive\n"
    "weightpatch pull acme/capitals@2 hf://\n"
    "weightpatch pull acme/capitals team\n"
    "weightpatch pull hf://acme/capitals@v2\n"
    "weightpatch pull acme/capitals --all-versions",
)
@click.argument("reference", metavar="NS/NAME[@N]")
@click.argument("remote", metavar="[REMOTE]", required=False)
@click.option("--all-versions", is_flag=True, help="Fetch every version there, oldest first.")
@click.option("--older", is_flag=True, help="Take one that is older than what was seen there.")
def command(
    app: App, reference: str, remote: str | None, *, all_versions: bool, older: bool
) -> None:
    """Fetch a version and its scores from REMOTE; nothing is registered before all is checked.

    REMOTE is a folder, the Hugging Face Hub (hf://), or a name of `remote list`. Without it the
    version comes from where the patch was last pulled from or pushed to, else from the remote
    called `default`, else from the Hub. A version on the Hub can be written hf://NS/NAME@v2, too,
    with a branch or commit in place of v2. A patch without a number means the newest there; if that
    is older than what was seen there before, it is refused unless --older, or the number, says that
    it is wanted. Where there is no registry yet, one is made.
    """
    refuse_mistyped("pull", reference, remote)
    reference, remote = _of_the_hub(reference, remote)
    if all_versions:
        if "@" in reference or (remote is not None and remote.startswith(ON_HUB) and "@" in remote):
            raise click.UsageError("--all-versions and one version exclude each other.")
        if older:
            raise click.UsageError("--older is for one version; --all-versions takes those there.")
        _pull_all(app, reference, remote)
        return
    from ...registry.sharing.exchange import pull

    with own_or_trial(app) as (registry, is_own), app.progress() as progress:
        place = _place(app, registry, reference, remote)
        with hints_for(place):
            fetched = pull(registry, reference, place, older=older, progress=progress)
    if not is_own:
        with made(app) as registry:
            fetched = pull(registry, reference, place, older=older)
    _show(app, fetched)


def _of_the_hub(reference: str, remote: str | None) -> tuple[str, str | None]:
    """`hf://namespace/name@v2` as a name and a remote; anything else as it is."""
    if not reference.startswith(ON_HUB):
        return reference, remote
    from ...registry.remotes.location import parse_location

    if remote is not None:
        raise click.UsageError(f"{reference} says already where it comes from; leave REMOTE out.")
    name = parse_location(reference).name
    if name is None:
        raise click.UsageError("Say which patch, as in hf://namespace/name.")
    return name, reference


def _place(app: App, registry: "Registry", reference: str, remote: str | None) -> str:
    """The location that REMOTE means, or the usual one, which is told."""
    if remote is not None:
        place = registry.remote_at(remote)
        refuse_one_patch(place, f"weightpatch pull {reference}")
        return place
    return usual_or_hub(app, registry, reference.partition("@")[0], "from")


def _pull_all(app: App, name: str, remote: str | None) -> None:
    """Fetch all versions; an error says what was fetched before it."""
    from ...registry.sharing.exchange import pull_all

    fetched: list[Fetched] = []
    try:
        with own_or_trial(app) as (registry, is_own), app.progress() as progress:
            place = _place(app, registry, name, remote)
            for one in pull_all(registry, name, place, progress=progress):
                if not is_own:
                    break
                fetched.append(one)
        if not is_own:
            with made(app) as registry, app.progress() as progress:
                for one in pull_all(registry, name, place, progress=progress):
                    fetched.append(one)  # noqa: PERF402 - those before an error count
    except (WeightpatchError, OSError) as error:
        raise _with_what_came(in_our_form(error), fetched) from error
    app.output.data("pull-all", {"versions": [_to_json(one) for one in fetched]})
    for one in fetched:
        _tell(app, one)
    new = sum(one.version.is_new for one in fetched)
    app.output.line(f"{counted(new, 'new version')} of {len(fetched)} there")


def _with_what_came(error: WeightpatchError, fetched: "list[Fetched]") -> WeightpatchError:
    new = [one.version.label for one in fetched if one.version.is_new]
    if new:
        kept = f"what came before it stays: {', '.join(new)}"
        error.why = f"{error.why}; {kept}" if error.why else kept
    return error


def _show(app: App, fetched: "Fetched") -> None:
    """What came from where, with what scores."""
    _tell_ignored(app, fetched)
    version = fetched.version
    app.output.data("pull", _to_json(fetched))
    state = "stored as" if version.is_new else "already known as"
    app.output.line(f"{state} {version.label}  sha256:{version.digest}")
    app.output.line(f"from {at(fetched.location, fetched.revision)}")
    app.caution(version)
    if fetched.evaluations:
        scores = counted(fetched.evaluations, "evaluation")
        app.output.line(f"with {scores} of its publisher; `weightpatch eval` makes your own")


def _to_json(fetched: "Fetched") -> dict[str, Any]:
    """A version that was fetched, as plain JSON values."""
    version = fetched.version
    return {
        "version": asdict(version),
        "location": fetched.location,
        "revision": fetched.revision,
        "already_there": not version.is_new,
        "evaluations": fetched.evaluations,
        "ignored": list(fetched.ignored),
    }


def _tell(app: App, fetched: "Fetched") -> None:
    version = fetched.version
    _tell_ignored(app, fetched)
    if version.standing and version.standing.deleted:
        app.output.line(f"left out {version.label}, which was deleted here")
        return
    state = "stored" if version.is_new else "already here:"
    app.output.line(f"{state} {version.label}  sha256:{version.digest}")
    app.caution(version)


def _tell_ignored(app: App, fetched: "Fetched") -> None:
    for name in fetched.ignored:
        app.output.note(f"ignored attestations/{name}.json: not an evaluation of this version")
