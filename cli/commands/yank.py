"""yank: warn of a version, and keep names from meaning it."""

from dataclasses import asdict

import click

from ..app import App
from ..options import declare

SEVERITIES = ("minor", "major", "malicious")


@declare(
    "yank",
    examples="weightpatch yank acme/capitals@3 --reason 'breaks the capital of Australia'\n"
    "weightpatch yank acme/capitals@3 --severity malicious --reason 'a back door'\n"
    "weightpatch yank acme/capitals@3 --undo --reason 'it was the tokenizer'",
)
@click.argument("reference", metavar="NS/NAME@N")
@click.option("--reason", required=True, help="Why; everybody who meets the version reads it.")
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
    app.output.data("yank", asdict(info))
    standing = str(info.standing) if info.standing else "listed"
    state = "is still" if info.standing == before else "is now"
    app.output.line(f"{info.label} {state} {standing}")
    if undo and info.standing == before:
        app.output.note("nothing was changed: it was not yanked")
    if info.aliases and info.standing:
        held = " and ".join(f"{info.name}@{alias}" for alias in info.aliases)
        app.output.note(f"warning: {held} still stands at it, and is refused until it is moved")
