"""remote: names for the places where patches are exchanged."""

from dataclasses import asdict
from pathlib import Path

import click

from ..app import App
from ..options import declare
from ..texts import moment


@click.group("remote")
def command() -> None:
    """Name the places where patches are exchanged."""


@declare(
    "add",
    examples="weightpatch remote add team ./shared-drive\n"
    "weightpatch remote add default hf://\n"
    "weightpatch remote add capitals hf://acme/capitals",
)
@click.argument("name", metavar="NAME")
@click.argument("location", metavar="LOCATION")
def add(app: App, name: str, location: str) -> None:
    """Let NAME mean LOCATION: a folder, or the Hugging Face Hub (hf://, hf://NS/NAME).

    From then on `push REF NAME` and `pull REF NAME` go there. A folder is kept with its full path.
    The name `default` is the remote of patches that were never pushed or pulled.
    """
    from ...registry.named_remotes import DEFAULT
    from ...registry.remotes.location import scheme

    with app.registry() as registry:
        named = registry.add_remote(name, location)
    app.output.data("remote", {"added": asdict(named)})
    if not named.is_new:
        app.output.line(f"{name} already means {named.location}; nothing was changed")
        return
    app.output.line(f"{name} now means {named.location}")
    if name == DEFAULT:
        app.output.note("patches that were never pushed or pulled go there from now on")
    if not scheme(named.location):
        _say_if_missing(app, Path(named.location))
    if Path(name).is_dir():
        app.output.note(f"note: write ./{name} for the folder of that name")


def _say_if_missing(app: App, folder: Path) -> None:
    """Say what has to be there before a push to a folder."""
    if folder.is_dir():
        return
    if folder.parent.is_dir():
        app.output.note(f"note: there is no folder {folder} now; the first push makes it")
        return
    app.output.note(
        f"note: there is no folder {folder} now, nor {folder.parent}, in which it would be; "
        "make that one before the first push, or is a drive not mounted?"
    )


@declare("list", examples="weightpatch remote list\nweightpatch remote list --json")
def list_(app: App) -> None:
    """List the names of remotes, what they mean, and who named them when."""
    with app.registry() as registry:
        found = registry.remotes()
    app.output.data("remote.list", {"remotes": [asdict(named) for named in found]})
    app.output.table(
        ["name", "since", "who", "location"],
        [[named.name, moment(named.when), named.who, named.location] for named in found],
        wrapped=["who"],
    )
    if not found:
        app.output.note("no remote has a name; give one with: weightpatch remote add NAME LOCATION")


@declare("remove", examples="weightpatch remote remove team")
@click.argument("name", metavar="NAME")
def remove(app: App, name: str) -> None:
    """Take the name of a remote away; the place and the patches there stay as they are."""
    with app.registry() as registry:
        named = registry.remove_remote(name)
    app.output.data("remote", {"removed": asdict(named)})
    app.output.line(f"{name} means nothing any more; it was {named.location}")


for _command in (add, list_, remove):
    command.add_command(_command)
