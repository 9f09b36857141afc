"""outdated: what a remote has newer versions of."""

import click

from ..app import App
from ..errors import in_our_form
from ..options import declare


@declare(
    "outdated",
    examples="weightpatch outdated\n"
    "weightpatch outdated acme/capitals@2\n"
    "weightpatch outdated --json",
)
@click.argument("references", metavar="[REF]...", nargs=-1)
def command(app: App, references: tuple[str, ...]) -> None:
    """Find the patches of which a remote has a newer version than is here; nothing is changed.

    Every remote is asked that a patch was pulled from or pushed to, for all patches or those of
    each REF; for a REF that never was, the remote called `default`. One that does not answer is
    told, and stops nothing.
    """
    from ...registry.sharing.outdated import outdated

    with app.registry() as registry:
        found = outdated(registry, references)
    problems = [(one.name, one.remote, in_our_form(one.error)) for one in found.unanswered]
    app.output.data(
        "outdated",
        {
            "newer": [vars(one) for one in found.newer],
            "unanswered": [
                {"name": name, "remote": remote, "code": error.code, "message": error.message}
                for name, remote, error in problems
            ],
            "local": list(found.local),
        },
    )
    columns = ["patch", "here", "newest there", "remote"]
    app.output.table(columns, [[one.name, one.here, one.there, one.remote] for one in found.newer])
    for name, remote, error in problems:
        why = f" ({error.why})" if error.why else ""
        app.output.note(f"warning: {remote} could not be asked for {name}: {error.message}{why}")
    for name in found.local:
        app.output.note(f"note: {name} was never pushed or pulled")
    if not found.newer and found.asked > len(problems):
        app.output.note("nothing newer")
    elif not found.asked and not found.local:
        app.output.note("nothing here was pushed or pulled")
