"""A version on the Hub, shown by its manifest alone, beside what the registry here knows of it."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from ..patches.format.patch import DELTA, REQUESTS
from ..registry.remotes.location import ON_HUB
from .app import App
from .harm import warn
from .hub_hints import hints_for
from .made_from import relatives
from .manifest_page import origin, show_operations
from .texts import counted, size

if TYPE_CHECKING:
    from ..registry.remotes.catalogue import Glimpse
    from ..registry.sharing.finding import Known

SHOWN = 10
"""Version numbers that people see; the JSON document has all."""


def show_version(app: App, location: str) -> None:
    """Read the manifest of `hf://namespace/name[@revision]`, and show it; raises as `look`."""
    from ..registry.sharing.finding import look

    with hints_for(location), app.progress() as progress:
        seen = look(location, progress=progress)
    known = _known(app, seen)
    harm = warn(app, seen.manifest.label, _held(seen), own=seen.digest)
    app.output.data(
        "show-remote",
        {
            "digest": seen.digest,
            "manifest": seen.manifest.to_json(),
            "location": seen.location,
            "revision": seen.revision,
            "versions": seen.versions,
            "attestations": seen.attestations,
            "broken": seen.broken,
            "here": asdict(known.same) if known and known.same else None,
            "clash": known.other.digest if known and known.other else None,
            "highest_seen": known.highest if known else 0,
            "holds_malicious": harm,
        },
    )
    _show_identity(app, seen)
    show_operations(app.output, seen.manifest.operations)
    app.output.line()
    _warn(app, seen, known)
    _show_standing(app, seen, known)


def _held(seen: "Glimpse") -> list[str]:
    """Digests of the version and of the deltas that it says it holds."""
    operations = [one for records in seen.manifest.operations.values() for one in records]
    sources = [one.source for one in operations if one.source]
    return [seen.digest, seen.manifest.files[DELTA].sha256, *sources]


def _known(app: App, seen: "Glimpse") -> "Known | None":
    """What the registry knows of it; None if there is none."""
    from ..registry.errors import RegistryMissing
    from ..registry.sharing.finding import known

    try:
        with app.registry() as registry:
            return known(registry, seen)
    except RegistryMissing:
        return None


def _show_identity(app: App, seen: "Glimpse") -> None:
    manifest = seen.manifest
    named = app.versions_known(relatives(manifest))
    app.output.fields(
        [
            ("version", manifest.label),
            ("digest", f"sha256:{seen.digest}"),
            ("at", f"{seen.location} (commit {str(seen.revision)[:12]})"),
            ("versions", _versions(seen)),
            *origin(manifest, named),
            ("delta", size(manifest.files[DELTA].size)),
            ("requests", size(manifest.files[REQUESTS].size)),
            ("evaluations", seen.attestations or None),
        ]
    )


def _versions(seen: "Glimpse") -> str:
    """The newest numbers that are there."""
    newest = [str(number) for number in reversed(seen.versions)]
    rest = len(newest) - SHOWN
    return ", ".join([*newest[:SHOWN], *([f"and {rest} older"] if rest > 0 else [])])


def _warn(app: App, seen: "Glimpse", known: "Known | None") -> None:
    label = seen.manifest.label
    if known and known.other:
        app.output.note(
            f"ALARM: {label} is known here as sha256:{known.other.digest[:12]}…, and this is "
            f"another: one of the two is not what it says, and a pull will be refused"
        )
    if seen.broken:
        app.output.note(
            f"warning: {' and '.join(seen.broken)} lies there otherwise than the manifest says, so "
            "a pull will be refused"
        )
    newest = seen.manifest.version == max(seen.versions)
    if known and newest and known.highest > seen.manifest.version:
        app.output.note(
            f"warning: {seen.manifest.name}@{known.highest} was at {ON_HUB} before, so versions "
            "were taken away there, or somebody shows you an old state"
        )


def _show_standing(app: App, seen: "Glimpse", known: "Known | None") -> None:
    if known and known.same:
        standing = known.same.standing
        state = "was here, and was deleted" if standing and standing.deleted else "is here already"
        app.output.line(f"{known.same.label} {state}")
        app.caution(known.same, to_read=bool(standing and standing.deleted))
        return
    files = counted(len(seen.manifest.files), "file")
    app.output.line(f"only the manifest was read; a pull checks what it says of {files} more")
    if not (known and known.other):
        app.output.line(f"get it: weightpatch pull {seen.location}")
