"""yank: warn of a version, and keep names from meaning it."""

from typing import TYPE_CHECKING

import click

from ..app import App
from ..options import REASON, declare
from ..standing import show_standing

if TYPE_CHECKING:
    from ...registry.registry import Registry, VersionInfo

MALICIOUS = "malicious"
SEVERITIES = ("minor", "major", MALICIOUS)
MOST = 1_000
SHOWN = 20
"""Places for people; a program gets all of them."""


@declare(
    "yank",
    examples="weightpatch yank acme/capitals@3 --reason 'breaks the capital of Australia'\n"
    "weightpatch yank acme/capitals@3 --severity malicious --reason 'a back door'\n"
    "weightpatch yank acme/capitals@3 --undo --reason 'it was the tokenizer'",
)
@click.argument("reference", metavar="NS/NAME@N")
@click.option(
    "--reason",
    type=REASON,
    metavar="TEXT",
    required=True,
    help="Why; everybody who meets the version reads it.",
)
@click.option(
    "--severity",
    type=click.Choice(SEVERITIES),
    default="major",
    show_default=True,
    help="How bad it is; malicious forbids all use.",
)
@click.option("--undo", is_flag=True, help="Take the last yank back.")
def command(app: App, reference: str, reason: str, severity: str, *, undo: bool) -> None:
    """Warn of a version: it stays, but only its number or digest means it.

    Neither NS/NAME nor an alias means it any more, and who uses it is told why. Yanked as malicious
    it cannot be applied, composed, scored or pushed at all, only looked at. An alias that means it
    must be moved first, unless it is malicious.
    """
    with app.registry() as registry:
        before = registry.resolve(reference).standing
        if undo:
            info = registry.restore(reference, reason=reason, state="yanked")
        else:
            info = registry.yank(reference, reason=reason, severity=severity)
        spread = _spread(registry, info) if severity == MALICIOUS and not undo else None
    more = {"held_by": spread} if spread else None
    undone = "yanked" if undo else None
    show_standing(app.output, "yank", info, before, undone=undone, more=more)
    if info.aliases and info.standing:
        held = " and ".join(f"{info.name}@{alias}" for alias in info.aliases)
        app.output.note(f"warning: {held} still stands at it, and is refused until it is moved")
    if spread:
        _show_spread(app, info.label, spread)


def _spread(registry: "Registry", info: "VersionInfo") -> dict[str, list[str]]:
    """Where a version is as far as is known: compositions, builds, remotes."""
    own = f"sha256:{info.digest}"
    holders = registry.holders(own)
    transfers = [
        transfer
        for digest in (info.digest, *(one.digest for one in holders))
        for transfer in registry.transfers(f"sha256:{digest}", limit=MOST)
    ]
    places: dict[str, list[str]] = {
        "compositions": [one.label for one in holders],
        "builds": [build.location for build in registry.builds(own, limit=MOST)],
        "remotes": [transfer.remote for transfer in transfers],
    }
    return {kind: list(dict.fromkeys(found)) for kind, found in places.items()}


def _show_spread(app: App, label: str, spread: dict[str, list[str]]) -> None:
    lines = [f"  {kind.removesuffix('s')} {one}" for kind, found in spread.items() for one in found]
    if lines:
        app.output.line(f"these are known to hold {label}, or held it:")
        app.output.lines(lines, SHOWN, "  … and {} more; --json has them")
    else:
        app.output.line("no composition, build or remote is known to hold it")
