"""Options of the commands that run a model: where, with what seed, and with what settings."""

import click

from .options import SEED, RegularFile

device_option = click.option("--device", default="cpu", show_default=True, help="Where to compute.")
seed_option = click.option(
    "--seed", type=SEED, default=0, show_default=True, help="Seed of all that is sampled."
)
settings_option = click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="A hyperparameter."
)
statistics_option = click.option(
    "--statistics",
    type=RegularFile(),
    help="Text for the key statistics; the model samples its own by default.",
)


def settings_of(pairs: tuple[str, ...]) -> dict[str, str]:
    """What --set was given, by name; raises UsageError."""
    for pair in pairs:
        if "=" not in pair:
            raise click.UsageError(f"--set takes KEY=VALUE, not {pair!r}")
    return dict(pair.split("=", 1) for pair in pairs)
