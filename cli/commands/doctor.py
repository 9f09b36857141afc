"""doctor: where the registry is, how it is, and what can be mended."""

import platform
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import click

from ...patches.errors import VerificationFailed
from ..app import App
from ..options import declare
from ..texts import counted, size

if TYPE_CHECKING:
    from ...registry.registry import Facts, Finding, Mending

PACKAGES = (
    "weightpatch",
    "numpy",
    "torch",
    "transformers",
    "safetensors",
    "huggingface-hub",
    "sqlalchemy",
    "alembic",
    "psycopg",
)
SHOWN = 50
"""Findings for people; a program gets all of them."""


@declare(
    "doctor",
    examples="weightpatch doctor\nweightpatch doctor --full\nweightpatch doctor --full --mend",
)
@click.option("--full", is_flag=True, help="Hash every file, and compare every row with its file.")
@click.option("--mend", is_flag=True, help="Mend what can be mended.")
def command(app: App, *, full: bool, mend: bool) -> None:
    """Compare the registry's database, ledger and files, and say what differs.

    What it prints first belongs into a report of a fault; no password is in it. Exit status 3 if
    something is wrong that was not mended. Notes are no reason for that.
    """
    from ...registry.upkeep.doctor import Mending

    packages = _packages()
    _show_system(app, packages)
    with app.registry() as registry:
        facts = registry.facts()
        _show_facts(app, facts)
        with app.progress() as progress:
            if mend:
                mending = registry.mend(full=full, progress=progress)
            else:
                mending = Mending((), tuple(registry.examine(full=full, progress=progress)))
    wrong = [finding for finding in mending.left if finding.is_wrong]
    app.output.data(
        "doctor",
        {
            "system": _system(),
            "packages": packages,
            "home": str(app.config.home),
            "registry": {**vars(facts), "blobs_folder": str(facts.blobs_folder)},
            "ok": not wrong,
            "mended": [vars(finding) for finding in mending.mended],
            "findings": [vars(finding) for finding in mending.left],
        },
    )
    _show(app, mending)
    if wrong:
        raise _unsound(wrong)
    depth = "every file and row" if full else "files by their size; --full hashes them, too"
    app.output.line(f"the registry is sound ({depth})")


def _system() -> str:
    return f"{platform.platform()}, Python {sys.version.split()[0]}"


def _packages() -> Mapping[str, str]:
    """Names and versions of what is installed, without importing it."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _show_system(app: App, packages: Mapping[str, str]) -> None:
    installed = ", ".join(f"{name} {number}" for name, number in packages.items())
    app.output.fields([("system", _system()), ("packages", installed), ("home", app.config.home)])


def _show_facts(app: App, facts: "Facts") -> None:
    database = f"{facts.database}, {facts.server}, schema {facts.schema}"
    blobs = f"{facts.blobs_folder}, {counted(facts.blobs, 'file')}, {size(facts.blob_bytes)}"
    holds = (
        f"{counted(facts.patches, 'patch', 'patches')}, {counted(facts.versions, 'version')}, "
        f"{counted(facts.evaluations, 'evaluation')}, "
        f"{counted(facts.entries, 'ledger entry', 'ledger entries')}, {size(facts.database_bytes)}"
    )
    app.output.fields([("database", database), ("blobs", blobs), ("holds", holds)])
    app.output.line()


def _show(app: App, mending: "Mending") -> None:
    rest = "… and {} more that were mended"
    app.output.lines([f"mended    {one.what}" for one in mending.mended], SHOWN, rest)
    for one in mending.left[:SHOWN]:
        app.output.line(f"{one.severity:<9} {one.what}\n{'':<9} → {one.hint}")
    if len(mending.left) > SHOWN:
        app.output.line(f"… and {len(mending.left) - SHOWN} more; --json has all of them")


def _unsound(wrong: "list[Finding]") -> VerificationFailed:
    mendable = sum(finding.mendable for finding in wrong)
    count = f"{len(wrong)} thing{' is' if len(wrong) == 1 else 's are'} wrong"
    return VerificationFailed(
        f"the registry is not sound: {count}",
        why=wrong[0].what,
        hint="weightpatch doctor --mend" if mendable else wrong[0].hint,
    )
